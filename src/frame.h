/* SPDX-License-Identifier: MIT */
/*
 * frame - encodes and decodes frames (section 5): headers, masking, UTF-8 of payload, control frames, Close
 * codes
 *
 * Pure functions on bytes.  All they know about messages is whether one is unfinished.
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

enum { FIN = 0x80, RSV1 = 0x40, RSV = 0x70 }; /* bits of the first byte of a frame; RSV: all three */

enum {
    CONTROL_PAYLOAD_MAX = 125, /* bytes; section 5.5 */
    REPLY_HEADER_MAX = 10,     /* bytes; section 5.2: two bytes and a length of eight, no masking key */
};

struct frame {
    bool fin, compressed; /* compressed: RSV1 is set */
    uint8_t opcode;
    uint8_t header_length; /* bytes */
    uint64_t length;       /* of the payload, bytes */
    uint32_t masking_key;  /* its bytes in memory are in the order of the wire */
};

/* The names of the opcodes, as in sections 5.5 and 5.6; NULL for reserved ones. */
extern const char *const opcode_names[];

/* Tells whether an opcode is that of a control frame; section 5.5. */
bool is_control(uint8_t opcode);

/*
 * Decodes the header of a client's frame, of which `available` bytes have arrived, and checks each byte as
 * soon as it is there.  `in_message`: a fragmented message is unfinished.  `deflate_negotiated`: RSV1 may
 * mark compressed messages (RFC 7692 section 6).  Returns NEED_MORE, DONE when the header is complete, or
 * what is wrong.  Inlined: a call would cost 5 % of a short message.
 */
enum outcome frame_decode_header(const uint8_t *bytes, size_t available, bool in_message,
                                 bool deflate_negotiated, struct frame *frame);

/*
 * Writes the header of a server's frame with FIN set and `length` bytes of payload, unmasked; section 5.2.
 * Returns the length of the header in bytes.
 */
size_t frame_encode_header(uint8_t header[static REPLY_HEADER_MAX], uint8_t opcode, uint64_t length);

/*
 * Unmasks `length` bytes from `from` to `to`, another buffer or the same place; section 5.3.  The bytes of
 * `key` in memory are the masking key.  Returns whether any unmasked byte is outside ASCII.
 */
bool frame_unmask(uint8_t *to, const uint8_t *from, size_t length, uint32_t key);

/*
 * Unmasks payload and, if `is_text`, validates it, block by block, while the block is in the cache.  A block
 * of ASCII needs no validation where no character is unfinished.  Updates the validator's state `*utf8`, and
 * rotates frame->masking_key for the next bytes.  Returns false if the text is not UTF-8.
 */
bool unmask_and_validate(struct frame *frame, uint8_t *utf8, bool is_text, uint8_t *to, const uint8_t *from,
                         size_t length);

/* Validates unmasked text in the same way, without changing it.  Returns false if it is not UTF-8. */
bool validate_text(uint8_t *utf8, uint8_t *bytes, size_t length);

/*
 * Checks the unmasked body of a Close frame, of whose `length` bytes `available` have arrived; section 5.5.1.
 * Returns NEED_MORE, DONE when it is complete, or what is wrong.
 */
enum outcome check_close_body(const uint8_t *body, size_t available, size_t length);

#endif
