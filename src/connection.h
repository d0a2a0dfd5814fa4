/*
 * connection - the one connection of a process: what its rooms on the top floor share
 */
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
 * A value of the request that the record has, copied from the input: one byte more than is logged, and a
 * NUL.
 */
struct value {
    size_t length;
    char bytes[LOGGED_MAX + 2];
};

/* What the lab does to the connection; zeros do nothing, except that nothing is due at NEVER. */
struct lab {
    bool takes_replies;  /* it mutes, holds, fragments or counts them */
    uint16_t muted;      /* a bit for each opcode, 1 << TEXT and so on; CLOSE: the answer to the peer's */
    int64_t latency;     /* of replies */
    uint64_t held_input; /* stream.bytes_in when replies were held last: those of one read go out together */
    uint64_t fragment;   /* bytes of payload in a frame of a reply; 0: any number */
    uint64_t count_left; /* complete messages until the trigger; 0: it does not wait for them */
    unsigned repeats;    /* of the hello, so far */
    int64_t due_at;      /* when the earlier one of the next two is due */
    int64_t trigger_at, repeat_at;
};

/*
 * Members share pages in this order: first what every connection touches, then the arrays of the head and the
 * stream, of which few connections touch more than the front, then what few connections touch at all.
 */
struct connection {
    const struct options *options;
    struct log log;
    struct address peer;
    bool sandboxed;        /* the filter of system calls is in force */
    bool nothing_received; /* no byte of a request has come */
    bool open;             /* the request was answered with 101 */
    int status;            /* HTTP; 0: nothing was answered */
    int64_t started;       /* as all times: microseconds of the monotonic clock */

    int64_t heard;        /* stream.heard, when the silence was last seen to begin anew */
    int64_t silent_since; /* the same, less what this process was late */
    unsigned pings;       /* sent in this silence */

    struct compression agreed;
    struct frame frame;
    uint64_t payload_left; /* of the data frame that is being gathered or skipped, bytes; 0: none is */
    struct message message;
    uint64_t messages; /* that were echoed */

    bool close_received; /* the peer's Close has come, whether it was right or not */
    bool close_sent;     /* ours is in the output */
    bool has_close_code;
    uint16_t close_code; /* of the first Close, whoever sent it */
    struct slice close_reason;
    int64_t closing_deadline; /* set once our last word is written: until when the peer is read */
    uint64_t closing_limit;   /* the same for bytes_in */

    struct lab lab;

    struct value path, origin, user_agent;
    struct head head; /* parts of the input, until more is read behind the request */
    struct stream stream;

    struct codec codec;
    char extension[EXTENSION_SIZE]; /* as it was answered */
    struct value subprotocol, forwarded;
    char peer_reason[CONTROL_PAYLOAD_MAX];
    struct words words; /* of the lab */
};

#endif
