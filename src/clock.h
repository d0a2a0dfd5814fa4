/*
 * clock - the one timer, the signals, and the proof that neither is lost
 *
 * The only clock is ITIMER_REAL.  The program waits in blocking reads and writes, which SIGALRM interrupts:
 * its handler has no SA_RESTART.  Whoever waits does this, in this order:
 *
 *     clock_arm(deadline)  ->  look at `stopping`  ->  read or write, which blocks
 *
 * A deadline that passes before the call blocks is not lost: after its first expiry the timer expires every
 * TICK until it is armed again.
 *
 *     arm ......... expiry ... read blocks ... expiry, TICK later: EINTR
 *
 * Nor is SIGTERM, SIGINT or SIGHUP.  One that comes before arm is seen when `stopping` is looked at:
 *
 *     signal ... arm ... stopping is seen
 *
 * One that comes later arms the timer itself, from its handler, and the timer goes on expiring as above:
 *
 *     arm ... signal, which arms for now ... read blocks ... expiry: EINTR
 *
 * A sleep of the lab is the same with clock_nanosleep in place of the read; the timer is disarmed before it.
 *
 * The log borrows the timer for the time that one line may take.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "basics.h"

#define LOG_TIME (2 * SECOND) /* for one line of the log */

extern volatile sig_atomic_t stopping; /* SIGTERM, SIGINT or SIGHUP has come */

/* Returns the time of the monotonic clock, in microseconds; the vDSO makes that no system call. */
int64_t clock_now(void);

/* Sets signals to a known state, whatever was inherited, and stops an inherited timer. */
void set_signals(void);

/*
 * Arms the timer for a deadline of the monotonic clock, unless it expires before that anyway; NEVER disarms
 * it.  Returns false with errno if the timer cannot be set.
 */
bool clock_arm(int64_t deadline);

/*
 * Sleeps until a time of the monotonic clock, or until SIGTERM, SIGINT or SIGHUP; the timer is disarmed.
 * Returns false with errno if the timer cannot be set, or clock_nanosleep(2) fails.
 */
bool clock_sleep_until(int64_t time);

/*
 * Limits the time of what follows, up to end_log_limit: a log that blocks is interrupted.  Returns the
 * time.
 */
int64_t limit_log_time(void);

/* Ends what limit_log_time began.  Returns whether the log took too long. */
bool end_log_limit(int64_t began);

#endif
