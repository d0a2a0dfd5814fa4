/* SPDX-License-Identifier: MIT */
/* Tests of log.c */
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>

#include "../../src/clock.c"
#include "../../src/log.c"
#include "check.h"

TEST(what_is_logged_is_printable_ascii_without_quotes)
{
    static char into[4 * LOGGED_MAX + sizeof "..."];
    for (int byte = 0; byte < 256; byte++) {
        const char text[] = {'a', (char)byte, 'z'};
        char due[16];
        if (byte == '"' || byte == '\\')
            sprintf(due, "a\\%cz", byte);
        else if (byte >= 0x20 && byte < 0x7f)
            sprintf(due, "a%cz", byte);
        else
            sprintf(due, "a\\x%02xz", (unsigned)byte);
        CHECK_STRING(due, escaped((struct slice){text, sizeof text}, into), "byte %02x", (unsigned)byte);
    }
    CHECK_STRING("", escaped((struct slice){NULL, 0}, into), "nothing");
}

TEST(what_is_logged_is_cut_after_256_bytes)
{
    for (int byte = 1; byte < 256; byte += 0x21) /* printable, escaped and quoted bytes */
        for (size_t length = LOGGED_MAX - 1; length <= LOGGED_MAX + 2; length++) {
            char text[LOGGED_MAX + 2], due[4 * LOGGED_MAX + sizeof "..."], *end = due;
            char *into = malloc(sizeof due); /* so that a sanitizer reports a write beyond it */
            memset(text, byte, sizeof text);
            for (size_t i = 0; i < length && i < LOGGED_MAX; i++)
                end += byte >= ' ' && byte <= '~'
                           ? sprintf(end, byte == '"' || byte == '\\' ? "\\%c" : "%c", byte)
                           : sprintf(end, "\\x%02x", (unsigned)byte);
            if (length > LOGGED_MAX)
                strcpy(end, "...");
            CHECK_STRING(due, escaped((struct slice){text, length}, into), "%zu times %02x", length,
                         (unsigned)byte);
            free(into);
        }
}

TEST(what_does_not_fit_is_left_out_of_a_record_as_a_whole)
{
    struct record *record = malloc(sizeof *record); /* so that a sanitizer reports a write beyond it */
    static char filler[sizeof record->text], line[sizeof record->line - 4];
    memset(filler, 'x', sizeof filler);
    memset(line, 'x', sizeof line - 1);
    filler[sizeof record->text - 8] = '\0';
    for (size_t over = 0; over < 2; over++) {
        record_begin(record);
        CHECK(record->line_length == 0 && record->used == 0 && record->field_count == 0, "an empty record");
        ADD_TO_LINE(record, line);
        ADD_TO_LINE(record, over ? "abcde" : "abcd");
        CHECK_NUMBER(sizeof record->line - (over ? 5 : 1), record->line_length, "a NUL has to fit as well");
        CHECK_STRING(over ? "xxxx" : "abcd", record->line + record->line_length - 4, "the end of the line");
        ADD_TO_LINE(record, "");
        CHECK_NUMBER(strlen(record->line), record->line_length, "the line");

        add_field(record, "A", filler);
        add_field(record, "ab", over ? "cd" : "c");
        CHECK_NUMBER(over ? 1 : 2, record->field_count, "fields");
        CHECK_NUMBER(sizeof record->text - 6, record->fields[0].iov_len, "0");
        CHECK_STRING(filler, (char *)record->fields[0].iov_base + 2, "0");
        if (!over)
            CHECK_BYTES("ab=c", 4, record->fields[1].iov_base, record->fields[1].iov_len, "1");
        CHECK_NUMBER(sizeof record->text - (over ? 5 : 0), record->used, "each field has a NUL after it");
        add_field(record, "", over ? "abcd" : "");
        CHECK_NUMBER(over ? 1 : 2, record->field_count, "nothing fits any more");
    }
    record_begin(record);
    for (size_t i = 0; i < COUNT_OF(record->fields) + 2; i++)
        add_field(record, "N", about("%zu", i));
    CHECK_NUMBER(COUNT_OF(record->fields), record->field_count, "fields");
    CHECK_STRING("N=23", record->fields[23].iov_base, "the last one");
    free(record);
}

TEST(a_value_or_a_number_goes_into_the_line_and_the_fields)
{
    static struct record record;
    record_begin(&record);
    record_text(&record, "key", "NAME", (struct slice){"a\"b", 3});
    record_text(&record, "none", "NONE", (struct slice){"", 0});
    record_number(&record, "count", "COUNT", UINT64_MAX);
    record_word(&record, "word", "WORD", "end-of-input");
    CHECK_STRING(" key=\"a\\\"b\" count=18446744073709551615 word=end-of-input", record.line, "the line");
    CHECK_NUMBER(3, record.field_count, "fields");
    CHECK_BYTES("NAME=a\\\"b", 9, record.fields[0].iov_base, record.fields[0].iov_len, "the value");
    CHECK_BYTES("COUNT=18446744073709551615", 26, record.fields[1].iov_base, record.fields[1].iov_len,
                "the number");
    CHECK_BYTES("WORD=end-of-input", 17, record.fields[2].iov_base, record.fields[2].iov_len, "the word");
}

TEST(a_record_begins_with_the_peer_and_its_port_if_it_has_one)
{
    static const struct {
        struct address peer;
        const char *line;
    } rows[] = {
        {{"192.0.2.1", "7"}, "peer=192.0.2.1:7"},
        {{"192.0.2.1", ""}, "peer=192.0.2.1"},
        {{"2001:db8::1", "65535"}, "peer=[2001:db8::1]:65535"},
        {{"::1", ""}, "peer=[::1]"},
        {{"/run/a", ""}, "peer=/run/a"},
        {{"-", ""}, "peer=-"},
    };
    static struct record record;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct address *peer = &rows[i].peer;
        record_begin(&record);
        record_peer(&record, peer);
        CHECK_STRING(rows[i].line, record.line, "row %zu", i);
        CHECK_NUMBER(*peer->port ? 2 : 1, record.field_count, "%s", rows[i].line);
        CHECK(strncmp(record.fields[0].iov_base, "REMOTE_ADDR=", 12) == 0, "%s", rows[i].line);
        CHECK_STRING(peer->host, (char *)record.fields[0].iov_base + 12, "%s", rows[i].line);
        if (*peer->port)
            CHECK_STRING(peer->port, (char *)record.fields[1].iov_base + strlen("REMOTE_PORT="), "%s",
                         rows[i].line);
    }
}

TEST(a_duration_is_recorded_in_seconds_and_for_the_journal_in_microseconds)
{
    static const struct {
        int64_t duration;
        const char *line, *field;
    } rows[] = {
        {0, " seconds=0.000000", "WS_DURATION_USEC=0"},
        {1, " seconds=0.000001", "WS_DURATION_USEC=1"},
        {1234567, " seconds=1.234567", "WS_DURATION_USEC=1234567"},
        {INT64_MAX, " seconds=9223372036854.775807", "WS_DURATION_USEC=9223372036854775807"},
    };
    static struct record record;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        record_begin(&record);
        record_duration(&record, rows[i].duration);
        CHECK_STRING(rows[i].line, record.line, "row %zu", i);
        CHECK_NUMBER(strlen(rows[i].line), record.line_length, "row %zu", i);
        CHECK_NUMBER(1, record.field_count, "row %zu", i);
        CHECK_BYTES(rows[i].field, strlen(rows[i].field), record.fields[0].iov_base, record.fields[0].iov_len,
                    "row %zu", i);
    }
}

static int64_t jumped; /* microseconds by which clock_gettime below is ahead */

/* Replaces the C library's. */
int clock_gettime(clockid_t which, struct timespec *time)
{
    int result = (int)syscall(SYS_clock_gettime, which, time);
    time->tv_sec += (time_t)(jumped / SECOND);
    return result;
}

static int64_t log_takes; /* microseconds that a call of the log takes */

static unsigned notified;

/* Replaces sd_journal_sendv. */
static int slow_journal(const struct iovec *fields, int count)
{
    (void)fields;
    jumped += log_takes;
    return count > 0 ? 0 : -1;
}

/* Replaces sd_notify. */
static int slow_manager(int unset, const char *status)
{
    CHECK(unset == 0 && strcmp(status, "STATUS=a") == 0, "%s", status);
    notified++;
    jumped += log_takes;
    return 1;
}

TEST(a_log_that_took_too_long_is_blocked_for_good)
{
    static struct record record;
    signal(SIGALRM, note_expiry);
    for (log_takes = LOG_TIME - SECOND; log_takes <= LOG_TIME; log_takes += SECOND)
        for (int blocked = 0; blocked < 2; blocked++) {
            struct log log = {.channel = JOURNAL,
                              .under_systemd = true,
                              .blocked = blocked,
                              .journal_sendv = slow_journal,
                              .notify = slow_manager};
            record_begin(&record);
            log_record(&log, &record, LOG_NOTICE);
            CHECK_NUMBER(blocked || log_takes == LOG_TIME, log.blocked, "a record in %lld microseconds",
                         (long long)log_takes);
            CHECK_NUMBER(!log.blocked, has_manager(&log), "whom a blocked log tells nothing");
            log.blocked = blocked;
            notified = 0;
            log_status(&log, "STATUS=a");
            CHECK_NUMBER(!blocked, notified, "a blocked log is told nothing");
            CHECK_NUMBER(blocked || log_takes == LOG_TIME, log.blocked, "a status in %lld microseconds",
                         (long long)log_takes);
            CHECK(!timer_bounds_log && armed_for == NEVER, "the timer is free");
        }
    jumped = 0;
    signal(SIGALRM, SIG_DFL);
}

TEST(a_manager_is_told_in_the_journal_of_what_it_has_started_only)
{
    for (int row = 0; row < 8; row++)
        for (enum channel channel = AUTO; channel <= SYSLOG; channel++) {
            struct log log = {.channel = channel,
                              .under_systemd = row & 1,
                              .blocked = row & 2,
                              .verbose = row & 4,
                              .notify = slow_manager};
            bool due = channel == JOURNAL && row & 1 && !(row & 2);
            log_takes = notified = 0;
            CHECK_NUMBER(due, has_manager(&log), "channel %d, row %d", channel, row);
            log_status(&log, "STATUS=a");
            CHECK_NUMBER(due, notified, "channel %d, row %d", channel, row);
        }
}

TEST(two_descriptors_are_one_stream_if_device_and_number_say_so)
{
    const int proc = open("/proc", O_RDONLY), terminals = open("/dev/pts", O_RDONLY), copy = dup(proc);
    struct stat one = {0}, other = {0};
    fstat(proc, &one);
    fstat(terminals, &other);
    CHECK(is_same_stream(proc, copy), "a copy");
    CHECK(one.st_ino != other.st_ino || !is_same_stream(proc, terminals), "two with one number");
    close(copy);
    CHECK(!is_same_stream(proc, copy), "the other one is closed");
    CHECK(is_same_stream(copy, proc), "nobody knows");
    close(proc);
    close(terminals);
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(LOGGED_MAX, 256);
    CHECK_LIMIT(ESCAPED_SIZE, 1028);
    CHECK_LIMIT(sizeof(((struct record *)0)->line), PIPE_BUF - 64);
    CHECK_LIMIT(sizeof(((struct record *)0)->text), 12288);
    CHECK_LIMIT(COUNT_OF(((struct record *)0)->fields), 24);
}
