/* SPDX-License-Identifier: MIT */
/* Tests of deflate.c */
#include "../../src/deflate.c"
#include "../../src/message.c"
#include "check.h"

enum {
    MESSAGE_LIMIT = 16 << 20,
    LARGEST_MESSAGE = 1 << 30, /* that --max-message allows */
};

/* The members of struct connection that this room works on. */
struct compressing {
    struct codec codec;
    struct message message;
    struct compression agreed;
};

TEST(there_is_address_space_for_the_largest_message_and_the_largest_compressed_reply)
{
    struct message message = {0};
    for (message.limit = 1; message.limit <= LARGEST_MESSAGE; message.limit <<= 10) {
        size_t limit = (size_t)message.limit, prefixed = 256 + limit;
        CHECK_NUMBER(10 + 256 + limit + 1, memory_size(&message), "a message of %zu bytes", limit);
        CHECK_NUMBER(10 + prefixed + prefixed / 8 + prefixed / 64 + 64, deflated_size(&message),
                     "a message of %zu bytes", limit);
    }
}

TEST(zlib_gets_its_memory_in_whole_cache_lines_as_long_as_there_is_some)
{
    static const struct {
        unsigned items, size, taken;
    } rows[] = {{1, 1, 64}, {1, 64, 64}, {1, 65, 128}, {3, 43, 192}, {2, 32, 64}, {1, 0, 0}};
    static uint8_t memory[CODEC_MEMORY];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena = {.memory = memory, .used = 640};
        void *piece = arena_allocate(&arena, rows[i].items, rows[i].size);
        CHECK(piece == memory + 640, "%u times %u bytes", rows[i].items, rows[i].size);
        CHECK_NUMBER(640 + rows[i].taken, arena.used, "%u times %u bytes", rows[i].items, rows[i].size);
    }
    struct arena arena = {.memory = memory, .used = 64};
    errno = 0;
    CHECK(!arena_allocate(&arena, 1, CODEC_MEMORY - 63) && errno == ENOMEM && arena.used == 64, "too much");
    CHECK(arena_allocate(&arena, 1, CODEC_MEMORY - 64) == memory + 64, "all that is left");
    CHECK(!arena_allocate(&arena, 1, 1), "one byte more");
}

/* Prepares them for compressed messages. */
static void prepare_inflating(struct compressing *c)
{
    c->message.limit = MESSAGE_LIMIT;
    CHECK(message_map(&c->message) && begin_inflating(&c->codec, &c->message, &c->agreed), "memory");
}

TEST(a_text_is_inflated_no_further_than_the_block_that_has_its_first_wrong_byte)
{
    static struct compressing c;
    static uint8_t text[1 << 20] = {0xff}, deflated[1 << 12];
    z_stream deflater = {0};
    CHECK(deflateInit2(&deflater, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) == Z_OK, "a deflater");
    deflater.next_in = text;
    deflater.avail_in = sizeof text;
    deflater.next_out = deflated;
    deflater.avail_out = sizeof deflated;
    CHECK_NUMBER(Z_STREAM_END, deflate(&deflater, Z_FINISH), "it fits");
    deflateEnd(&deflater);
    prepare_inflating(&c);
    c.message.opcode = TEXT;
    c.message.utf8 = UTF8_WHOLE;
    CHECK_NUMBER(TEXT_NOT_UTF8, inflate_bytes(&c.codec, &c.message, deflated, deflater.total_out),
                 "the text");
    CHECK_NUMBER(INFLATE_BLOCK_SIZE, c.message.length, "bytes that were inflated");
}

TEST(the_state_of_zlib_goes_back_where_no_later_message_needs_it)
{
    static struct compressing c;
    for (int row = 0; row < 16; row++) {
        bool server = row & 1, client = row & 2, unfinished = row & 4, compressed = row & 8;
        bool inside = unfinished && compressed;
        prepare_inflating(&c);
        c.agreed.given[SERVER_NO_CONTEXT_TAKEOVER] = server;
        c.agreed.given[CLIENT_NO_CONTEXT_TAKEOVER] = client;
        c.message.opcode = unfinished ? TEXT : CONTINUATION;
        c.message.compressed = compressed;
        c.codec.inflater_memory.used = c.codec.deflater_memory.used = 64;
        memset(c.codec.inflater_memory.memory, 1, 64);
        memset(c.codec.deflater_memory.memory, 1, 64);
        memset(c.codec.reply, 1, deflated_size(&c.message));
        codec_release(&c.codec, &c.message, &c.agreed);
        CHECK_NUMBER(server ? 0 : 64, c.codec.deflater_memory.used, "server %d", server);
        CHECK_NUMBER(!server, c.codec.deflater_memory.memory[0], "server %d", server);
        CHECK_NUMBER(client && !inside ? 0 : 64, c.codec.inflater_memory.used, "client %d, inside %d", client,
                     inside);
        CHECK_NUMBER(!client || inside, c.codec.inflater_memory.memory[0], "client %d, inside %d", client,
                     inside);
        CHECK(!c.codec.reply[0] && !c.codec.reply[deflated_size(&c.message) - 1], "the reply");
        c.codec.inflater_memory.used = 0; /* initialise zlib again */
    }
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(DEFLATE_LEVEL, 6);
    CHECK_LIMIT(DEFLATE_MEMORY_LEVEL, 8);
    CHECK_LIMIT(CODEC_MEMORY, 512 << 10);
    CHECK_LIMIT(INFLATE_BLOCK_SIZE, 64 << 10);
    CHECK_LIMIT(WINDOW_SIZE, 32768);
}
