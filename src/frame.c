/* SPDX-License-Identifier: MIT */
/* frame - see frame.h */
#include <string.h>

#include "frame.h"
#include "text.h"
#include "utf8.h"

enum { BLOCK_SIZE = 4096 /* bytes; unmasked, then validated while in the cache */ };

const char *const opcode_names[] = {
    [CONTINUATION] = "continuation",
    [TEXT] = "text",
    [BINARY] = "binary",
    [CLOSE] = "close",
    [PING] = "ping",
    [PONG] = "pong",
};

bool is_control(uint8_t opcode)
{
    return opcode >= CLOSE;
}

/*
 * Checks the first byte of a frame: FIN, RSV bits and opcode; sections 5.2, 5.4, 5.5.  Parameters as in
 * frame_decode_header.  Returns DONE, or what is wrong.
 */
__attribute__((always_inline)) static inline enum outcome check_first_byte(uint8_t byte, bool in_message,
                                                                           bool deflate_negotiated)
{
    uint8_t opcode = byte & 0x0f;
    if (byte & RSV && !(deflate_negotiated && (byte & RSV) == RSV1 && (opcode == TEXT || opcode == BINARY)))
        return RSV_SET;
    if ((opcode > BINARY && opcode < CLOSE) || opcode > PONG)
        return OPCODE_RESERVED;
    if (is_control(opcode))
        return byte & FIN ? DONE : CONTROL_FRAGMENTED;
    if (opcode == CONTINUATION)
        return in_message ? DONE : NO_MESSAGE;
    return in_message ? MESSAGE_UNFINISHED : DONE;
}

__attribute__((always_inline)) inline enum outcome frame_decode_header(const uint8_t *bytes, size_t available,
                                                                       bool in_message,
                                                                       bool deflate_negotiated,
                                                                       struct frame *frame)
{
    enum outcome wrong;
    if (available > 0 && (wrong = check_first_byte(bytes[0], in_message, deflate_negotiated)) != DONE)
        return wrong;
    if (available < 2)
        return NEED_MORE;
    frame->fin = bytes[0] & FIN;
    frame->compressed = bytes[0] & RSV1;
    frame->opcode = bytes[0] & 0x0f;
    frame->length = bytes[1] & 0x7f;
    if (!(bytes[1] & 0x80))
        return UNMASKED;
    if (is_control(frame->opcode) && frame->length > CONTROL_PAYLOAD_MAX)
        return CONTROL_TOO_LONG;
    size_t length_size = frame->length < 126 ? 0 : frame->length == 126 ? 2 : 8;
    if (available > 2 && length_size == 8 && bytes[2] & 0x80)
        return LENGTH_TOP_BIT;
    if (available < 2 + length_size)
        return NEED_MORE;
    if (length_size > 0) {
        frame->length = 0;
        for (size_t i = 0; i < length_size; i++)
            frame->length = frame->length << 8 | bytes[2 + i];
        if (frame->length < 126 || (length_size == 8 && frame->length <= UINT16_MAX))
            return LENGTH_NOT_MINIMAL;
    }
    if (available < 2 + length_size + sizeof frame->masking_key)
        return NEED_MORE;
    memcpy(&frame->masking_key, bytes + 2 + length_size, sizeof frame->masking_key);
    frame->header_length = (uint8_t)(2 + length_size + sizeof frame->masking_key);
    return DONE;
}

size_t frame_encode_header(uint8_t header[static REPLY_HEADER_MAX], uint8_t opcode, uint64_t length)
{
    size_t length_size = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
    header[0] = (uint8_t)(FIN | opcode);
    header[1] = length_size == 0 ? (uint8_t)length : length_size == 2 ? 126 : 127;
    for (size_t i = 0; i < length_size; i++)
        header[2 + i] = (uint8_t)(length >> 8 * (length_size - 1 - i));
    return 2 + length_size;
}

/* Returns a masking key rotated for payload that continues after `length` bytes. */
static uint32_t rotate_key(uint32_t key, size_t length)
{
    uint32_t twice[2] = {key, key}, rotated;
    memcpy(&rotated, (const uint8_t *)twice + length % 4, sizeof rotated);
    return rotated;
}

bool frame_unmask(uint8_t *to, const uint8_t *from, size_t length, uint32_t key)
{
    typedef uint64_t vector __attribute__((vector_size(16)));
    const uint64_t twice = (uint64_t)key << 32 | key, high_bits = UINT64_C(0x8080808080808080);
    const vector mask = {twice, twice};
    vector part, seen = {0, 0}; /* seen and tail: all unmasked bytes, ORed */
    uint64_t eight, tail = 0;
    size_t i = 0;
    /*
     * Unrolled so that loop alignment does not matter: so short a loop takes twice as long if it crosses a
     * line of the instruction cache.
     */
#pragma GCC unroll 4
    for (; length - i >= sizeof part; i += sizeof part) {
        memcpy(&part, from + i, sizeof part);
        part ^= mask;
        seen |= part;
        memcpy(to + i, &part, sizeof part);
    }
    if (length - i >= sizeof eight) {
        memcpy(&eight, from + i, sizeof eight);
        eight ^= twice;
        tail |= eight;
        memcpy(to + i, &eight, sizeof eight);
        i += sizeof eight;
    }
    for (; i < length; i++) {
        to[i] = from[i] ^ ((const uint8_t *)&key)[i % sizeof key];
        tail |= to[i];
    }
    return ((seen[0] | seen[1] | tail) & high_bits) != 0;
}

/*
 * Validates a block of text; `beyond_ascii`: it has bytes outside ASCII.  Returns false if it is not UTF-8.
 */
static bool validate_block(uint8_t *utf8, const uint8_t *bytes, size_t length, bool beyond_ascii)
{
    if (!beyond_ascii && *utf8 == UTF8_WHOLE)
        return true;
    *utf8 = utf8_state_after(*utf8, bytes, length);
    return *utf8 != UTF8_WRONG;
}

bool unmask_and_validate(struct frame *frame, uint8_t *utf8, bool is_text, uint8_t *to, const uint8_t *from,
                         size_t length)
{
    for (size_t i = 0, block; i < length; i += block) {
        block = smaller(length - i, BLOCK_SIZE);
        bool beyond_ascii = frame_unmask(to + i, from + i, block, frame->masking_key);
        if (is_text && !validate_block(utf8, to + i, block, beyond_ascii))
            return false;
    }
    frame->masking_key = rotate_key(frame->masking_key, length);
    return true;
}

bool validate_text(uint8_t *utf8, uint8_t *bytes, size_t length)
{
    for (size_t i = 0, block; i < length; i += block) {
        block = smaller(length - i, BLOCK_SIZE);
        bool beyond_ascii = frame_unmask(bytes + i, bytes + i, block, 0); /* key 0: changes nothing */
        if (!validate_block(utf8, bytes + i, block, beyond_ascii))
            return false;
    }
    return true;
}

/* Tells whether a Close code is allowed in a frame; section 7.4. */
static bool is_close_code(unsigned code)
{
    static const struct {
        uint16_t first, last;
    } allowed[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
    for (size_t i = 0; i < COUNT_OF(allowed); i++)
        if (code >= allowed[i].first && code <= allowed[i].last)
            return true;
    return false;
}

enum outcome check_close_body(const uint8_t *body, size_t available, size_t length)
{
    if (length == 1)
        return CLOSE_TRUNCATED;
    if (available >= 2) {
        if (!is_close_code((unsigned)(body[0] << 8 | body[1])))
            return CLOSE_CODE_INVALID;
        uint8_t utf8 = utf8_state_after(UTF8_WHOLE, body + 2, available - 2);
        if (utf8 == UTF8_WRONG || (available == length && utf8 != UTF8_WHOLE))
            return CLOSE_NOT_UTF8;
    }
    return available == length ? DONE : NEED_MORE;
}
