/* SPDX-License-Identifier: MIT */
/* Tests of message.c */
#include "../../src/message.c"
#include "check.h"

static const struct prefix server_prefix = {8, "server: "};

TEST(a_reply_begins_with_its_header_and_for_text_the_prefix)
{
    static const size_t lengths[] = {0, 116, 117, 118, 125, 126, 65526, 65527, 65528, 65535, 65536};
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        for (uint8_t opcode = TEXT; opcode <= BINARY; opcode++) {
            uint8_t reply[REPLY_ROOM], expected[REPLY_ROOM];
            size_t prefix = opcode == TEXT ? server_prefix.length : 0;
            size_t length = frame_encode_header(expected, opcode, lengths[i] + prefix);
            memcpy(expected + length, "server: ", prefix);
            CHECK_BYTES(expected, length + prefix, reply,
                        reply_begin(reply, opcode, lengths[i], &server_prefix), "opcode %d, %zu bytes",
                        opcode, lengths[i]);
        }
}

TEST(a_prefix_is_put_before_text_only)
{
    static const struct prefix prefix = {3, "ab:"};
    for (unsigned opcode = 0; opcode < 16; opcode++)
        CHECK_NUMBER(opcode == TEXT ? 3 : 0, prefix_length(&prefix, (uint8_t)opcode), "opcode %u", opcode);
    CHECK_NUMBER(0, prefix_length(&(struct prefix){0}, TEXT), "an empty prefix");
}

TEST(the_reply_to_a_gathered_message_is_made_around_it_and_tells_its_lengths)
{
    static const struct {
        size_t length, header;
    } rows[] = {
        {0, 2},
        {1, 2},
        {125, 2},
        {126, 4},
        {127, 4},
        {255, 4},
        {256, 4},
        {65534, 4},
        {65535, 4},
        {65536, 10},
        {65537, 10},
        {1 << 24, 10},
        {(1 << 24) + 1, 10},
    };
    struct message message = {.limit = 1 << 25};
    CHECK(message_map(&message), "memory for a message");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (uint8_t opcode = TEXT; opcode <= BINARY; opcode++) {
            size_t prefix = opcode == TEXT ? 8 : 0;
            if (rows[i].length < prefix)
                continue;
            uint8_t expected[REPLY_ROOM], *payload = message.memory + REPLY_ROOM;
            message.opcode = opcode;
            message.length =
                rows[i].length - prefix; /* so that the payload of the reply has the length of the row */
            memset(payload, 'a', 16);
            struct reply reply = message_reply(&message, &server_prefix);
            size_t begun = reply_begin(expected, opcode, message.length, &server_prefix);
            CHECK_NUMBER(rows[i].header + prefix, begun, "opcode %d, %zu bytes", opcode, rows[i].length);
            CHECK(reply.bytes == payload - begun, "opcode %d, %zu bytes", opcode, rows[i].length);
            CHECK_BYTES(expected, begun, reply.bytes, begun, "opcode %d, %zu bytes", opcode, rows[i].length);
            CHECK_NUMBER(rows[i].header + rows[i].length, reply.length, "opcode %d", opcode);
            CHECK_NUMBER(rows[i].length, reply.payload_length, "opcode %d", opcode);
            CHECK_NUMBER('a', payload[0], "the payload stays");
        }
    munmap(message.memory, memory_size(&message));
}

TEST(a_short_copy_has_all_bytes_and_touches_no_other)
{
    for (size_t length = 0; length <= 256; length++) {
        uint8_t *from = malloc(length), *to = malloc(length + 1); /* sanitizers check both ends of each */
        for (size_t i = 0; i < length; i++)
            from[i] = (uint8_t)(i + 1);
        memset(to, 0xee, length + 1);
        copy_short(to, from, length);
        CHECK_BYTES(from, length, to, length, "%zu bytes", length);
        CHECK_NUMBER(0xee, to[length], "the byte after %zu", length);
        free(from);
        free(to);
    }
}

TEST(the_memory_of_a_message_goes_back_but_for_what_is_kept_and_what_is_in_use)
{
    static const struct {
        uint64_t length;
        size_t kept;
    } rows[] = {
        {0, 65536},
        {1, 65536},
        {65536 - 266, 65536},
        {65536 - 265, 131072},
        {131072 - 266, 131072},
        {131072 - 265, 196608},
    };
    struct message message = {.limit = 1 << 20};
    CHECK(message_map(&message), "memory for a message");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t kept = 0, size = memory_size(&message);
        memset(message.memory, 1, size);
        message.length = rows[i].length;
        message_release(&message);
        while (kept < size && message.memory[kept])
            kept++;
        CHECK_NUMBER(rows[i].kept, kept, "a message of %zu bytes so far", (size_t)rows[i].length);
        CHECK(message.memory[size - 1] == 0, "up to the last page");
    }
    munmap(message.memory, memory_size(&message));
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(REPLY_ROOM, 266);
}
