/* SPDX-License-Identifier: MIT */
/*
 * options - the command line: one table of all options, and a struct with their values
 *
 * Pure, except for the state of getopt.  It prints and logs nothing: start prints --help from the table, and
 * logs the error line.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basics.h"
#include "text.h"

/* Macros, because the sentences that say what a value must be contain these numbers. */
#define CHOICES_MAX 64 /* values of one repeatable option */
#define PREFIX_MAX 256 /* bytes */
#define ORIGIN_MAX 300 /* bytes; enough for the longest host name (253) with a scheme and a port */

enum { COMPLAINT_SIZE = 256 /* bytes; one line that says what is wrong on the command line */ };

enum channel { AUTO, STANDARD_ERROR, JOURNAL, SYSLOG };

/* The values of a repeatable option: names, or the keyword any or none alone. */
struct choices {
    bool any, none;
    unsigned count;
    const char *names[CHOICES_MAX];
};

struct prefix {
    size_t length;
    char bytes[PREFIX_MAX];
};

struct options {
    struct choices paths, origins, subprotocols, labs;
    struct prefix prefix;
    uint64_t max_message;           /* bytes */
    int64_t handshake_timeout;      /* microseconds, like the next two */
    int64_t ping_interval, timeout; /* 0: never */
    bool proxy_protocol, no_page, deflate, check, quiet, verbose, help, version;
    enum channel log;
    const char *user;
};

extern const struct option_row {
    char letter;                                  /* 0: there is only the long form */
    const char *name, *argument;                  /* `argument` is NULL for an option without a value */
    bool (*parse)(const char *value, void *into); /* `into` is the member at `member` */
    size_t member;                                /* offset in struct options */
    const char *help;                             /* the line of --help */
    const char *expected;                         /* completes "it must be ..."; NULL without a value */
} option_rows[];
extern const size_t option_count;

/* Tells whether a name is among the choices, or the choices are `any`. */
bool choices_include(const struct choices *choices, struct slice name);

/*
 * Sets `into` to the defaults, then parses the command line into it.  Returns false with a complaint: one
 * line that says what is wrong and what would be right.  Options in front of the wrong one are set then.
 */
bool options_parse(int argc, char **argv, struct options *into, char complaint[static COMPLAINT_SIZE]);

/* Returns the first --path, or `any` if every path is served. */
const char *first_path(const struct options *options, const char *any);

/* Returns the end of a sentence that mentions the test page, or an empty string with --no-page. */
const char *page_hint(const struct options *options);

#endif
