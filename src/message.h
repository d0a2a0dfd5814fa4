/*
 * message - a message that is gathered from its frames, and its memory
 *
 * The memory has REPLY_ROOM bytes in front of the payload, so that the reply's header and prefix can be put
 * there.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "frame.h"
#include "options.h"

enum { REPLY_ROOM = REPLY_HEADER_MAX + PREFIX_MAX /* bytes */ };

struct message {
    uint8_t opcode;     /* CONTINUATION: there is none */
    bool compressed;    /* as it comes; it is gathered inflated */
    uint8_t utf8;       /* state of the validator */
    uint64_t limit;     /* of the length, bytes */
    uint64_t length;    /* of the payload so far, bytes */
    int64_t release_at; /* when the memory of a large message is given back; NEVER: there is none */
    uint8_t *memory;    /* NULL: it has not been mapped */
};

/*
 * Copies `length` bytes between buffers that do not overlap, without a call and without touching a byte
 * beyond them: in moves of a fixed length, of which the last one ends with the last byte and may repeat some.
 * memcpy is a call where the length varies, and musl's begins "rep movs" on x86-64, which takes longer than a
 * short copy.
 */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t length)
{
    enum { LONG_MOVE = 16, MOVE = 8 };
    if (length >= LONG_MOVE) {
        for (size_t i = 0; i < length - LONG_MOVE; i += LONG_MOVE) {
            memcpy(to + i, from + i, LONG_MOVE);
            __asm__("" : "+r"(i)); /* hides from compilers that the loop is a memcpy, or they call it */
        }
        memcpy(to + length - LONG_MOVE, from + length - LONG_MOVE, LONG_MOVE);
    } else if (length >= MOVE) {
        memcpy(to, from, MOVE);
        memcpy(to + length - MOVE, from + length - MOVE, MOVE);
    } else {
        for (size_t i = 0; i < length; i++) {
            to[i] = from[i];
            __asm__("" : "+r"(i));
        }
    }
}

/* Maps the memory, once, for a message of the limit.  Returns false with errno if there is none. */
bool message_map(struct message *message);

/* Returns where the next byte of the payload goes. */
uint8_t *payload_end(const struct message *message);

/* Returns how many bytes of the prefix a reply of this opcode has. */
size_t prefix_length(const struct prefix *prefix, uint8_t opcode);

/*
 * Writes what goes before the payload of a reply: the header, and before text the prefix.  Returns its length
 * in bytes.
 */
size_t reply_begin(uint8_t reply[static REPLY_ROOM], uint8_t opcode, uint64_t length,
                   const struct prefix *prefix);

/* A frame that answers a message; `bytes` is NULL if there was no memory for it, which only deflate needs. */
struct reply {
    const uint8_t *bytes;
    size_t length; /* in all */
    size_t payload_length;
};

/* Makes the frame that answers the gathered message, around it. */
struct reply message_reply(const struct message *message, const struct prefix *prefix);

/* Gives back what an unfinished message does not need, or all but the first 64 KiB. */
void message_release(const struct message *message);

#endif
