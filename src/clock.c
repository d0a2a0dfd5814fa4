/* SPDX-License-Identifier: MIT */
/* clock - see clock.h */
#include <errno.h>
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

#include "clock.h"

#define TICK (SECOND / 50) /* interval of the timer after its first expiry */

volatile sig_atomic_t stopping;
static volatile sig_atomic_t expired;          /* SIGALRM has come since the timer was armed */
static volatile sig_atomic_t timer_bounds_log; /* between limit_log_time and end_log_limit */
static int64_t armed_for = NEVER;              /* the timer's deadline; NEVER: it is disarmed */

int64_t clock_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec / 1000;
}

/* Sets the timer to expire after `delay` microseconds and then every TICK; 0 disarms it. */
static int set_timer(int64_t delay)
{
    const struct itimerval timer = {
        .it_value = {.tv_sec = (time_t)(delay / SECOND), .tv_usec = (suseconds_t)(delay % SECOND)},
        .it_interval.tv_usec = delay > 0 ? TICK : 0,
    };
    return setitimer(ITIMER_REAL, &timer, NULL);
}

/* Handles SIGALRM.  That it interrupts a blocking call is its main purpose. */
static void note_expiry(int number)
{
    (void)number;
    expired = 1;
}

/*
 * Handles SIGTERM, SIGINT and SIGHUP: makes the next wait return.  POSIX does not list setitimer as
 * async-signal-safe, but on Linux it is a plain system call.
 */
static void request_stop(int number)
{
    int saved = errno;
    (void)number;
    stopping = 1;
    if (!timer_bounds_log)
        set_timer(1);
    errno = saved;
}

void set_signals(void)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGHUP}, restored[] = {SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD},
                     ignored[] = {SIGPIPE, SIGXFSZ}; /* instead, write fails with EPIPE or EFBIG */
    sigset_t none;
    set_timer(0);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = note_expiry}, NULL);
    for (size_t i = 0; i < COUNT_OF(stops); i++)
        sigaction(stops[i], &(struct sigaction){.sa_handler = request_stop, .sa_flags = SA_RESTART}, NULL);
    for (size_t i = 0; i < COUNT_OF(restored); i++)
        signal(restored[i], SIG_DFL);
    for (size_t i = 0; i < COUNT_OF(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

bool clock_arm(int64_t deadline)
{
    if (armed_for <= deadline && !expired)
        return true;
    int64_t delay = deadline == NEVER ? 0 : deadline - clock_now();
    expired = 0;
    armed_for = deadline;
    return set_timer(deadline != NEVER && delay <= 0 ? 1 : delay) == 0; /* 0 would disarm it */
}

bool clock_sleep_until(int64_t time)
{
    const struct timespec until = {.tv_sec = (time_t)(time / SECOND),
                                   .tv_nsec = (long)(time % SECOND * 1000)};
    int error = EINTR;
    if (set_timer(0) < 0)
        return false;
    armed_for = NEVER;
    while (!stopping && error == EINTR)
        error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    errno = error;
    return error == 0 || error == EINTR;
}

int64_t limit_log_time(void)
{
    /* Read the clock first: otherwise a full timeout could measure slightly less than LOG_TIME. */
    int64_t began = clock_now();
    timer_bounds_log = 1;
    set_timer(LOG_TIME);
    return began;
}

bool end_log_limit(int64_t began)
{
    set_timer(0);
    armed_for = NEVER;
    timer_bounds_log = 0;
    return clock_now() - began >= LOG_TIME;
}
