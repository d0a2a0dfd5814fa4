/* SPDX-License-Identifier: MIT */
/* options - see options.h */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "outcome.h"
#include "utf8.h"

#define PING_INTERVAL (20 * SECOND) /* default; less with a short --timeout: see complete_options */
#define PING_INTERVAL_UNSET INT64_C(-1)
#define DURATION_MAX (366 * 24 * 3600 * SECOND)
#define MESSAGE_MAX (UINT64_C(1) << 30)

static const struct options defaults = {
    .prefix = {sizeof "server: " - 1, "server: "},
    .max_message = 16 << 20,
    .handshake_timeout = 10 * SECOND,
    .ping_interval = PING_INTERVAL_UNSET,
    .timeout = 60 * SECOND,
    .user = "nobody",
};

/*
 * Adds a value to a repeatable option; `has_none`: the keyword none is allowed.  Returns false if any or none
 * is not the only value, or there are too many.
 */
static bool choices_add(struct choices *choices, const char *value, bool has_none)
{
    bool any = strcmp(value, "any") == 0, none = has_none && strcmp(value, "none") == 0;
    if (choices->any || choices->none || ((any || none) && choices->count > 0) ||
        choices->count == CHOICES_MAX)
        return false;
    choices->any = any;
    choices->none = none;
    if (!any && !none)
        choices->names[choices->count++] = value;
    return true;
}

bool choices_include(const struct choices *choices, struct slice name)
{
    for (unsigned i = 0; i < choices->count; i++)
        if (slice_is(name, choices->names[i]))
            return true;
    return choices->any;
}

/*
 * Each of the next functions parses the value of an option into a member of struct options, and returns false
 * if it is wrong.  Its comment says what the value must be.
 */

/* any, or a path without a query */
static bool parse_path(const char *value, void *into)
{
    bool is_path =
        *value == '/' && strlen(value) <= SERVED_PATH_MAX && is_visible_except(SLICE_OF(value), "?#");
    return (is_path || strcmp(value, "any") == 0) && choices_add(into, value, false);
}

/* any, or an origin as a browser sends it: scheme://host[:port] or null; RFC 6454 section 6.2 */
static bool parse_origin(const char *value, void *into)
{
    const char *host = strstr(value, "://");
    bool is_origin = host && host > value && host[3] && strlen(value) <= ORIGIN_MAX &&
                     is_token((struct slice){value, (size_t)(host - value)}) &&
                     is_visible_except(SLICE_OF(host + 3), "/?#@");
    return (is_origin || strcmp(value, "null") == 0 || strcmp(value, "any") == 0) &&
           choices_add(into, value, false);
}

/* a path without a query; a target that begins with // could be taken for the address of another host */
static bool parse_lab(const char *value, void *into)
{
    return *value == '/' && value[1] != '/' && parse_path(value, into);
}

/* any, none, or a token */
static bool parse_subprotocol(const char *value, void *into)
{
    return is_token(SLICE_OF(value)) && choices_add(into, value, true);
}

/* percent-encoded UTF-8, at most PREFIX_MAX bytes when decoded */
static bool parse_prefix(const char *value, void *into)
{
    struct prefix *prefix = into;
    ptrdiff_t length = percent_decode(SLICE_OF(value), false, prefix->bytes, PREFIX_MAX);
    prefix->length = length > 0 ? (size_t)length : 0;
    return length >= 0 && is_utf8((const uint8_t *)prefix->bytes, prefix->length);
}

/* bytes, with an optional K, M or G; 1 to 1G */
static bool parse_size(const char *value, void *into)
{
    uint64_t *size = into;
    char *end;
    if (*value < '0' || *value > '9')
        return false;
    unsigned long long number = strtoull(value, &end, 10); /* ULLONG_MAX if the number is larger */
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end[shift ? 1 : 0] || number < 1 || number > MESSAGE_MAX >> shift)
        return false;
    *size = (uint64_t)number << shift;
    return true;
}

/* seconds with an optional fraction, at most a year */
static bool parse_duration(const char *value, void *into)
{
    return parse_seconds(value, DURATION_MAX, into);
}

/* the same, but not 0 */
static bool parse_duration_above_zero(const char *value, void *into)
{
    return parse_duration(value, into) && *(int64_t *)into > 0;
}

/* the name of a channel */
static bool parse_channel(const char *value, void *into)
{
    static const char *const names[] = {
        [AUTO] = "auto", [STANDARD_ERROR] = "stderr", [JOURNAL] = "journal", [SYSLOG] = "syslog"};
    size_t channel = 0;
    while (channel < COUNT_OF(names) && strcmp(value, names[channel]) != 0)
        channel++;
    *(enum channel *)into = (enum channel)channel;
    return channel < COUNT_OF(names);
}

/* any name that is not empty; drop_root looks the user up */
static bool parse_user(const char *value, void *into)
{
    *(const char **)into = value;
    return *value;
}

/* an option without a value */
static bool switch_on(const char *value, void *into)
{
    (void)value;
    return *(bool *)into = true;
}

#define OPTION(letter, name, argument, parse, member)                                                        \
    letter, name, argument, parse, offsetof(struct options, member)

const struct option_row option_rows[] = {
    {OPTION('p', "path", "PATH", parse_path, paths),
     "request path that is upgraded, or any; repeatable (/socket)",
     "any, alone, or up to " STRING(CHOICES_MAX) " times a path of at most " STRING(
         SERVED_PATH_MAX) " bytes that begins with / and has no blank, ? or #"},
    {OPTION('P', "prefix", "TEXT", parse_prefix, prefix),
     "put before every text reply; %20 is a blank (server:%20)",
     "at most " STRING(PREFIX_MAX) " bytes of UTF-8, with % only as in %20 or %25"},
    {OPTION('o', "origin", "ORIGIN", parse_origin, origins),
     "allow pages of this origin only; repeatable (any)",
     "any, alone, or up to " STRING(CHOICES_MAX) " times null or an origin such as https://example.org, of "
                                                 "at most " STRING(ORIGIN_MAX) " bytes"},
    {OPTION('s', "subprotocol", "NAME", parse_subprotocol, subprotocols),
     "agree to NAME, any or none; repeatable (any)",
     "any or none, alone, or up to " STRING(CHOICES_MAX) " times a name without blanks and commas"},
    {OPTION('m', "max-message", "SIZE", parse_size, max_message), "largest message in bytes, 1 to 1G (16M)",
     "1 to 1G, as in 65536, 64K or 16M"},
    {OPTION(0, "handshake-timeout", "S", parse_duration_above_zero, handshake_timeout),
     "seconds for the whole request head (10)", "seconds above 0, as in 10 or 0.5"},
    {OPTION(0, "ping-interval", "S", parse_duration, ping_interval),
     "seconds of silence after which a Ping is sent; 0: never (20)", "seconds, as in 20 or 0.5, or 0"},
    {OPTION(0, "timeout", "S", parse_duration, timeout),
     "seconds of silence or unread output that end it; 0: never (60)", "seconds, as in 60 or 0.5, or 0"},
    {OPTION(0, "proxy-protocol", NULL, switch_on, proxy_protocol), "a PROXY protocol header must come first",
     NULL},
    {OPTION(0, "no-page", NULL, switch_on, no_page), "answer GET / with one line instead of the test page",
     NULL},
    {OPTION(0, "lab", "PATH", parse_lab, labs), "serve PATH too, where the query asks for faults; repeatable",
     "up to " STRING(CHOICES_MAX) " times a path of at most " STRING(
         SERVED_PATH_MAX) " bytes that begins with one / and has no blank, ? or #"},
    {OPTION(0, "deflate", NULL, switch_on, deflate), "agree to permessage-deflate: RFC 7692", NULL},
    {OPTION(0, "log", "CHANNEL", parse_channel, log), "log to the journal, syslog or stderr (auto)",
     "auto, journal, syslog or stderr"},
    {OPTION(0, "check", NULL, switch_on, check), "validate the options and exit", NULL},
    {OPTION('u', "user", "NAME", parse_user, user), "user to become when started as root (nobody)",
     "the name of a user"},
    {OPTION('q', "quiet", NULL, switch_on, quiet), "log local faults only", NULL},
    {OPTION('v', "verbose", NULL, switch_on, verbose), "log every frame and the fields of the request too",
     NULL},
    {OPTION('h', "help", NULL, switch_on, help), "print this help", NULL},
    {OPTION(0, "version", NULL, switch_on, version), "print the version", NULL},
};

const size_t option_count = COUNT_OF(option_rows);

enum { FIRST_ROW = 256 /* what getopt_long returns for the first row; beyond all letters */ };

/* Returns the row for what getopt_long returned, or NULL if there is none. */
static const struct option_row *find_option(int option)
{
    for (size_t i = 0; i < COUNT_OF(option_rows); i++)
        if (option == FIRST_ROW + (int)i || (option != 0 && option == option_rows[i].letter))
            return &option_rows[i];
    return NULL;
}

/* Tells whether a long option that getopt_long refused is an abbreviation of more than one option. */
static bool is_ambiguous(const char *argument)
{
    const char *name = argument + strlen("--");
    unsigned count = 0;
    for (size_t i = 0; i < COUNT_OF(option_rows); i++)
        count += strncmp(option_rows[i].name, name, strcspn(name, "=")) == 0;
    return count > 1;
}

/*
 * Writes the complaint, printf-like: one line that says what is wrong and what would be right.  Returns
 * false.
 */
__attribute__((format(printf, 2, 3))) static bool complain(char complaint[static COMPLAINT_SIZE],
                                                           const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint, COMPLAINT_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

/*
 * Checks combinations of options, and sets defaults that depend on other options.  Returns false with a
 * complaint.
 */
static bool complete_options(struct options *into, char complaint[static COMPLAINT_SIZE])
{
    if (into->quiet && into->verbose)
        return complain(complaint, "--quiet and --verbose exclude each other; give one of them");
    if (into->ping_interval == PING_INTERVAL_UNSET) {
        into->ping_interval = PING_INTERVAL;
        /*
         * Round up: if three intervals were a little less than the timeout, a third Ping would be sent just
         * before the end.
         */
        if (into->timeout > 0 && into->timeout < 3 * PING_INTERVAL)
            into->ping_interval = into->timeout / 3 + (into->timeout > 3 && into->timeout % 3 > 0);
    }
    if (into->timeout > 0 && into->ping_interval >= into->timeout)
        return complain(complaint, "--ping-interval=%g is not below --timeout=%g; make it smaller, or 0",
                        (double)into->ping_interval / (double)SECOND, (double)into->timeout / (double)SECOND);
    if (into->paths.count == 0 && !into->paths.any)
        choices_add(&into->paths, "/socket", false);
    if (into->origins.count == 0)
        into->origins.any = true;
    if (into->subprotocols.count == 0 && !into->subprotocols.none)
        into->subprotocols.any = true;
    return true;
}

bool options_parse(int argc, char **argv, struct options *into, char complaint[static COMPLAINT_SIZE])
{
    struct option long_options[COUNT_OF(option_rows) + 1] = {0};
    /* For getopt_long, + means to stop at the first other argument, : to return ':' for a missing value. */
    char letters[2 + 2 * COUNT_OF(option_rows) + 1] = "+:", *end = letters + strlen(letters);
    int option;
    *into = defaults;
    for (size_t i = 0; i < COUNT_OF(option_rows); i++) {
        const struct option_row *row = &option_rows[i];
        long_options[i] = (struct option){row->name, row->argument ? required_argument : no_argument, NULL,
                                          FIRST_ROW + (int)i};
        if (row->letter)
            *end++ = row->letter;
        if (row->letter && row->argument)
            *end++ = ':';
    }
    opterr = 0;
    optind = 0; /* resets all state of getopt_long */
    while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        bool refused = option == ':' || option == '?';
        const struct option_row *row = find_option(refused ? optopt : option);
        if (option == ':')
            return complain(complaint, "option --%s needs a value; see ws-echo --help", row->name);
        if (option == '?' && optopt == 0)
            return complain(complaint, "%s option %.40s; see ws-echo --help",
                            is_ambiguous(argv[optind - 1]) ? "ambiguous" : "unknown", argv[optind - 1]);
        if (option == '?' && !row)
            return complain(complaint, "unknown option -%c; see ws-echo --help", optopt);
        if (option == '?')
            return complain(complaint, "option --%s takes no value; see ws-echo --help", row->name);
        if (!row->parse(optarg, (char *)into + row->member))
            return complain(complaint, "--%s=%.40s: it must be %s", row->name, optarg, row->expected);
    }
    if (optind < argc)
        return complain(complaint, "unexpected argument %.40s; there are only options, see ws-echo --help",
                        argv[optind]);
    return complete_options(into, complaint);
}

const char *page_hint(const struct options *options)
{
    return options->no_page ? "" : ", or open the test page at / in a browser";
}

const char *first_path(const struct options *options, const char *any)
{
    return options->paths.any ? any : options->paths.names[0];
}
