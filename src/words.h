/*
 * words - the words of the lab: the faults that the query of a request asks for
 *
 * A pure parser of `word[=value]` joined by "&".  Each word stands at most once, in any order; values are
 * percent-decoded, and "+" in a value is a space.  Knows nothing of how a fault is made.
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
    WORDS_SHOWN_SIZE = 258 /* bytes of the words as the record shows them, without a NUL */
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

/* What the words ask for; all zeros ask for nothing.  Times are durations in microseconds. */
struct words {
    int64_t delay, latency;
    int64_t repeat; /* 0: no repetition */
    int64_t after;
    int64_t stall;
    uint64_t count;           /* messages until the trigger; 0: it is not given */
    uint64_t fragment, slice; /* bytes; 0: no limit */
    int status;               /* 0: it is not given */
    unsigned bad, mute;       /* sets of the bits above */
    bool headers, hello, has_after;
    enum ending ending;
    uint16_t close_code;
    uint16_t hello_length, raw_length, reason_length; /* bytes */
    uint16_t shown_length;
    uint8_t hello_text[HELLO_MAX], raw[RAW_MAX], reason[REASON_MAX];
    char shown[WORDS_SHOWN_SIZE]; /* the words for the record, each text as its number of bytes */
};

/*
 * Parses the query of a target, without its "?", into `words`, which is all zeros before.  `timeout` is that
 * of the options: no single wait may last so long; 0: there is none.  `tcp` tells that the connection is TCP,
 * and can be reset.  Returns DONE, or why the query is refused.
 */
enum outcome words_parse(struct slice query, int64_t timeout, bool tcp, struct words *words);

/* Writes the list of all words with their values: the sentences that refuse a query contain it. */
void words_list(char list[static WORDS_LIST_SIZE]);

#endif
