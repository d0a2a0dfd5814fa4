/* SPDX-License-Identifier: MIT */
/* Tests of clock.c */
#include "../../src/clock.c"
#include "check.h"

TEST(the_time_is_that_of_the_monotonic_clock_in_microseconds)
{
    for (int i = 0; i < 1000; i++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        int64_t time = clock_now();
        clock_gettime(CLOCK_MONOTONIC, &after);
        CHECK((int64_t)before.tv_sec * 1000000 + before.tv_nsec / 1000 <= time &&
                  time <= (int64_t)after.tv_sec * 1000000 + after.tv_nsec / 1000,
              "%lld microseconds", (long long)time);
    }
}

/* Checks the timer.  It is running, so the remaining time may be shorter than what was set. */
static void check_timer(int64_t most, int64_t least, int64_t interval, const char *what)
{
    struct itimerval timer;
    getitimer(ITIMER_REAL, &timer);
    int64_t left = (int64_t)timer.it_value.tv_sec * 1000000 + timer.it_value.tv_usec;
    CHECK(least <= left && left <= most, "%s: %lld microseconds are left", what, (long long)left);
    CHECK_NUMBER(interval, timer.it_interval.tv_sec * 1000000 + timer.it_interval.tv_usec, "%s", what);
}

TEST(the_timer_expires_after_its_delay_and_then_every_fiftieth_of_a_second)
{
    CHECK_NUMBER(0, set_timer(3600999999), "an hour");
    check_timer(3600999999, 3600000000, 20000, "an hour and almost a second");
    CHECK_NUMBER(0, set_timer(0), "off");
    check_timer(0, 0, 0, "off");
}

TEST(a_signal_that_stops_it_arms_the_timer_unless_that_bounds_the_log)
{
    signal(SIGALRM, note_expiry);
    for (timer_bounds_log = 0; timer_bounds_log < 2; timer_bounds_log++) {
        stopping = expired = 0;
        set_timer(3600000000);
        errno = EDOM;
        request_stop(SIGTERM);
        CHECK_NUMBER(EDOM, errno, "what is interrupted does not notice");
        CHECK_NUMBER(1, stopping, "the flag");
        if (timer_bounds_log)
            check_timer(3600000000, 3500000000, 20000, "the log's bound stays");
        else
            check_timer(20000, 0, 20000, "at once, and then every fiftieth of a second");
        set_timer(1);
        while (!expired)
            pause();
        CHECK_NUMBER(1, expired, "the other flag");
        set_timer(0);
    }
    timer_bounds_log = stopping = expired = 0;
    signal(SIGALRM, SIG_DFL);
}

TEST(the_timer_is_set_for_an_earlier_deadline_only_or_when_it_has_run_out)
{
    const int64_t hour = 3600 * SECOND, begin = clock_now();
    signal(SIGALRM, note_expiry);
    armed_for = NEVER;
    expired = 0;
    CHECK(clock_arm(begin + 2 * hour), "the first deadline");
    check_timer(2 * hour, 2 * hour - 60 * SECOND, 20000, "two hours");
    CHECK(clock_arm(begin + 3 * hour) && armed_for == begin + 2 * hour, "a later deadline");
    CHECK(clock_arm(begin + hour) && armed_for == begin + hour, "an earlier one");
    check_timer(hour, hour - 60 * SECOND, 20000, "an hour");
    set_timer(2 * hour);
    CHECK(clock_arm(begin + hour), "the same one");
    check_timer(2 * hour, 2 * hour - 60 * SECOND, 20000, "it is not set anew");
    expired = 1;
    CHECK(clock_arm(begin + 3 * hour) && armed_for == begin + 3 * hour && !expired, "when it has expired");
    check_timer(3 * hour, 3 * hour - 60 * SECOND, 20000, "three hours");
    expired = 1;
    CHECK(clock_arm(NEVER) && armed_for == NEVER && !expired, "no deadline");
    check_timer(0, 0, 0, "off");
    for (int64_t ago = 0; ago < 2; ago++) {
        expired = 0;
        CHECK(clock_arm(clock_now() - ago), "a deadline that has passed");
        check_timer(20000, 0, 20000, "at once");
        armed_for = NEVER;
    }
    set_timer(0);
    expired = 0;
    signal(SIGALRM, SIG_DFL);
}

TEST(a_log_that_took_too_long_is_noticed)
{
    signal(SIGALRM, note_expiry);
    for (int64_t took = LOG_TIME - SECOND; took <= LOG_TIME; took += SECOND) {
        armed_for = 5;
        int64_t began = limit_log_time();
        CHECK_NUMBER(1, timer_bounds_log, "the timer is the log's");
        check_timer(2000000, 1000000, 20000, "the limit");
        CHECK_NUMBER(took == LOG_TIME, end_log_limit(began - took), "%lld microseconds", (long long)took);
        CHECK(!timer_bounds_log && armed_for == NEVER, "the timer is free");
        check_timer(0, 0, 0, "off");
    }
    signal(SIGALRM, SIG_DFL);
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(LOG_TIME, 2000000);
    CHECK_LIMIT(TICK, 20000);
}
