/*
 * options - the command line: one table of the options, and what they were set to
 *
 * Pure, except for the state of getopt.  It prints nothing: start prints --help from the table, and logs what
 * is wrong.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basics.h"
#include "text.h"

/* These are macros, because the sentences that say what a value must be contain them. */
#define CHOICES_MAX 64 /* how often a repeatable option is taken */
#define PREFIX_MAX 256 /* bytes */
#define ORIGIN_MAX 300 /* bytes; the longest host name, 253, fits with a scheme and a port */

enum { COMPLAINT_SIZE = 256 /* bytes; one line that says what is wrong with the command line */ };

enum channel { AUTO, STANDARD_ERROR, JOURNAL, SYSLOG };

/* The values of a repeatable option: names, or the word any or none. */
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
    int64_t handshake_timeout;      /* microseconds, as the next two */
    int64_t ping_interval, timeout; /* 0: never */
    bool proxy_protocol, no_page, deflate, check, quiet, verbose, help, version;
    enum channel log;
    const char *user;
};

extern const struct option_row {
    char letter;                                  /* 0: it has only the long form */
    const char *name, *argument;                  /* NULL: it takes none */
    bool (*parse)(const char *value, void *into); /* into `member` */
    size_t member;
    const char *help;
    const char *expected; /* what the value must be */
} option_rows[];
extern const size_t option_count;

/* Tells whether a name is among the choices, or any is. */
bool choices_include(const struct choices *choices, struct slice name);

/*
 * Parses the command line into `into`, which begins with the defaults.  Returns false with a complaint, one
 * line that says what is wrong and what would be right; what was parsed before that is set.
 */
bool options_parse(int argc, char **argv, struct options *into, char complaint[static COMPLAINT_SIZE]);

/* Returns a path that is served: the first one, or `any` where every path is. */
const char *first_path(const struct options *options, const char *any);

/* Returns what a sentence says about the test page; empty if it is not served. */
const char *page_hint(const struct options *options);

#endif
