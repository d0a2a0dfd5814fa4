/* SPDX-License-Identifier: MIT */
/* Tests of echo.c */
#include "../../src/echo.c"
#include "../../src/message.c"
#include "check.h"

static const struct options defaults = {.max_message = 16 << 20, .prefix = {8, "server: "}};

TEST(both_buffers_go_back_but_for_what_waits_in_them)
{
    struct connection *c =
        (void *)memory_map(sizeof *c); /* a mapping, since emulators release pages only there */
    struct stream *stream = &c->stream;
    const struct {
        const uint8_t *bytes;
        size_t size, used;
    } rows[] = {{stream->input, sizeof stream->input, 100000},
                {stream->output, sizeof stream->output, 150000}};
    c->message.limit = 1 << 20;
    CHECK(message_map(&c->message), "memory for a message");
    memset(payload_end(&c->message), 1, 1 << 20);
    stream->input_start = 100;
    stream->input_end = rows[0].used;
    stream->output_used = rows[1].used;
    memset(stream->input, 1, sizeof stream->input);
    memset(stream->output, 1, sizeof stream->output);
    release_idle_memory(c);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t kept = strnlen((const char *)rows[i].bytes, rows[i].size);
        CHECK(rows[i].used <= kept && kept < rows[i].used + PAGE_MAX, "buffer %zu: %zu bytes", i, kept);
        CHECK_NUMBER(0, rows[i].bytes[rows[i].size - PAGE_MAX], "the end of buffer %zu", i);
    }
    CHECK_NUMBER(0, c->message.memory[PAGE_MAX], "the memory of the message, beyond what is kept");
    CHECK_NUMBER(NEVER, c->message.release_at, "nothing more is to be given back");
    munmap(c->message.memory, memory_size(&c->message));
    munmap(c, sizeof *c);
}

TEST(an_answer_is_never_written_beyond_the_output)
{
    static struct connection c = {.options = &defaults, .stream = {.lost = true, .lost_how = RESET}};
    static uint8_t payload[CONTROL_PAYLOAD_MAX];
    for (size_t left = 0; left <= 2 * REPLY_ROOM; left++) {
        c.stream.output_used = OUTPUT_SIZE - left;
        put_control(&c, PONG, payload, sizeof payload);
        CHECK(c.stream.output_used <= OUTPUT_SIZE, "a Pong, %zu bytes left", left);
        c.stream.output_used = OUTPUT_SIZE - left;
        CHECK_NUMBER(DONE, echo_frame(&c, &(struct frame){.opcode = TEXT, .length = sizeof payload}, payload),
                     "an echo, %zu bytes left", left);
        CHECK(c.stream.output_used <= OUTPUT_SIZE, "an echo, %zu bytes left", left);
    }
}

TEST(what_is_due_for_memory_brings_no_ping_where_none_are_wanted)
{
    static struct options options = {.ping_interval = 0};
    static struct connection c;
    c.options = &options;
    for (options.timeout = 0; options.timeout <= 60 * SECOND; options.timeout += 60 * SECOND) {
        c.stream.cached_now = SECOND / 10;
        CHECK_NUMBER(DONE, note_silence(&c, SECOND / 10), "a tenth of a second");
        CHECK_NUMBER(0, c.stream.output_used, "bytes of Pings");
    }
}

/* Prepares a connection for compressed messages. */
static void prepare_inflating(struct connection *c)
{
    c->options = &defaults;
    c->message.limit = defaults.max_message;
    CHECK(message_map(&c->message) && begin_inflating(&c->codec, &c->message, &c->agreed), "memory");
}

TEST(memory_is_due_a_tenth_of_a_second_after_the_last_compressed_message)
{
    static struct connection c = {.message.release_at = NEVER};
    prepare_inflating(&c);
    c.message.utf8 = UTF8_WHOLE;
    c.message.opcode = BINARY;
    c.message.length = RESIDENT_MAX - REPLY_ROOM;
    CHECK_NUMBER(DONE, echo_message(&c), "a message that fits what is kept");
    CHECK_NUMBER(NEVER, c.message.release_at, "nothing is due after it");
    for (unsigned count = 1; count <= 2; count++) {
        c.stream.cached_now = 1000 * count;
        c.message.opcode = TEXT;
        c.message.compressed = true;
        c.message.utf8 = UTF8_WHOLE;
        CHECK_NUMBER(DONE, echo_message(&c), "an empty message");
        CHECK_NUMBER(c.stream.cached_now + 100000, c.message.release_at, "microseconds");
        CHECK(c.messages == 1 + count && c.message.opcode == CONTINUATION && c.message.length == 0,
              "it is done");
    }
}

TEST(a_ping_or_the_end_is_due_whichever_is_first)
{
    static const struct {
        int64_t timeout, ping_interval;
        unsigned pings;
        int64_t due;
    } rows[] = {
        {60, 20, 0, 20}, {60, 20, 1, 40}, {60, 20, 2, 60}, {60, 25, 0, 25}, {60, 25, 1, 50},
        {60, 25, 2, 60}, {60, 0, 0, 60},  {0, 20, 0, 20},  {0, 20, 1, 40},  {60, 59, 0, 59},
        {60, 59, 1, 60}, {2, 1, 1, 2},    {60, 30, 1, 60}, {1, 0, 0, 1},    {60, 45, 1, 60},
    };
    static struct options options;
    static struct connection c = {
        .options = &options, .silent_since = 1000 * SECOND, .message.release_at = NEVER};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        options.timeout = rows[i].timeout * SECOND;
        options.ping_interval = rows[i].ping_interval * SECOND;
        c.pings = rows[i].pings;
        CHECK_NUMBER((1000 + rows[i].due) * SECOND, next_deadline(&c, c.message.release_at),
                     "timeout %d, ping interval %d, %u Pings", (int)rows[i].timeout,
                     (int)rows[i].ping_interval, rows[i].pings);
    }
    options.timeout = options.ping_interval = 0;
    CHECK_NUMBER(NEVER, next_deadline(&c, c.message.release_at), "nothing is due where there is neither");
    c.message.release_at = 1001 * SECOND;
    CHECK_NUMBER(1001 * SECOND, next_deadline(&c, c.message.release_at), "memory is to be given back");
    options.timeout = SECOND / 2;
    CHECK_NUMBER(1000 * SECOND + SECOND / 2, next_deadline(&c, c.message.release_at),
                 "the end is before that");
}

/*
 * Lets the peer of a connection be silent until the connection ends, or for `rounds` deadlines, each of which
 * is noticed `late` units late.
 */
static enum outcome be_silent(struct connection *c, const struct options *options, int rounds, int64_t late)
{
    enum outcome ending = DONE;
    *c = (struct connection){.options = options, .message.release_at = NEVER};
    for (; ending == DONE && rounds > 0; rounds--) {
        int64_t deadline = next_deadline(c, c->message.release_at);
        c->stream.cached_now = deadline + late;
        ending = note_silence(c, deadline);
    }
    return ending;
}

TEST(silence_brings_a_ping_every_interval_and_ends_at_the_timeout)
{
    static struct connection c;
    struct options options;
    for (int64_t late = 0; late <= 100; late += 50) /* as late as after SIGSTOP */
        for (options.timeout = 1; options.timeout <= 40; options.timeout++)
            for (options.ping_interval = 0; options.ping_interval < options.timeout;
                 options.ping_interval++) {
                int64_t pings = options.ping_interval ? (options.timeout - 1) / options.ping_interval : 0;
                CHECK_NUMBER(IDLE, be_silent(&c, &options, 100, late), "timeout %d, ping interval %d",
                             (int)options.timeout, (int)options.ping_interval);
                CHECK_NUMBER(options.timeout, c.stream.cached_now - c.silent_since, "ping interval %d",
                             (int)options.ping_interval);
                CHECK_NUMBER(2 * pings, c.stream.output_used, "bytes of Pings, timeout %d, ping interval %d",
                             (int)options.timeout, (int)options.ping_interval);
                for (size_t i = 0; i + 1 < c.stream.output_used; i += 2)
                    CHECK_BYTES("\x89\0", 2, c.stream.output + i, 2, "Ping %zu", i / 2);
            }
}

TEST(without_a_timeout_pings_go_on_for_ever)
{
    static struct connection c;
    static const struct options options = {.timeout = 0, .ping_interval = 20 * SECOND};
    CHECK_NUMBER(DONE, be_silent(&c, &options, 1000, 0), "after 1000 deadlines");
    CHECK_NUMBER(2 * 1000, c.stream.output_used, "bytes of Pings");
    CHECK_NUMBER(1000 * 20 * SECOND, c.stream.cached_now, "time");
}

TEST(a_silence_begins_anew_when_the_peer_was_heard_since)
{
    static struct connection c = {
        .pings = 2, .counted_activity = 5, .silent_since = 7, .stream.last_activity = 5};
    note_activity(&c);
    CHECK(c.pings == 2 && c.counted_activity == 5 && c.silent_since == 7, "it was not heard");
    c.stream.last_activity = 9;
    note_activity(&c);
    CHECK(c.pings == 0 && c.counted_activity == 9 && c.silent_since == 9, "it was heard");
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(RESIDENT_MAX, 64 << 10);
    CHECK_LIMIT(QUIET_TIME, 100000);
}
