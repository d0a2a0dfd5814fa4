/* SPDX-License-Identifier: MIT */
/*
 * words - the words of the lab: the faults that the query of a request asks for
 *
 * A pure parser of `word[=value]` joined by "&".  Each word stands at most once, in any order; values are
 * percent-decoded, and "+" in a value is a space.  Knows nothing of how a fault is made.
 *
 * Three words act at the trigger: raw, stall and close, in this order.  The trigger is S seconds after the
 * 101 with after=S, or the N-th message with count=N, whichever comes first; without both, it is the 101.
 */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outcome.h"
#include "text.h"

enum {
    HELLO_MAX = 1024,      /* bytes */
    RAW_MAX = 512,         /* bytes */
    REASON_MAX = 123,      /* bytes; a control frame has room for two more, the code: section 5.5 */
    WORDS_LIST_SIZE = 256, /* bytes of the list of all words, with its NUL */
    WORDS_SHOWN_SIZE = 258 /* bytes; more than LOGGED_MAX, so that the log shows where it cuts */
};

/* The names that the values of `bad` and `mute` list, as bits. */
enum { BAD_ACCEPT = 1, BAD_SUBPROTOCOL = 2, BAD_EXTENSION = 4 };
enum { MUTE_ECHO = 1, MUTE_PING = 2, MUTE_PONG = 4, MUTE_CLOSE = 8 };

/* How `close` ends the connection. */
enum ending {
    NO_ENDING,
    EMPTY_CLOSE,  /* a Close frame without a body */
    CODED_CLOSE,  /* a Close frame with close_code and reason */
    STREAM_END,   /* the end of the stream, without a Close frame */
    STREAM_RESET, /* a TCP reset */
};

/* What the words ask for; all zeros ask for nothing.  Durations are microseconds. */
struct words {
    int64_t delay;      /* before the answer */
    int64_t latency;    /* between the read of a message and its reply */
    int64_t repeat;     /* between hellos; 0: no repetition */
    int64_t after;      /* between the 101 and the trigger, if has_after is set */
    int64_t stall;      /* at the trigger; nothing is read or written meanwhile */
    uint64_t count;     /* messages until the trigger; 0: it is not given */
    uint64_t fragment;  /* the most bytes of payload in a frame of a message; 0: any number */
    uint64_t slice;     /* the most bytes of a write; 0: any number */
    int status;         /* of the answer in place of 101; 0: it is not given */
    unsigned bad, mute; /* sets of the bits above */
    bool headers, hello, has_after;
    enum ending ending;
    uint16_t close_code;
    uint16_t hello_length, raw_length, reason_length; /* bytes */
    uint16_t shown_length;
    uint8_t hello_text[HELLO_MAX], raw[RAW_MAX], reason[REASON_MAX];
    char shown[WORDS_SHOWN_SIZE]; /* the words for the record, each text as its number of bytes */
};

/*
 * Parses the query of a target, without its "?", into `words`, which starts as zeros.  `timeout` is
 * --timeout: delay, latency and stall must be shorter; 0: no timeout.  `tcp`: the connection is TCP and can
 * be reset.  Returns DONE, or why the query is refused.
 */
enum outcome words_parse(struct slice query, int64_t timeout, bool tcp, struct words *words);

/* Writes the list of all words with their values, which the sentences that refuse a query contain. */
void words_list(char list[static WORDS_LIST_SIZE]);

#endif
