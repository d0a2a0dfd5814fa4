/* SPDX-License-Identifier: MIT */
/* Tests of lab.c */
#include "../../src/lab.c"
#include "check.h"

TEST(the_hello_is_repeated_1000_times_at_most)
{
    static const struct options options;
    static struct connection c = {
        .options = &options, .words.repeat = SECOND, .lab = {.trigger_at = NEVER, .repeat_at = 10 * SECOND}};
    for (int second = 9; second <= 1500; second++) {
        c.stream.cached_now = second * SECOND;
        CHECK_NUMBER(DONE, lab_act(&c), "second %d", second);
        size_t times = second < 10 ? 0 : second < 1009 ? (size_t)(second - 9) : 1000;
        CHECK_NUMBER(2 * times, c.stream.output_used, "bytes, second %d", second);
        CHECK_NUMBER(times == 1000 ? NEVER : (second < 10 ? 10 : second + 1) * SECOND, c.lab.repeat_at,
                     "second %d", second);
    }
    CHECK_NUMBER(NEVER, c.lab.due_at, "nothing is due");
}

TEST(repetitions_that_were_missed_are_left_out)
{
    static const struct options options;
    static const struct {
        int64_t time, next;
    } rows[] = {{10, 20}, {29, 30},  {30, 40},   {45, 50},  {59, 60},
                {70, 80}, {90, 100}, {127, 137}, {137, 147}};
    static struct connection c = {
        .options = &options, .words.repeat = 10, .lab = {.trigger_at = NEVER, .repeat_at = 10}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        c.stream.cached_now = rows[i].time;
        CHECK_NUMBER(DONE, lab_act(&c), "row %zu", i);
        CHECK_NUMBER(rows[i].next, c.lab.repeat_at, "row %zu", i);
        CHECK_NUMBER(rows[i].next, c.lab.due_at, "row %zu", i);
        CHECK_NUMBER(2 * (i + 1), c.stream.output_used, "row %zu", i);
    }
}
