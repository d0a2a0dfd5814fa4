/* SPDX-License-Identifier: MIT */
/* Tests of the functions of ws-echo.c */
#define main ws_echo_main
#include "../../ws-echo.c"
#undef main

#include "check.h"
#include "utf8_texts.h"

static const struct options defaults;

static char journal[1024]; /* the names of the fields received, each with a space after it */

/* Replaces sd_journal_sendv. */
static int journal_takes(const struct iovec *fields, int count)
{
    char *end = journal;
    for (int i = 0; i < count; i++)
        end += sprintf(end, "%.*s ", (int)strcspn(fields[i].iov_base, "="), (char *)fields[i].iov_base);
    return 0;
}

static void check_journal(struct connection *c, const char *names)
{
    c->options = &defaults;
    c->log = (struct log){.channel = JOURNAL, .journal_sendv = journal_takes};
    log_connection(c, IDLE, LOG_NOTICE);
    CHECK(strcmp(journal, names) == 0, "%s", journal);
}

TEST(the_journal_gets_every_field_of_the_longest_record)
{
    static char bytes[LOGGED_MAX + 1];
    const struct slice longest = {memset(bytes, 0xff, sizeof bytes), sizeof bytes};
    static struct connection c;
    c.peer = (struct address){.host = "2001:db8::1", .port = "65535"};
    keep_value(&c.path, longest);
    c.subprotocol = c.origin = c.user_agent = c.forwarded = c.path;
    c.close_reason = longest;
    c.status = 101;
    c.has_close_code = true;
    c.close_code = 1000;
    memset(c.words.shown, 'a', sizeof c.words.shown);
    c.words.shown_length = sizeof c.words.shown;
    strcpy(c.extension, "permessage-deflate");
    check_journal(
        &c, "REMOTE_ADDR REMOTE_PORT WS_PATH WS_STATUS WS_CLOSE_CODE WS_CLOSE_REASON WS_END WS_END_ID "
            "WS_MESSAGES WS_BYTES_IN WS_BYTES_OUT WS_DURATION_USEC WS_ORIGIN WS_SUBPROTOCOL WS_EXTENSIONS "
            "WS_USER_AGENT WS_LAB WS_FORWARDED WS_SANDBOX SYSLOG_IDENTIFIER PRIORITY MESSAGE ");
}

TEST(the_journal_gets_no_field_without_a_value)
{
    static struct connection c;
    strcpy(c.peer.host, "-");
    c.sandboxed = true;
    check_journal(&c, "REMOTE_ADDR WS_END WS_END_ID WS_MESSAGES WS_BYTES_IN WS_BYTES_OUT WS_DURATION_USEC "
                      "SYSLOG_IDENTIFIER PRIORITY MESSAGE ");
}

TEST(a_value_is_kept_with_one_byte_more_than_is_logged)
{
    char bytes[LOGGED_MAX + 8], safe[2][ESCAPED_SIZE];
    fill((uint8_t *)bytes, sizeof bytes, utf8_patterns[4]);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        struct kept_value *value =
            calloc(1, sizeof *value); /* so that a sanitizer reports a write beyond it */
        keep_value(value, (struct slice){bytes, length});
        CHECK_BYTES(bytes, length < LOGGED_MAX + 1 ? length : LOGGED_MAX + 1, value->bytes, value->length,
                    "%zu bytes", length);
        CHECK_STRING(escaped((struct slice){bytes, length}, safe[0]), escaped(slice_of(value), safe[1]),
                     "%zu bytes, as they are logged", length);
        free(value);
    }
    struct kept_value value = {0};
    keep_value(&value, (struct slice){NULL, 0});
    CHECK_NUMBER(0, value.length, "there was no request line");
}

TEST(several_forwarded_fields_are_kept_as_one_list_and_win_over_the_older_ones)
{
    static const struct {
        const char *fields[3][2], *due;
    } rows[] = {
        {{{"X", "y"}}, ""},
        {{{"Forwarded", "for=a"}}, "for=a"},
        {{{"X-Forwarded-For", "b"}}, "b"},
        {{{"X-Forwarded-For", "b"}, {"forwarded", "for=a"}}, "for=a"},
        {{{"Forwarded", "for=a"}, {"X", "y"}, {"FORWARDED", "for=c"}}, "for=a, for=c"},
        {{{"X-Forwarded-For", "b"}, {"X-Forwarded-For", "c, d"}}, "b, c, d"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct head head;
        struct kept_value value = {0};
        for (head.field_count = 0; head.field_count < 3 && rows[i].fields[head.field_count][0];
             head.field_count++)
            head.fields[head.field_count] = (struct field){SLICE_OF(rows[i].fields[head.field_count][0]),
                                                           SLICE_OF(rows[i].fields[head.field_count][1])};
        keep_forwarded(&value, &head);
        CHECK_BYTES(rows[i].due, strlen(rows[i].due), value.bytes, value.length, "row %zu", i);
    }
    char bytes[LOGGED_MAX + 8];
    memset(bytes, 'a', sizeof bytes);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        struct head head = {.field_count = 2};
        struct kept_value *value = calloc(1, sizeof *value);
        head.fields[0] = (struct field){SLICE_OF("Forwarded"), {bytes, length}};
        head.fields[1] = (struct field){SLICE_OF("Forwarded"), SLICE_OF("b")};
        keep_forwarded(value, &head);
        size_t due = length + (length > 0 ? strlen(", b") : strlen("b"));
        CHECK_NUMBER(due < LOGGED_MAX + 1 ? due : LOGGED_MAX + 1, value->length, "%zu bytes, and b", length);
        free(value);
    }
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(SECOND, 1000000);
    CHECK_LIMIT(NEVER, 0x7fffffffffffffff);
    CHECK_LIMIT(sizeof(((struct kept_value *)0)->bytes), 258);
}
