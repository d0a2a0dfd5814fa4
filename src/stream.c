/* SPDX-License-Identifier: MIT */
/* stream - see stream.h */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "stream.h"
#include "text.h"

#define STOP_TIME (2 * SECOND) /* for all remaining output after a stop signal */
#define PAUSE (SECOND / 100)   /* between two slices: see struct pace */

enum { PAUSES_MAX = 1000 /* in one connection; later writes are not sliced */ };

/* Returns the outcome for an errno of read or write; `fault` for one that no peer can cause. */
static enum outcome outcome_of_error(int error, enum outcome fault)
{
    switch (error) {
    case ECONNRESET:
    case EPIPE: return RESET;
    case ETIMEDOUT:
    /* TCP returns these after an ICMP error, for example when a firewall starts to reject. */
    case EACCES:
    case ECONNREFUSED:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPROTO: return NETWORK_LOST;
    default: return fault;
    }
}

/* Marks the connection as lost, with the current errno; nothing more is written to it. */
static void stream_lose(struct stream *stream, enum outcome how)
{
    stream->lost = true;
    stream->lost_how = how;
    stream->error = errno;
}

/* Arms the timer.  If that fails, marks the connection as lost and returns false. */
static bool arm_or_lose(struct stream *stream, int64_t deadline)
{
    bool armed = clock_arm(deadline);
    if (!armed)
        stream_lose(stream, CLOCK_FAILED);
    return armed;
}

/*
 * Tells whether a failed read or write can be repeated: after EINTR, or after EAGAIN, once O_NONBLOCK is
 * cleared.  Another process that shares the socket can set O_NONBLOCK at any time.
 */
static bool may_try_again(int descriptor, int flags)
{
    return errno == EINTR || (errno == EAGAIN && fcntl(descriptor, F_SETFL, flags) == 0);
}

void stream_move_to_front(struct stream *stream)
{
    if (stream->input_start == 0)
        return;
    stream->input_end -= stream->input_start;
    memmove(stream->input, stream->input + stream->input_start, stream->input_end);
    stream->input_start = 0;
}

enum arrival stream_receive(struct stream *stream, int64_t deadline)
{
    stream_move_to_front(stream);
    /* smaller() only helps gcc 14, which cannot see that the difference is at most INPUT_SIZE, and warns. */
    size_t room = smaller(INPUT_SIZE - stream->input_end, INPUT_SIZE);
    while (!stream->lost && arm_or_lose(stream, deadline)) {
        if (stopping && !stream->closing)
            return STOP;
        ssize_t received = read(STDIN_FILENO, stream->input + stream->input_end, room);
        if (received == 0)
            return END_OF_STREAM;
        if (received < 0 && !may_try_again(STDIN_FILENO, stream->input_flags)) {
            stream_lose(stream, outcome_of_error(errno, READ_FAILED));
            break;
        }
        stream->cached_now = clock_now();
        if (received > 0) {
            stream->last_activity = stream->cached_now;
            stream->bytes_in += (uint64_t)received;
            stream->input_end += (size_t)received;
            return BYTES;
        }
        if (stream->cached_now >= deadline)
            return DUE;
    }
    return LOST;
}

/*
 * Arms the timer for a write: for a quarter of the timeout, after which may_continue checks for progress, or,
 * after a stop signal, for the end of STOP_TIME.  Returns false if the connection is lost.
 */
static bool arm_for_write(struct stream *stream)
{
    bool stop_seen;
    do {
        stop_seen = stopping;
        if (stop_seen && stream->stop_deadline == NEVER)
            stream->stop_deadline = clock_now() + STOP_TIME;
        int64_t next_check = stream->timeout > 0 ? stream->cached_now + stream->timeout / 4 : NEVER;
        if (stream->lost || !arm_or_lose(stream, stop_seen ? stream->stop_deadline : next_check))
            return false;
    } while (stop_seen != stopping); /* the signal came before clock_arm, which then set the timer too late */
    return true;
}

/* Sets a linger time of zero, socket(7).  Returns false with errno if the kernel refuses. */
static bool set_linger_of_zero(void)
{
    return setsockopt(STDOUT_FILENO, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                      sizeof(struct linger)) == 0;
}

/*
 * Gives up a peer that does not read.  With SO_LINGER and a linger time of zero, closing the socket resets
 * the connection and discards unsent output instead of keeping it in the kernel.
 */
static void stream_give_up(struct stream *stream)
{
    stream_lose(stream, NOT_READ);
    if (stream->sockets && !set_linger_of_zero())
        stream_lose(stream, LINGER_FAILED);
}

bool stream_reset(struct stream *stream)
{
    stream->reset = set_linger_of_zero();
    stream_lose(stream, stream->reset ? RESET : LINGER_FAILED);
    return stream->reset;
}

/* Removes `written` bytes, and empty parts, from the front of the parts.  Returns false when none is left. */
static bool skip_written(struct iovec **parts, int *count, size_t written)
{
    for (; *count > 0 && written >= (*parts)->iov_len; ++*parts, --*count)
        written -= (*parts)->iov_len;
    if (*count == 0)
        return false;
    (*parts)->iov_base = (uint8_t *)(*parts)->iov_base + written;
    (*parts)->iov_len -= written;
    return true;
}

/*
 * Decides whether an unfinished write, which has moved `written` bytes since the last call, may go on.
 * `*last_progress` is when bytes last moved, NEVER in the first call.  Returns false once no byte has moved
 * for the timeout, or stop_deadline has passed.
 */
static bool may_continue(struct stream *stream, size_t written, int64_t *last_progress)
{
    int64_t previous = stream->cached_now;
    stream->cached_now = clock_now();
    /*
     * The timer interrupts a write after a quarter of the timeout.  If we wake far later, we were suspended
     * ourselves; that time does not count against the peer.
     */
    bool woken_late = stream->cached_now - previous > stream->timeout / 2 + SECOND;
    if (written > 0 || *last_progress == NEVER || woken_late)
        *last_progress = stream->cached_now;
    return stream->cached_now < stream->stop_deadline &&
           (stream->timeout == 0 || stream->cached_now - *last_progress < stream->timeout);
}

bool stream_sleep_until(struct stream *stream, int64_t time)
{
    if (!stream->lost && !clock_sleep_until(time))
        stream_lose(stream, CLOCK_FAILED);
    stream->cached_now = clock_now();
    return !stream->lost;
}

/*
 * Waits until the lab lets the next write begin.  Moves `*last_progress` by the time that this takes, which
 * does not count against the peer.  Returns false if the connection is lost.
 */
static bool wait_for_pace(struct stream *stream, int64_t *last_progress)
{
    struct pace *pace = &stream->pace;
    int64_t previous = stream->cached_now;
    bool slice_waits = pace->next_slice > pace->hold_until;
    int64_t begin = slice_waits ? pace->next_slice : pace->hold_until;
    stream->cached_now = clock_now();
    if (stream->cached_now < begin) {
        pace->pauses += slice_waits;
        stream_sleep_until(stream, begin);
    }
    if (*last_progress != NEVER)
        *last_progress += stream->cached_now - previous;
    return !stream->lost;
}

/*
 * Writes one slice of the first part, or all of it after PAUSES_MAX or a stop.  Sets `*waited` if the peer
 * did not take all of that at once.  Returns as write(2) does.
 */
static ssize_t write_slice(struct stream *stream, const struct iovec *part, bool *waited)
{
    struct pace *pace = &stream->pace;
    bool sliced = pace->slice > 0 && pace->pauses < PAUSES_MAX && !stopping;
    size_t length = sliced ? smaller(part->iov_len, pace->slice) : part->iov_len;
    ssize_t result = write(STDOUT_FILENO, part->iov_base, length);
    if (sliced)
        pace->next_slice = clock_now() + PAUSE;
    *waited = *waited || result < (ssize_t)length;
    return result;
}

/*
 * Writes all parts.  Any progress restarts the timeout; without progress for the whole timeout, or after
 * stop_deadline, the connection is given up.
 */
static void write_all(struct stream *stream, struct iovec *parts, int count)
{
    int64_t last_progress = NEVER;
    size_t written = 0;
    unsigned writes = 0;
    bool waited = false; /* where writes are paced; elsewhere one that is continued has waited */
    while (skip_written(&parts, &count, written)) {
        if (writes++ > 0 && !may_continue(stream, written, &last_progress)) {
            stream_give_up(stream);
            return;
        }
        if (stream->paced && !wait_for_pace(stream, &last_progress))
            return;
        if (!arm_for_write(stream))
            return;
        ssize_t result = stream->paced ? write_slice(stream, parts, &waited)
                         : count == 1  ? write(STDOUT_FILENO, parts->iov_base, parts->iov_len)
                                       : writev(STDOUT_FILENO, parts, count);
        if (result < 0 && !may_try_again(STDOUT_FILENO, stream->output_flags)) {
            stream_lose(stream, outcome_of_error(errno, WRITE_FAILED));
            return;
        }
        written = result > 0 ? (size_t)result : 0;
        stream->bytes_out += written;
    }
    if (stream->paced ? waited : writes > 1)
        stream->cached_now = stream->last_activity = clock_now();
}

void stream_flush_with(struct stream *stream, const void *bytes, size_t length)
{
    struct iovec parts[] = {{stream->output, stream->output_used}, {(void *)(uintptr_t)bytes, length}};
    stream->output_used = 0;
    if (stream->lost)
        return;
    if (parts[0].iov_len > 0)
        write_all(stream, parts, length > 0 ? 2 : 1);
    else
        write_all(stream, parts + 1, 1);
}

void stream_flush(struct stream *stream)
{
    stream_flush_with(stream, NULL, 0);
}

uint8_t *stream_reserve(struct stream *stream, size_t length)
{
    if (OUTPUT_SIZE - stream->output_used < length)
        stream_flush(stream);
    return stream->output + stream->output_used;
}

void stream_end_output(const struct stream *stream)
{
    if (stream->sockets)
        shutdown(STDOUT_FILENO, SHUT_WR);
    else
        close(STDOUT_FILENO);
}
