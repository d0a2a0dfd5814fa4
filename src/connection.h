/* SPDX-License-Identifier: MIT */
/* connection - the state of the one connection of this process: for ws-echo.c, echo, closing, send and lab */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "deflate.h"
#include "extension.h"
#include "frame.h"
#include "handshake.h"
#include "head.h"
#include "log.h"
#include "message.h"
#include "options.h"
#include "outcome.h"
#include "stream.h"
#include "text.h"
#include "words.h"

/*
 * A value of the request, copied from the input for the record: the bytes that are logged, one more, by which
 * the log sees that it has to cut the value, and a NUL.
 */
struct kept_value {
    size_t length;
    char bytes[LOGGED_MAX + 2];
};

/*
 * What the lab does to the connection: see words.h.  Zeros do nothing, except that a time must be NEVER if
 * nothing is due.
 */
struct lab {
    bool takes_replies;  /* it mutes, delays, fragments or counts them, which echo_frame cannot do */
    uint16_t muted;      /* bit 1 << opcode: frames that are not sent; CLOSE: the answer to the peer's */
    int64_t latency;     /* from the read of a message to its reply, microseconds */
    uint64_t held_input; /* stream.bytes_in when a reply was last delayed: once for each read */
    uint64_t fragment;   /* the most bytes of payload in a frame of a message; 0: any number */
    uint64_t count_left; /* complete messages until the trigger; 0: messages are not counted */
    unsigned repeats;    /* hellos that `repeat` has sent */
    int64_t trigger_at;  /* when `after` has passed */
    int64_t repeat_at;   /* when the next hello is sent */
    int64_t due_at;      /* the earlier of these two */
};

/*
 * The order of the members saves memory, since the kernel adds a page when it is first touched: first what
 * every connection uses, then large arrays of which most connections use the beginning only, then what few
 * connections use.
 */
struct connection {
    const struct options *options;
    struct log log;
    struct address peer;
    bool sandboxed;        /* the seccomp filter is installed */
    bool nothing_received; /* no byte of a request has arrived */
    bool open;             /* the request was answered with 101 */
    int status;            /* HTTP status of the answer; 0: none was sent */
    int64_t started;       /* all times here: monotonic clock, microseconds */

    int64_t counted_activity; /* stream.last_activity when silent_since was last set to it */
    int64_t silent_since;     /* when the peer's silence began; note_silence adds our own lateness */
    unsigned pings;           /* sent since silent_since */

    struct compression agreed; /* `acceptable`: permessage-deflate was negotiated */
    struct frame frame;        /* the data frame whose payload is being received */
    uint64_t payload_left;     /* bytes of that payload still to come; 0: the next byte begins a frame */
    struct message message;
    uint64_t messages; /* echoed so far */

    bool close_received; /* the peer's Close has arrived, valid or not */
    bool close_sent;     /* our Close is in the output, or written */
    bool has_close_code; /* close_code is set */
    uint16_t close_code; /* of the first Close frame, the peer's or ours */
    struct slice close_reason;
    int64_t drain_deadline; /* after our Close frame or HTTP answer: when we stop reading from the peer */
    uint64_t drain_limit;   /* and at which value of stream.bytes_in */

    struct lab lab;

    struct kept_value path, origin, user_agent;
    struct head head; /* slices of stream.input, valid until more is read after the head */
    struct stream stream;

    struct codec codec;
    char extension[EXTENSION_SIZE]; /* Sec-WebSocket-Extensions of our answer, or empty */
    struct kept_value subprotocol, forwarded;
    char peer_reason[CONTROL_PAYLOAD_MAX]; /* close_reason is in it if the peer closed first */
    struct words words;                    /* what the query asked the lab for */
};

#endif
