/*
 * frame - the codec of frames (section 5): headers, masking, control frames' rules, Close codes
 *
 * Pure functions on bytes.  Knows nothing of messages beyond whether one is unfinished.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outcome.h"

enum opcode {
    CONTINUATION = 0x0,
    TEXT = 0x1,
    BINARY = 0x2,
    CLOSE = 0x8,
    PING = 0x9,
    PONG = 0xA,
};

enum { FIN = 0x80, RSV1 = 0x40, RSV = 0x70 }; /* of the first byte of a frame */

enum {
    CONTROL_PAYLOAD_MAX = 125, /* bytes; section 5.5 */
    REPLY_HEADER_MAX = 10,     /* bytes; section 5.2: two, and eight of length, without a masking key */
};

struct frame {
    bool fin, compressed; /* compressed: it has RSV1 */
    uint8_t opcode;
    uint8_t header_length; /* bytes */
    uint64_t length;       /* of the payload, bytes */
    uint32_t masking_key;  /* its bytes in the order of the wire */
};

/* The opcodes' names, as sections 5.5 and 5.6 have them. */
extern const char *const opcode_names[];

/* Tells whether an opcode is that of a control frame; section 5.5. */
bool is_control(uint8_t opcode);

/*
 * Decodes the header of a client's frame and judges each byte as it comes.  `in_message` tells that a
 * fragmented message is unfinished; `deflate_negotiated` that permessage-deflate was agreed to, where RSV1
 * marks compressed messages.  Returns NEED_MORE, DONE when the header is whole, or what is wrong.  Inlined
 * where it is called: a call would cost each message a twentieth more.
 */
enum outcome frame_decode_header(const uint8_t *bytes, size_t available, bool in_message,
                                 bool deflate_negotiated, struct frame *frame);

/* Writes the header of our frame, final and unmasked; section 5.2.  Returns its length in bytes. */
size_t frame_encode_header(uint8_t header[static REPLY_HEADER_MAX], uint8_t opcode, uint64_t length);

/*
 * Unmasks into another buffer or in place; section 5.3.  `key` has the bytes of the masking key in memory
 * order.  Returns whether any byte is beyond ASCII.
 */
bool unmask_beyond_ascii(uint8_t *to, const uint8_t *from, size_t length, uint32_t key);

/*
 * Unmasks payload and, if it is text, validates it, block by block while the block is in the cache.  A block
 * of ASCII that begins with a whole character is valid as it is.  Rotates the frame's key for what follows.
 * Returns false if the text is not UTF-8.
 */
bool unmask_and_validate(struct frame *frame, uint8_t *utf8, bool is_text, uint8_t *to, const uint8_t *from,
                         size_t length);

/* Validates text that is not masked, as unmask_and_validate does.  Returns false if it is not UTF-8. */
bool validate(uint8_t *utf8, uint8_t *bytes, size_t length);

/*
 * Judges what has come of a Close frame's body (unmasked) of `length` bytes; section 5.5.1.  Returns
 * NEED_MORE, DONE when it is whole, or what is wrong.
 */
enum outcome check_close_body(const uint8_t *body, size_t available, size_t length);

#endif
