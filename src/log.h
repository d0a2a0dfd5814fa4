/* SPDX-License-Identifier: MIT */
/*
 * log - lines and records, on the best channel that is available
 *
 * A record is one line for people, and the same values as fields for the journal; the caller decides which.
 * A line is sent at once.  If the log blocks for LOG_TIME, it is interrupted; from then on only the record is
 * sent.  This room also knows whether systemd started the program, and sends it the status text (sd_notify).
 */
#ifndef LOG_H
#define LOG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "address.h"
#include "options.h"
#include "text.h"

enum {
    LOGGED_MAX = 256,                             /* bytes of one value in the log */
    ESCAPED_SIZE = 4 * LOGGED_MAX + sizeof "...", /* bytes of one escaped: at worst each as \xHH */
};

struct log {
    enum channel channel;
    bool under_systemd; /* systemd started this process, and its journal reads standard error, with <N> */
    bool verbose;       /* --verbose: frames and request fields are logged */
    bool blocked;       /* a call took LOG_TIME; only the record is sent from then on */
    int (*journal_sendv)(const struct iovec *, int); /* sd_journal_sendv; NULL: not loaded */
    int (*notify)(int, const char *);                /* sd_notify; NULL: not loaded */
};

/* A record under construction: the line for people, and the fields for the journal. */
struct record {
    size_t line_length, used; /* bytes of `line` and of `text` */
    int field_count;
    struct iovec fields[24];
    char line[PIPE_BUF - 64]; /* with prefix and newline within PIPE_BUF: one atomic write */
    char text[12288];         /* NAME=value of each field, each with a NUL */
};

/*
 * Writes at most LOGGED_MAX bytes of text, and ... if there are more.  Bytes outside printable ASCII, " and \
 * are escaped.  Returns `into`.
 */
const char *escaped(struct slice text, char into[static ESCAPED_SIZE]);

/*
 * Opens the log on a channel; AUTO chooses the best one.  Ends the program if the channel is not available.
 */
void log_open(struct log *log, enum channel channel);

/* Logs one line, printf-like, with a syslog priority; nothing once the log has blocked. */
__attribute__((format(printf, 3, 4))) void log_line(struct log *log, int priority, const char *format, ...);

/*
 * Logs a line, printf-like, whose bytes are escaped, and ends the program with `status`: EX_USAGE or
 * EX_OSERR.
 */
__attribute__((format(printf, 3, 4))) _Noreturn void fail(struct log *log, int status, const char *format,
                                                          ...);

/* Empties a record.  The arrays are not cleared: that would be a tenth of all the work for a connection. */
void record_begin(struct record *record);

/*
 * Each adds a value to the line, as ` key=value`, and to the fields, as NAME=value.  A value that does not
 * fit is left out, and so is an empty text.  record_text quotes and escapes, so it takes bytes of the peer;
 * record_word does neither.
 */
void record_text(struct record *record, const char *key, const char *name, struct slice value);
void record_word(struct record *record, const char *key, const char *name, const char *value);
void record_number(struct record *record, const char *key, const char *name, uint64_t value);

/*
 * Add the peer's address, which must be the first value, and the duration of the connection, in microseconds.
 */
void record_peer(struct record *record, const struct address *peer);
void record_duration(struct record *record, int64_t duration);

/*
 * Sends the record to the log with a syslog priority, even if the log has blocked before.  Errors of the log
 * are ignored.
 */
void log_record(struct log *log, struct record *record, int priority);

/*
 * Tells whether log_status has an effect: systemd started the program, the journal is the log, and it has not
 * blocked.
 */
bool has_manager(const struct log *log);

/*
 * Sends a status to the service manager (sd_notify(3)), if has_manager().  It is limited to LOG_TIME like a
 * line.
 */
void log_status(struct log *log, const char *status);

#endif
