/* SPDX-License-Identifier: MIT */
/*
 * message - a message that is assembled from its frames, and its memory
 *
 * The memory has REPLY_ROOM bytes in front of the payload, where the reply's header and prefix are put: the
 * reply then is one piece of memory and the payload is not copied.
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
    uint8_t opcode;     /* TEXT or BINARY; CONTINUATION: no message is unfinished */
    bool compressed;    /* its frames are; the payload here is inflated */
    uint8_t utf8;       /* state of the UTF-8 validator after the payload so far */
    uint64_t limit;     /* --max-message, bytes */
    uint64_t length;    /* of the payload so far, bytes */
    int64_t release_at; /* when the memory of large messages is released; NEVER: there is none */
    uint8_t *memory;    /* NULL: not mapped yet */
};

/*
 * Copies `length` bytes between buffers that do not overlap, and touches no byte outside them.  It uses moves
 * of a fixed size; the last one ends at the last byte and may copy some bytes a second time.  memcpy with a
 * variable length is a function call, and musl's version starts with "rep movs" on x86-64, whose startup
 * takes longer than a short copy.
 */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t length)
{
    enum { LONG_MOVE = 16, MOVE = 8 };
    if (length >= LONG_MOVE) {
        for (size_t i = 0; i < length - LONG_MOVE; i += LONG_MOVE) {
            memcpy(to + i, from + i, LONG_MOVE);
            __asm__("" : "+r"(i)); /* stops compilers from turning the loop into a call of memcpy */
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

/*
 * Maps address space for a message of message->limit bytes, unless it is mapped already.  Returns false with
 * errno if the kernel refuses.
 */
bool message_map(struct message *message);

/* Returns where the next byte of the payload is put.  The memory must be mapped. */
uint8_t *payload_end(const struct message *message);

/* Returns the bytes of prefix in a reply with this opcode: only text replies have one. */
size_t prefix_length(const struct prefix *prefix, uint8_t opcode);

/*
 * Writes what precedes the payload of a reply to a message of `length` bytes: the frame header (section 5.2)
 * and, for text, the prefix.  Returns how many bytes these are.
 */
size_t reply_begin(uint8_t reply[static REPLY_ROOM], uint8_t opcode, uint64_t length,
                   const struct prefix *prefix);

/* A frame that answers a message.  `bytes` is NULL, and errno set, if deflate_reply found no memory. */
struct reply {
    const uint8_t *bytes;
    size_t length;         /* of the whole frame, bytes */
    size_t payload_length; /* bytes, compressed if the reply is */
};

/*
 * Makes the frame that answers a complete uncompressed message, in place: it puts header and prefix in front
 * of the payload.
 */
struct reply message_reply(const struct message *message, const struct prefix *prefix);

/*
 * Releases the memory after the payload so far, from the next multiple of PAGE_MAX on: the first 64 KiB
 * always stay.
 */
void message_release(const struct message *message);

#endif
