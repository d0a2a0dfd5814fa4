/* SPDX-License-Identifier: MIT */
/*
 * clock - the one timer, the signals, and why none of their wakeups is lost
 *
 * The only timer is ITIMER_REAL.  The program waits in blocking reads and writes.  SIGALRM interrupts them
 * with EINTR, because its handler is installed without SA_RESTART.  Every wait follows this order:
 *
 *     clock_arm(deadline)  ->  test `stopping`  ->  read or write, which blocks
 *
 * A SIGALRM that comes between clock_arm and the call interrupts nothing, and the call would block.
 * Therefore the timer, once expired, expires again every TICK until it is armed again.  This replaces the
 * signal mask of ppoll() and saves a system call for each message.
 *
 *     arm ......... expiry ... read blocks ... expiry, TICK later: EINTR
 *
 * SIGTERM, SIGINT and SIGHUP are not lost either.  If one comes before clock_arm, the test of `stopping` sees
 * it:
 *
 *     signal ... arm ... `stopping` is seen
 *
 * If one comes later, its handler sets the timer to expire at once, and every TICK as above:
 *
 *     arm ... signal: its handler arms for now ... read blocks ... expiry: EINTR
 *
 * A sleep follows the same order: the timer is disarmed, `stopping` tested, and clock_nanosleep takes the
 * place of the read.
 *
 * The log uses the same timer to limit the time that one line may take.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "basics.h"

#define LOG_TIME (2 * SECOND) /* the most that one line of the log may take */

extern volatile sig_atomic_t stopping; /* set by the handler of SIGTERM, SIGINT and SIGHUP */

/* Returns the time of the monotonic clock in microseconds.  The vDSO answers without a system call. */
int64_t clock_now(void);

/*
 * Installs the handlers, sets other signals and the mask to known states, whatever was inherited, and stops
 * an inherited timer.
 */
void set_signals(void);

/*
 * Arms the timer for `deadline`, a time of the monotonic clock; NEVER disarms it.  Does nothing if the timer
 * is set for that time or an earlier one and has not expired yet.  Returns false with errno if setitimer
 * fails.
 */
bool clock_arm(int64_t deadline);

/*
 * Disarms the timer and sleeps until a time of the monotonic clock, or until a stop signal:
 * clock_nanosleep(2).  Returns false with errno if the timer cannot be set or the sleep fails.
 */
bool clock_sleep_until(int64_t time);

/*
 * Arms the timer for LOG_TIME, so that a log call that blocks is interrupted.  Returns the current time, for
 * end_log_limit.  Until that is called, a stop signal does not touch the timer.
 */
int64_t limit_log_time(void);

/*
 * Disarms the timer.  `began` is what limit_log_time returned.  Returns whether the log took LOG_TIME or
 * longer.
 */
bool end_log_limit(int64_t began);

#endif
