/* SPDX-License-Identifier: MIT */
/*
 * stream - reads and writes the connection: descriptors, buffers, deadlines of writes, and why it was lost
 *
 * Input and output are blocking descriptors: one socket, or two pipes or files.  A read takes what has
 * arrived, or waits for it until a deadline.  A write goes on until everything is written, or until the peer
 * has accepted nothing for the timeout.  This room knows nothing of HTTP or WebSocket.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outcome.h"

enum {
    INPUT_SIZE = 256 * 1024,  /* bytes; the most that is read and not yet consumed */
    OUTPUT_SIZE = 512 * 1024, /* bytes; the most that is collected for one write */
};

/* What the lab does to writes; zeros do nothing. */
struct pace {
    size_t slice;       /* the most bytes that one write is given; 0: any number */
    unsigned pauses;    /* made between slices so far */
    int64_t next_slice; /* when the next slice may be written */
    int64_t hold_until; /* no write begins earlier */
};

struct stream {
    bool sockets; /* input and output are sockets */
    bool tcp;     /* they are of TCP */
    bool paced;   /* `pace` has an effect */
    bool reset;   /* by stream_reset: the end of the process resets the connection */
    bool lost;    /* nothing more can be read or written: `lost_how` says why, `error` is the errno */
    bool closing; /* the last output is in the buffer; stop signals no longer end a read */
    int input_flags, output_flags; /* the descriptors' flags (F_GETFL), without O_NONBLOCK */
    enum outcome lost_how;
    int error;
    int64_t timeout;       /* microseconds that a write may wait without progress; 0: for ever */
    int64_t cached_now;    /* monotonic clock when the last read or interrupted write returned */
    int64_t last_activity; /* when bytes last arrived, or a write that had to wait was completed */
    int64_t stop_deadline; /* when output is given up after a stop signal; NEVER before one */
    uint64_t bytes_in, bytes_out;
    size_t input_start, input_end; /* offsets: what was read and is not yet consumed */
    size_t output_used;
    struct pace pace;
    uint8_t input[INPUT_SIZE];
    uint8_t output[OUTPUT_SIZE];
};

/* What stream_receive returns. */
enum arrival {
    BYTES, /* bytes were added to the input */
    END_OF_STREAM,
    DUE,  /* the deadline has passed */
    STOP, /* SIGTERM, SIGINT or SIGHUP has come, and `closing` is not set */
    LOST, /* the connection is lost: see lost_how */
};

/* Moves the unconsumed input to the start of the buffer. */
void stream_move_to_front(struct stream *stream);

/*
 * Moves the unconsumed input to the start of the buffer and reads once, into the rest of the buffer, which
 * must not be full.  Waits for bytes until `deadline`, a time of the monotonic clock, or NEVER.  Sets
 * cached_now for BYTES and DUE.
 */
enum arrival stream_receive(struct stream *stream, int64_t deadline);

/*
 * Returns where `length` bytes of output (at most OUTPUT_SIZE) can be put; the caller puts them there and
 * adds their number to output_used.  Flushes the output first if they would not fit.
 */
uint8_t *stream_reserve(struct stream *stream, size_t length);

/* Writes the collected output and empties the buffer, even if the connection gets lost. */
void stream_flush(struct stream *stream);

/*
 * Writes the collected output and then `length` more bytes, which are not copied, with one writev; empties
 * the buffer.
 */
void stream_flush_with(struct stream *stream, const void *bytes, size_t length);

/*
 * Sleeps until a time of the monotonic clock, or until a stop signal; neither reads nor writes.  Sets
 * `cached_now`.  Returns false if the connection is lost.
 */
bool stream_sleep_until(struct stream *stream, int64_t time);

/*
 * Makes the end of the process reset the connection: SO_LINGER with a linger time of zero.  Nothing more is
 * read or written.  Returns false with errno in `error` if that fails.
 */
bool stream_reset(struct stream *stream);

/*
 * Ends the output: shutdown(2) of a socket, close(2) of a pipe.  shutdown sends the FIN even if a service
 * manager still holds the descriptor.
 */
void stream_end_output(const struct stream *stream);

#endif
