/* SPDX-License-Identifier: MIT */
/* Tests of stream.c */
#include "../../src/clock.c"
#include "../../src/stream.c"
#include "check.h"
#include "utf8_texts.h"

TEST(a_deadline_that_is_set_loses_nothing)
{
    static struct stream stream;
    CHECK(arm_or_lose(&stream, NEVER) && !stream.lost, "nothing was lost");
}

TEST(an_end_for_each_error_of_a_read_or_write)
{
    static const int network[] = {ETIMEDOUT,   EACCES, ECONNREFUSED, EHOSTDOWN,  EHOSTUNREACH, ENETDOWN,
                                  ENETUNREACH, ENONET, ENOPROTOOPT,  EOPNOTSUPP, EPROTO};
    for (int error = 0; error < 200; error++) {
        enum outcome due = error == ECONNRESET || error == EPIPE ? RESET : WRITE_FAILED;
        for (size_t i = 0; i < COUNT_OF(network); i++)
            due = error == network[i] ? NETWORK_LOST : due;
        CHECK_NUMBER(due, outcome_of_error(error, WRITE_FAILED), "%s", strerror(error));
    }
}

TEST(what_has_been_written_and_empty_parts_are_removed_from_the_front)
{
    static const struct {
        size_t lengths[3], written;
        int left;
        size_t first, offset;
    } rows[] = {
        {{3, 4, 5}, 0, 3, 0, 0}, {{3, 4, 5}, 2, 3, 0, 2},  {{3, 4, 5}, 3, 2, 1, 0},  {{3, 4, 5}, 4, 2, 1, 1},
        {{3, 4, 5}, 7, 1, 2, 0}, {{3, 4, 5}, 11, 1, 2, 4}, {{3, 4, 5}, 12, 0, 0, 0}, {{0, 4, 5}, 0, 2, 1, 0},
        {{3, 0, 5}, 3, 1, 2, 0}, {{3, 0, 0}, 3, 0, 0, 0},  {{0, 0, 0}, 0, 0, 0, 0},
    };
    static uint8_t bytes[16];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct iovec parts[3], *rest = parts;
        int count = 3;
        for (size_t part = 0; part < 3; part++)
            parts[part] = (struct iovec){bytes + 5 * part, rows[i].lengths[part]};
        CHECK_NUMBER(rows[i].left > 0, skip_written(&rest, &count, rows[i].written), "row %zu", i);
        CHECK_NUMBER(rows[i].left, count, "row %zu", i);
        if (count == 0)
            continue;
        CHECK(rest == parts + rows[i].first, "row %zu", i);
        CHECK(rest->iov_base == bytes + 5 * rows[i].first + rows[i].offset, "row %zu", i);
        CHECK_NUMBER(rows[i].lengths[rows[i].first] - rows[i].offset, rest->iov_len, "row %zu", i);
    }
}

TEST(a_write_is_interrupted_after_a_quarter_of_the_timeout_or_when_the_time_to_stop_is_over)
{
    static struct stream stream;
    signal(SIGALRM, note_expiry);
    for (int64_t timeout = 0; timeout <= 4000; timeout += 1000)
        for (stopping = 0; stopping < 2; stopping++) {
            stream = (struct stream){
                .cached_now = clock_now(), .stop_deadline = NEVER, .timeout = timeout * SECOND};
            armed_for = NEVER;
            expired = 1;
            int64_t begin = clock_now();
            CHECK(arm_for_write(&stream), "timeout %d", (int)timeout);
            if (stopping) {
                CHECK(begin + 2 * SECOND <= armed_for && armed_for <= clock_now() + 2 * SECOND,
                      "two seconds");
                CHECK_NUMBER(armed_for, stream.stop_deadline, "when it is over");
                CHECK(arm_for_write(&stream) && stream.stop_deadline == armed_for, "no later one");
            } else {
                CHECK_NUMBER(timeout ? stream.cached_now + timeout * SECOND / 4 : NEVER, armed_for,
                             "timeout %d", (int)timeout);
                CHECK_NUMBER(NEVER, stream.stop_deadline, "nothing stops it");
            }
            stream.lost = true;
            CHECK(!arm_for_write(&stream), "a connection that is lost");
        }
    stopping = expired = 0;
    set_timer(0);
    armed_for = NEVER;
    signal(SIGALRM, SIG_DFL);
}

TEST(a_peer_that_takes_nothing_has_the_timeout_from_when_it_last_took_something)
{
    static const struct {
        const char *what;
        int64_t timeout, checked, progress, stop; /* seconds ago; stop: seconds from now */
        size_t written;
        bool waits;
        int64_t progress_after;
    } rows[] = {
        {"it takes something", 60, 15, 200, 1000, 1, true, 0},
        {"the first look", 60, 15, -1, 1000, 0, true, 0},
        {"it took something a while ago", 60, 15, 59, 1000, 0, true, 59},
        {"it has had its time", 60, 15, 60, 1000, 0, false, 60},
        {"this process was stopped for a while", 60, 32, 90, 1000, 0, true, 0},
        {"the look comes late, but not by so much", 59, 30, 90, 1000, 0, false, 90},
        {"without a timeout", 0, 0, 100000, 1000, 0, true, 100000},
        {"it stops", 60, 15, 15, 0, 1, false, 0},
        {"it stops soon", 60, 15, 15, 1, 1, true, 0},
    };
    static struct stream stream;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t begin = clock_now(),
                last_progress = rows[i].progress < 0 ? NEVER : begin - rows[i].progress * SECOND;
        stream.timeout = rows[i].timeout * SECOND;
        stream.cached_now = begin - rows[i].checked * SECOND;
        stream.stop_deadline = begin + rows[i].stop * SECOND;
        CHECK_NUMBER(rows[i].waits, may_continue(&stream, rows[i].written, &last_progress), "%s",
                     rows[i].what);
        CHECK(begin <= stream.cached_now && stream.cached_now <= clock_now(), "%s: the time", rows[i].what);
        CHECK(rows[i].progress_after ? last_progress == begin - rows[i].progress_after * SECOND
                                     : last_progress == stream.cached_now,
              "%s: when it took something", rows[i].what);
    }
}

TEST(a_pause_between_slices_counts_if_it_is_slept)
{
    static struct stream stream;
    static const struct {
        int64_t hold, slice; /* microseconds from now until a write may begin, and until the next slice */
        unsigned pauses;
    } rows[] = {{0, 0, 0},    {-1000, -2000, 0}, {-2000, -1000, 0}, {2000, 1000, 0},
                {2000, 0, 0}, {1000, 2000, 1},   {0, 2000, 1}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t last_progress = NEVER, now = clock_now();
        stream =
            (struct stream){.pace = {.hold_until = now + rows[i].hold, .next_slice = now + rows[i].slice}};
        CHECK(wait_for_pace(&stream, &last_progress) && !stream.lost, "row %zu", i);
        CHECK_NUMBER(rows[i].pauses, stream.pace.pauses, "row %zu", i);
        CHECK(stream.cached_now >= stream.pace.hold_until && stream.cached_now >= stream.pace.next_slice,
              "row %zu", i);
        CHECK_NUMBER(NEVER, last_progress, "row %zu", i);
    }
}

TEST(what_does_not_fit_into_the_output_leaves_first)
{
    static struct stream stream = {.lost = true, .lost_how = RESET}; /* so nothing is written */
    for (size_t length = 0; length < 3; length++) {
        stream.output_used = OUTPUT_SIZE - 1;
        CHECK(stream_reserve(&stream, length) == stream.output + (length < 2 ? OUTPUT_SIZE - 1 : 0),
              "%zu bytes", length);
    }
}

TEST(what_is_left_of_the_input_moves_to_its_front)
{
    static struct stream stream;
    static uint8_t expected[INPUT_SIZE];
    static const size_t places[] = {0, 1, 2, 1000, INPUT_SIZE / 2, INPUT_SIZE - 1, INPUT_SIZE};
    for (size_t i = 0; i < COUNT_OF(places); i++)
        for (size_t j = i; j < COUNT_OF(places); j++) {
            size_t start = places[i], end = places[j];
            fill(stream.input, INPUT_SIZE, utf8_patterns[5]);
            memcpy(expected, stream.input + start, end - start);
            stream.input_start = start;
            stream.input_end = end;
            stream_move_to_front(&stream);
            CHECK_NUMBER(0, stream.input_start, "from %zu to %zu", start, end);
            CHECK_BYTES(expected, end - start, stream.input, stream.input_end, "from %zu to %zu", start, end);
        }
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(INPUT_SIZE, 256 << 10);
    CHECK_LIMIT(OUTPUT_SIZE, 512 << 10);
    CHECK_LIMIT(STOP_TIME, 2000000);
    CHECK_LIMIT(sizeof(((struct stream *)0)->input), 256 << 10);
    CHECK_LIMIT(sizeof(((struct stream *)0)->output), 512 << 10);
}
