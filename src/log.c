/* SPDX-License-Identifier: MIT */
/* log - see log.h */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#ifndef WITHOUT_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#endif

#include "clock.h"
#include "log.h"

#ifndef WITHOUT_LIBSYSTEMD
#define DLOPEN_NOTE                                                                                          \
    "[{\"feature\":\"journal\",\"description\":\"Structured records and unit status\","                      \
    "\"priority\":\"recommended\",\"soname\":[\"libsystemd.so.0\"]}]"
#endif

void record_begin(struct record *record)
{
    record->line_length = record->used = 0;
    record->field_count = 0;
}

const char *escaped(struct slice text, char into[static ESCAPED_SIZE])
{
    char *end = into;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];
        if (i == LOGGED_MAX) {
            end = stpcpy(end, "...");
            break;
        }
        if (byte == '"' || byte == '\\')
            *end++ = '\\';
        if (byte >= ' ' && byte <= '~')
            *end++ = (char)byte;
        else
            end += sprintf(end, "\\x%02x", byte);
    }
    *end = '\0';
    return into;
}

/* Appends strings to the line of a record. */
#define ADD_TO_LINE(record, ...)                                                                             \
    append_strings((record)->line, sizeof(record)->line, &(record)->line_length,                             \
                   (const char *const[]){__VA_ARGS__, NULL})

/* Adds a field for the journal; leaves it out if it does not fit. */
static void add_field(struct record *record, const char *name, const char *value)
{
    size_t begin = record->used;
    if (record->field_count == (int)(COUNT_OF(record->fields)) || begin == sizeof record->text ||
        !append_strings(record->text, sizeof record->text, &record->used,
                        (const char *const[]){name, "=", value, NULL}))
        return;
    record->fields[record->field_count++] = (struct iovec){record->text + begin, record->used - begin};
    record->used++; /* keep the NUL */
}

void record_text(struct record *record, const char *key, const char *name, struct slice value)
{
    char safe[ESCAPED_SIZE];
    if (value.length == 0)
        return;
    ADD_TO_LINE(record, " ", key, "=\"", escaped(value, safe), "\"");
    add_field(record, name, safe);
}

void record_word(struct record *record, const char *key, const char *name, const char *value)
{
    ADD_TO_LINE(record, " ", key, "=", value);
    add_field(record, name, value);
}

void record_number(struct record *record, const char *key, const char *name, uint64_t value)
{
    char number[sizeof "18446744073709551615"];
    snprintf(number, sizeof number, "%" PRIu64, value);
    record_word(record, key, name, number);
}

void record_peer(struct record *record, const struct address *peer)
{
    char text[ADDRESS_TEXT_SIZE];
    describe_address(peer, text);
    ADD_TO_LINE(record, "peer=", text);
    add_field(record, "REMOTE_ADDR", peer->host);
    if (*peer->port)
        add_field(record, "REMOTE_PORT", peer->port);
}

void record_duration(struct record *record, int64_t duration)
{
    char number[sizeof "-9223372036854775808"];
    snprintf(number, sizeof number, "%" PRId64, duration);
    append(record->line, sizeof record->line, &record->line_length, " seconds=%" PRId64 ".%06" PRId64,
           duration / SECOND, duration % SECOND);
    add_field(record, "WS_DURATION_USEC", number);
}

void log_record(struct log *log, struct record *record, int priority)
{
    char line[sizeof record->line + 64];
    int length = 0;
    int64_t began = limit_log_time();
    switch (log->channel) {
    case JOURNAL:
        add_field(record, "SYSLOG_IDENTIFIER", "ws-echo");
        add_field(record, "PRIORITY", (const char[]){(char)('0' + priority), '\0'});
        add_field(record, "MESSAGE", record->line);
        log->journal_sendv(record->fields, record->field_count);
        break;
    case SYSLOG: syslog(priority, "%s", record->line); break;
    default:
        if (log->under_systemd)
            length = snprintf(line, sizeof line, "<%d>%s\n", priority, record->line);
        else
            length = snprintf(line, sizeof line, "ws-echo[%d]: %s\n", (int)getpid(), record->line);
        (void)!write(STDERR_FILENO, line, (size_t)length);
        break;
    }
    log->blocked = end_log_limit(began) || log->blocked;
}

void log_line(struct log *log, int priority, const char *format, ...)
{
    struct record record;
    va_list arguments;
    if (log->blocked)
        return;
    record_begin(&record);
    va_start(arguments, format);
    vsnprintf(record.line, sizeof record.line, format, arguments);
    va_end(arguments);
    log_record(log, &record, priority);
}

_Noreturn void fail(struct log *log, int status, const char *format, ...)
{
    char line[LOGGED_MAX], safe[ESCAPED_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    log_line(log, LOG_ERR, "%s", escaped(SLICE_OF(line), safe));
    exit(status);
}

bool has_manager(const struct log *log)
{
    return log->under_systemd && log->channel == JOURNAL && !log->blocked;
}

void log_status(struct log *log, const char *status)
{
    if (!has_manager(log))
        return;
    int64_t began = limit_log_time();
    log->notify(0, status);
    log->blocked = end_log_limit(began) || log->blocked;
}

/*
 * Tells whether two descriptors are the same socket, pipe or file.  Character devices never count as the
 * same: a terminal or /dev/null may be shared.  If fstat fails, the two may be the same, so the answer is
 * yes, unless `other` is closed.
 */
static bool is_same_stream(int one, int other)
{
    struct stat a, b;
    if (fstat(one, &a) < 0)
        return true;
    if (fstat(other, &b) < 0)
        return errno != EBADF;
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && !S_ISCHR(a.st_mode);
}

#ifndef WITHOUT_LIBSYSTEMD
/*
 * libsystemd is loaded with dlopen when it is needed; linking it would load seven more libraries into every
 * process.  This ELF note tells packaging tools about it: https://systemd.io/ELF_DLOPEN_METADATA/
 */
static const struct {
    uint32_t name_size, value_size, type;
    char name[4];
    _Alignas(4) char value[sizeof DLOPEN_NOTE];
} dlopen_note __attribute__((used, section(".note.dlopen"), aligned(4))) = {.name_size = 4,
                                                                            .value_size = sizeof DLOPEN_NOTE,
                                                                            .type = 0x407c0c0a,
                                                                            .name = "FDO",
                                                                            .value = DLOPEN_NOTE};

/* Loads sd_journal_sendv and sd_notify.  Returns false if libsystemd is not available. */
static bool load_libsystemd(struct log *log)
{
    void *library = dlopen("libsystemd.so.0", RTLD_NOW);
    if (!library)
        return false;
    log->journal_sendv = (__typeof__(sd_journal_sendv) *)dlsym(library, "sd_journal_sendv");
    log->notify = (__typeof__(sd_notify) *)dlsym(library, "sd_notify");
    return log->journal_sendv && log->notify;
}
#else
static bool load_libsystemd(struct log *log)
{
    (void)log;
    return false;
}
#endif

/* Tells whether standard error is the connection itself, as under xinetd and inetd. */
static bool standard_error_is_connection(void)
{
    return is_same_stream(STDERR_FILENO, STDIN_FILENO) || is_same_stream(STDERR_FILENO, STDOUT_FILENO);
}

/* Returns the best channel that is available, and loads libsystemd for the journal. */
static enum channel find_channel(struct log *log)
{
    if (log->under_systemd && load_libsystemd(log))
        return JOURNAL;
    return standard_error_is_connection() ? SYSLOG : STANDARD_ERROR;
}

void log_open(struct log *log, enum channel channel)
{
    /* xinetd under systemd passes its environment to its children, so the PID has to be compared. */
    const char *exec_pid = getenv("SYSTEMD_EXEC_PID");
    log->under_systemd = exec_pid && strtol(exec_pid, NULL, 10) == getpid();
    /* If --log names a channel that cannot be used, the error is logged on the best other channel. */
    bool stderr_is_connection = channel == STANDARD_ERROR && standard_error_is_connection();
    bool journal_missing = channel == JOURNAL && !load_libsystemd(log);
    log->channel = channel == AUTO || stderr_is_connection || journal_missing ? find_channel(log) : channel;
    if (log->channel == SYSLOG) {
        openlog("ws-echo", LOG_PID | LOG_NDELAY, LOG_DAEMON);
        tzset(); /* syslog() needs local time, and the sandbox forbids to open the time zone's file later */
    }
    if (stderr_is_connection)
        fail(log, EX_USAGE, "--log=stderr: standard error is the connection; use syslog");
    if (journal_missing)
        fail(log, EX_OSERR, "--log=journal: there is no libsystemd; use syslog or stderr");
}
