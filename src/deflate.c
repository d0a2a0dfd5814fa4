/* SPDX-License-Identifier: MIT */
/* deflate - see deflate.h */
#include <errno.h>
#include <string.h>

#include "deflate.h"
#include "frame.h"
#include "memory.h"
#include "utf8.h"

enum {
    DEFLATE_LEVEL = 6,              /* of 9; higher levels take much longer and gain little */
    DEFLATE_MEMORY_LEVEL = 8,       /* of 9; 256 KiB with the largest window */
    CODEC_MEMORY = 512 * 1024,      /* bytes of address space for zlib's state, for each direction */
    INFLATE_BLOCK_SIZE = 64 * 1024, /* bytes inflated, then validated while in the cache */
    WINDOW_SIZE = 1 << WINDOW_BITS_MAX,
};

/* Allocates `items` of `size` bytes for zlib.  Returns NULL with errno if the arena is used up. */
static void *arena_allocate(void *opaque, unsigned items, unsigned size)
{
    struct arena *arena = opaque;
    size_t needed = ((size_t)items * size + 63) / 64 * 64; /* each piece begins at a cache line */
    if (needed > CODEC_MEMORY - arena->used) {
        errno = ENOMEM;
        return NULL;
    }
    arena->used += needed;
    return arena->memory + arena->used - needed;
}

/* Frees nothing: arena_release releases all pieces at once. */
static void arena_free(void *opaque, void *memory)
{
    (void)opaque;
    (void)memory;
}

/* Releases all pieces of an arena. */
static void arena_release(struct arena *arena)
{
    memory_release(arena->memory, arena->memory + CODEC_MEMORY);
    arena->used = 0;
}

/* Returns a zlib stream that allocates from an arena. */
static z_stream stream_in(struct arena *arena)
{
    return (z_stream){.zalloc = arena_allocate, .zfree = arena_free, .opaque = arena};
}

/*
 * Returns the bytes of address space for the largest compressed reply: at most nine bits for a literal (RFC
 * 1951 section 3.2.6), and a few bytes for each block of thousands of literals.
 */
static size_t deflated_size(const struct message *message)
{
    size_t inflated = PREFIX_MAX + (size_t)message->limit;
    return REPLY_HEADER_MAX + inflated + inflated / 8 + inflated / 64 + 64;
}

bool begin_inflating(struct codec *codec, const struct message *message, const struct compression *agreed)
{
    if (!codec->reply) {
        uint8_t *memory = memory_map(2 * CODEC_MEMORY + deflated_size(message));
        if (!memory)
            return false;
        codec->inflater_memory.memory = memory;
        codec->deflater_memory.memory = memory + CODEC_MEMORY;
        codec->reply = memory + 2 * CODEC_MEMORY;
    }
    codec->bits = 0;
    if (codec->inflater_memory.used == 0) {
        codec->inflater = stream_in(&codec->inflater_memory);
        return inflateInit2(&codec->inflater, -WINDOW_BITS_MAX) == Z_OK;
    }
    if (agreed->given[CLIENT_NO_CONTEXT_TAKEOVER])
        inflateReset(&codec->inflater);
    return true;
}

/*
 * Continues after a block with BFINAL, which ends zlib's stream but not the message, with the same window:
 * RFC 7692 section 7.2.3.5.
 */
static void inflate_beyond_final(z_stream *inflater)
{
    uint8_t window[WINDOW_SIZE];
    unsigned length = 0;
    inflateGetDictionary(inflater, window, &length);
    inflateReset(inflater);
    inflateSetDictionary(inflater, window, length);
}

/*
 * Inflates bytes and appends the result to the message, up to one byte more than its limit; validates text.
 * Z_BLOCK makes inflate() return at every block boundary: codec->bits counts the input bits since then,
 * consumed or buffered.  Returns DONE, or what is wrong.
 */
static enum outcome inflate_bytes(struct codec *codec, struct message *message, const uint8_t *from,
                                  size_t length)
{
    z_stream *inflater = &codec->inflater;
    bool block_ended;
    inflater->next_in = from;
    inflater->avail_in = (unsigned)length;
    do {
        uint8_t *to = payload_end(message);
        uint64_t room = message->limit + 1 - message->length;
        unsigned available = inflater->avail_in;
        inflater->next_out = to;
        inflater->avail_out = room < INFLATE_BLOCK_SIZE ? (unsigned)room : INFLATE_BLOCK_SIZE;
        int result = inflate(inflater, Z_BLOCK);
        size_t inflated = (size_t)(inflater->next_out - to);
        codec->bits += UINT64_C(8) * (available - inflater->avail_in);
        message->length += inflated;
        if (message->opcode == TEXT && !validate_text(&message->utf8, to, inflated))
            return TEXT_NOT_UTF8;
        if (message->length > message->limit)
            return MESSAGE_TOO_BIG;
        if (result == Z_MEM_ERROR)
            return NO_MEMORY;
        if (result == Z_STREAM_END)
            inflate_beyond_final(inflater);
        else if (result != Z_OK && result != Z_BUF_ERROR) /* Z_BUF_ERROR: no input was left */
            return INFLATE_FAILED;
        /*
         * data_type, bit 7: inflate() has stopped after a block.  Bit 6: that was the final block; zlib then
         * discards the rest of the byte.  Bits 0-2: the number of unused bits in the last byte.
         */
        block_ended = result == Z_OK && inflater->data_type & 128;
        if (block_ended)
            codec->bits = inflater->data_type & 64 ? 0 : inflater->data_type & 7;
    } while (block_ended || inflater->avail_in > 0 || inflater->avail_out == 0);
    return DONE;
}

/*
 * Checks the end of a compressed message.  It must end with an empty stored block, whose 00 00 ff ff the
 * sender has removed (RFC 7692 sections 7.2.1, 7.2.2).  What is left of that block is a header of 3 bits
 * (BFINAL, then 00) and padding to the byte boundary: 3 to 10 bits after the last complete block.  If they
 * are there, 00 00 ff ff is fed to inflate.  No bits at all are accepted as well: some senders end with the
 * last byte of their last block.  Shifted as below, last_octets has BFINAL in bit 0 and the block type in
 * bits 1 and 2.
 */
static enum outcome end_inflating(struct codec *codec, struct message *message)
{
    static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
    if (codec->bits == 0)
        return DONE;
    if (codec->bits < 3 || codec->bits > 3 + 7 || codec->last_octets >> (16 - codec->bits) & 6)
        return INFLATE_UNFINISHED;
    return inflate_bytes(codec, message, tail, sizeof tail);
}

enum outcome inflate_payload(struct codec *codec, struct message *message, const uint8_t *payload,
                             size_t length, bool last)
{
    enum outcome outcome = inflate_bytes(codec, message, payload, length);
    for (size_t i = length < 2 ? 0 : length - 2; i < length; i++)
        codec->last_octets = (uint16_t)(codec->last_octets >> 8 | payload[i] << 8);
    return outcome == DONE && last ? end_inflating(codec, message) : outcome;
}

/* Prepares to deflate a reply.  Returns false with errno if there is no memory. */
static bool begin_deflating(struct codec *codec, const struct compression *agreed)
{
    int bits = agreed->values[SERVER_MAX_WINDOW_BITS] ?: WINDOW_BITS_MAX;
    if (codec->deflater_memory.used == 0) {
        codec->deflater = stream_in(&codec->deflater_memory);
        return deflateInit2(&codec->deflater, DEFLATE_LEVEL, Z_DEFLATED, -bits, DEFLATE_MEMORY_LEVEL,
                            Z_DEFAULT_STRATEGY) == Z_OK;
    }
    if (agreed->given[SERVER_NO_CONTEXT_TAKEOVER])
        deflateReset(&codec->deflater);
    return true;
}

/*
 * Deflates more bytes; `mode` is zlib's flush mode.  The output buffer is always large enough, so deflate()
 * cannot fail.
 */
static void deflate_bytes(z_stream *deflater, const void *bytes, size_t length, int mode)
{
    deflater->next_in = bytes;
    deflater->avail_in = (unsigned)length;
    deflate(deflater, mode);
}

/*
 * Deflates the message and releases its memory step by step, so that a long message is never in memory both
 * as it is and compressed.
 */
static void deflate_payload(z_stream *deflater, struct message *message)
{
    uint8_t *begin = message->memory, *next = begin + REPLY_ROOM;
    for (size_t left = (size_t)message->length, part; left > 0; left -= part) {
        part = smaller(left, HUGE_PAGE - (uintptr_t)next % HUGE_PAGE);
        deflate_bytes(deflater, next, part, Z_NO_FLUSH);
        next += part;
        if (part < left) {
            memory_release(begin, next);
            begin = next;
        }
    }
}

struct reply deflate_reply(struct codec *codec, struct message *message, const struct prefix *prefix,
                           const struct compression *agreed)
{
    z_stream *deflater = &codec->deflater;
    uint8_t header[REPLY_HEADER_MAX], *payload = codec->reply + REPLY_HEADER_MAX;
    size_t prefix_bytes = prefix_length(prefix, message->opcode), deflated = 1;
    if (!begin_deflating(codec, agreed))
        return (struct reply){.bytes = NULL};
    payload[0] = 0x00; /* an empty message: RFC 7692 section 7.2.3.6 */
    if (prefix_bytes + message->length > 0) {
        deflater->next_out = payload;
        deflater->avail_out = (unsigned)(deflated_size(message) - REPLY_HEADER_MAX);
        deflate_bytes(deflater, prefix->bytes, prefix_bytes, Z_NO_FLUSH);
        deflate_payload(deflater, message);
        deflate_bytes(deflater, NULL, 0, Z_SYNC_FLUSH);
        deflated = (size_t)(deflater->next_out - payload) - 4; /* without 00 00 ff ff */
    }
    size_t header_length = frame_encode_header(header, message->opcode, deflated);
    header[0] |= RSV1;
    return (struct reply){memcpy(payload - header_length, header, header_length), header_length + deflated,
                          deflated};
}

void codec_release(struct codec *codec, const struct message *message, const struct compression *agreed)
{
    if (!codec->reply)
        return;
    memory_release(codec->reply, codec->reply + deflated_size(message) + PAGE_MAX);
    if (agreed->given[SERVER_NO_CONTEXT_TAKEOVER])
        arena_release(&codec->deflater_memory);
    bool unfinished = message->opcode != CONTINUATION && message->compressed;
    if (agreed->given[CLIENT_NO_CONTEXT_TAKEOVER] && !unfinished)
        arena_release(&codec->inflater_memory);
}
