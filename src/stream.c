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

#define STOP_TIME (2 * SECOND) /* to finish writing when a signal stops the program */
#define PAUSE (SECOND / 100)   /* between two slices of the output */

enum { PAUSES_MAX = 1000 /* of one connection; afterwards writes are not sliced any more */ };

/* Returns the end for an errno of read or write; `fault` is the end if the peer cannot have caused it. */
static enum outcome outcome_of_error(int error, enum outcome fault)
{
    switch (error) {
    case ECONNRESET:
    case EPIPE: return RESET;
    case ETIMEDOUT:
    /* What an ICMP error leaves when the kernel gives up: a firewall may begin to reject. */
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

/* Notes that the connection is lost, with errno; nothing more is written to it. */
static void stream_lose(struct stream *stream, enum outcome how)
{
    stream->lost = true;
    stream->lost_how = how;
    stream->error = errno;
}

/* Arms the timer.  Returns false if that fails, by which the connection is lost. */
static bool arm_or_lose(struct stream *stream, int64_t deadline)
{
    bool armed = clock_arm(deadline);
    if (!armed)
        stream_lose(stream, CLOCK_FAILED);
    return armed;
}

/*
 * Tells whether a failed read or write can be tried again: a signal interrupted it, or another holder of the
 * connection set O_NONBLOCK after the start, which is undone.
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
    /* The difference alone gcc 14 takes for more than there is. */
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
        stream->now = clock_now();
        if (received > 0) {
            stream->heard = stream->now;
            stream->bytes_in += (uint64_t)received;
            stream->input_end += (size_t)received;
            return BYTES;
        }
        if (stream->now >= deadline)
            return DUE;
    }
    return LOST;
}

/*
 * Arms the timer for a write.  A write is interrupted after a quarter of the timeout, to see whether the peer
 * takes anything; after a signal there is STOP_TIME for everything that is still to be written.  Returns
 * false if the connection is lost.
 */
static bool arm_for_write(struct stream *stream)
{
    bool stop;
    do {
        stop = stopping;
        if (stop && stream->stop_deadline == NEVER)
            stream->stop_deadline = clock_now() + STOP_TIME;
        int64_t next_check = stream->timeout > 0 ? stream->now + stream->timeout / 4 : NEVER;
        if (stream->lost || !arm_or_lose(stream, stop ? stream->stop_deadline : next_check))
            return false;
    } while (stop != stopping); /* a stop came in between, and the timer is set for too late */
    return true;
}

/* Makes the kernel discard unread output when the process ends.  Returns false with errno if it refuses. */
static bool set_linger_of_zero(void)
{
    return setsockopt(STDOUT_FILENO, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                      sizeof(struct linger)) == 0;
}

/* Gives up a peer that does not read.  The linger of zero discards what it has not taken. */
static void stream_give_up(struct stream *stream)
{
    stream_lose(stream, NOT_READ);
    if (stream->sockets && !set_linger_of_zero())
        stream_lose(stream, LINGER_FAILED);
}

bool stream_reset(struct stream *stream)
{
    stream->reset = true;
    bool set = set_linger_of_zero();
    stream_lose(stream, set ? RESET : LINGER_FAILED);
    return set;
}

/* Removes what has been written, and empty parts, from the front.  Returns false when nothing is left. */
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
 * Judges a write that had to wait and moved `written` bytes.  `last_progress` is the time when the peer was
 * last seen to take something, NEVER at first.  Returns false when the peer has had its time.
 */
static bool may_wait_on(struct stream *stream, size_t written, int64_t *last_progress)
{
    int64_t before = stream->now;
    stream->now = clock_now();
    /* A look that comes much too late tells nothing of the peer: this process was stopped for a while. */
    bool woken_late = stream->now - before > stream->timeout / 2 + SECOND;
    if (written > 0 || *last_progress == NEVER || woken_late)
        *last_progress = stream->now;
    return stream->now < stream->stop_deadline &&
           (stream->timeout == 0 || stream->now - *last_progress < stream->timeout);
}

bool stream_sleep_until(struct stream *stream, int64_t time)
{
    if (!stream->lost && !clock_sleep_until(time))
        stream_lose(stream, CLOCK_FAILED);
    stream->now = clock_now();
    return !stream->lost;
}

/* Waits until the lab lets the next write begin.  Returns false if the connection is lost. */
static bool wait_for_pace(struct stream *stream)
{
    struct pace *pace = &stream->pace;
    bool slice_waits = pace->next_slice > pace->hold_until;
    int64_t begin = slice_waits ? pace->next_slice : pace->hold_until;
    stream->now = clock_now();
    if (stream->now >= begin)
        return true;
    pace->pauses += slice_waits;
    return stream_sleep_until(stream, begin);
}

/* Writes one slice of the first part, or all of it after PAUSES_MAX or a stop.  Returns as write(2) does. */
static ssize_t write_slice(struct stream *stream, const struct iovec *part)
{
    struct pace *pace = &stream->pace;
    bool sliced = pace->slice > 0 && pace->pauses < PAUSES_MAX && !stopping;
    if (sliced)
        pace->next_slice = stream->now + PAUSE;
    return write(STDOUT_FILENO, part->iov_base, sliced ? smaller(part->iov_len, pace->slice) : part->iov_len);
}

/*
 * Writes all parts, unless the connection gets lost.  What a write has moved when it is interrupted counts as
 * last_progress at that time; a peer whose kernel takes nothing for the timeout is given up.
 */
static void write_all(struct stream *stream, struct iovec *parts, int count)
{
    int64_t last_progress = NEVER;
    size_t written = 0;
    unsigned writes = 0;
    while (skip_written(&parts, &count, written)) {
        if (writes++ > 0 && !may_wait_on(stream, written, &last_progress)) {
            stream_give_up(stream);
            return;
        }
        if (stream->paced && !wait_for_pace(stream))
            return;
        if (!arm_for_write(stream))
            return;
        ssize_t result = stream->paced ? write_slice(stream, parts)
                         : count == 1  ? write(STDOUT_FILENO, parts->iov_base, parts->iov_len)
                                       : writev(STDOUT_FILENO, parts, count);
        if (result < 0 && !may_try_again(STDOUT_FILENO, stream->output_flags)) {
            stream_lose(stream, outcome_of_error(errno, WRITE_FAILED));
            return;
        }
        written = result > 0 ? (size_t)result : 0;
        stream->bytes_out += written;
    }
    if (writes > 1)
        stream->now = stream->heard = clock_now();
}

void stream_flush_with(struct stream *stream, const void *more, size_t length)
{
    struct iovec parts[] = {{stream->output, stream->output_used}, {(void *)(uintptr_t)more, length}};
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
