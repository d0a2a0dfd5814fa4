/*
 * log - lines and records, on the best channel there is
 *
 * A record is one line for people, and the same as fields for the journal; which of them a connection has is
 * told by its caller.  A line is sent at once; a log that blocks is interrupted, and asked for nothing more
 * but the record.  What is started by systemd is seen here too, and what it is told.
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
    ESCAPED_SIZE = 4 * LOGGED_MAX + sizeof "...", /* the same as it is logged, each byte as \xHH at worst */
};

struct log {
    enum channel channel;
    bool under_systemd; /* it started this process: its journal reads standard error and understands <N> */
    bool verbose;       /* every frame and the fields of the request are logged too */
    bool blocked;       /* it once took too long; it gets nothing more but the record */
    int (*journal_sendv)(const struct iovec *, int); /* sd_journal_sendv and sd_notify, where loaded */
    int (*notify)(int, const char *);
};

/* A record under construction: the line for people, and the same as fields for the journal. */
struct record {
    size_t line_length, used;
    int field_count;
    struct iovec fields[24];
    char line[PIPE_BUF - 64]; /* with what is put around it, it goes into a pipe as a whole */
    char text[12288];         /* of the fields, one after the other */
};

/* Writes at most LOGGED_MAX bytes of text as a string of printable ASCII, the rest escaped.  Returns it. */
const char *escaped(struct slice text, char into[static ESCAPED_SIZE]);

/* Opens the log; AUTO means the best channel.  Ends the program if the channel is not available. */
void log_open(struct log *log, enum channel channel);

/* Logs one line, printf-like, at a syslog priority. */
__attribute__((format(printf, 3, 4))) void log_line(struct log *log, int priority, const char *format, ...);

/* Ends the program because of a local fault, printf-like, escaped: `status` is EX_USAGE or EX_OSERR. */
__attribute__((format(printf, 3, 4))) _Noreturn void fail(struct log *log, int status, const char *format,
                                                          ...);

/* Empties a record.  Its arrays stay as they are: zeros in them would be a tenth of a connection's work. */
void record_begin(struct record *record);

/*
 * Add a value to the line of a record, as ` key=value`, and to its fields, as NAME=value.  What does not fit
 * is left out, and so is an empty text; a text may come from the peer, and is quoted and escaped; a word is
 * neither.
 */
void record_text(struct record *record, const char *key, const char *name, struct slice value);
void record_word(struct record *record, const char *key, const char *name, const char *value);
void record_number(struct record *record, const char *key, const char *name, uint64_t value);

/* Adds the peer's address, with which the line begins, and how long the connection took, in microseconds. */
void record_peer(struct record *record, const struct address *peer);
void record_duration(struct record *record, int64_t duration);

/* Sends the record to the log, with a syslog priority.  If the log does not take it, that is no failure. */
void log_record(struct log *log, struct record *record, int priority);

/* Tells whether there is a service manager that can be told what the connection is doing. */
bool has_manager(const struct log *log);

/*
 * Tells the service manager, where there is one, what `systemctl status` shows; it is limited as a line of
 * the log.
 */
void log_status(struct log *log, const char *status);

#endif
