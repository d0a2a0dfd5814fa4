/*
 * stream - reads and writes the connection: descriptors, buffers, deadlines of writes, and how it was lost
 *
 * Input and output are one socket, or two pipes or files, which block.  A read takes what there is and waits
 * until a deadline; a write goes on until everything is written or the peer is given up.  Knows nothing of
 * what the bytes mean.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outcome.h"

enum {
    INPUT_SIZE = 256 * 1024,  /* bytes that one read takes at most */
    OUTPUT_SIZE = 512 * 1024, /* bytes of answers that one write gathers at most */
};

/* What the lab does to writes; zeros do nothing. */
struct pace {
    size_t slice;       /* bytes that one write takes at most; 0: any number */
    unsigned pauses;    /* that were made between slices */
    int64_t next_slice; /* when the next one may be written */
    int64_t hold_until; /* no write begins before */
};

struct stream {
    bool sockets; /* input and output are sockets */
    bool tcp;     /* of TCP */
    bool paced;   /* `pace` has an effect */
    bool reset;   /* the connection ends with a reset */
    bool lost;    /* nothing more is read or written: `lost_how`, with the errno in `error` */
    bool closing; /* our last word is in the output; signals are ignored from now on */
    int input_flags, output_flags; /* of their descriptors, without O_NONBLOCK */
    enum outcome lost_how;
    int error;
    int64_t timeout; /* microseconds that a write may wait without progress; 0: for ever */
    int64_t now;     /* of the monotonic clock, when the last read or waiting write returned */
    int64_t heard;   /* when bytes of the peer came last, or it took the rest of a write that had to wait */
    int64_t stop_deadline; /* once a signal has been seen: until when output may take; else NEVER */
    uint64_t bytes_in, bytes_out;
    size_t input_start, input_end; /* what was read and not yet consumed lies between them */
    size_t output_used;
    struct pace pace;
    uint8_t input[INPUT_SIZE];
    uint8_t output[OUTPUT_SIZE];
};

/* What a wait for the peer ends with. */
enum arrival {
    BYTES,
    END_OF_STREAM,
    DUE,  /* the deadline has passed */
    STOP, /* a signal has come, and we are not closing yet */
    LOST, /* the connection is lost */
};

/* Moves what is left of the input to its front. */
void stream_move_to_front(struct stream *stream);

/*
 * Moves what is left of the input to its front, and reads more behind it; waits for that until `deadline`.
 * Sets `time`, where bytes came or the deadline has passed.
 */
enum arrival stream_receive(struct stream *stream, int64_t deadline);

/* Returns room for `length` bytes of output; the caller adds them to output_used.  May write for that. */
uint8_t *stream_reserve(struct stream *stream, size_t length);

/* Writes the gathered output. */
void stream_flush(struct stream *stream);

/* Writes the gathered output, and then `length` more bytes, without copying these. */
void stream_flush_with(struct stream *stream, const void *more, size_t length);

/*
 * Sleeps until a time, or until a stop; neither reads nor writes.  Sets `now`.  Returns false if the
 * connection is lost.
 */
bool stream_sleep_until(struct stream *stream, int64_t time);

/*
 * Makes the end of the process reset the connection: SO_LINGER of zero, socket(7).  Nothing more is read or
 * written.  Returns false with errno in `error` if that fails.
 */
bool stream_reset(struct stream *stream);

/*
 * Ends our side of the stream, which reaches the peer even while a service manager still holds the
 * connection.
 */
void stream_end_output(const struct stream *stream);

#endif
