/* SPDX-License-Identifier: MIT */
/* Tests of words.c */
#include "../../src/words.c"
#include "check.h"

static struct words asked; /* of the last query */

/* Parses a query of exactly these bytes, so that a sanitizer notices a read beyond them. */
static enum outcome parse_query_of(const char *bytes, size_t length, int64_t timeout, bool tcp)
{
    char *copy = malloc(length > 0 ? length : 1);
    memcpy(copy, bytes, length);
    memset(&asked, 0, sizeof asked);
    enum outcome outcome = words_parse((struct slice){copy, length}, timeout, tcp, &asked);
    free(copy);
    return outcome;
}

/* The same with the default of --timeout, over TCP. */
static enum outcome parse_query(const char *query)
{
    return parse_query_of(query, strlen(query), 60 * SECOND, true);
}

#define ASKS(query, condition) CHECK(parse_query(query) == DONE && (condition), "%s", query)

TEST(each_word_of_the_lab_sets_what_it_asks_for)
{
    ASKS("delay=1.5", asked.delay == 1500000);
    ASKS("status=404", asked.status == 404 && asked.count == 0);
    ASKS("bad=accept", asked.bad == BAD_ACCEPT);
    ASKS("bad=subprotocol", asked.bad == BAD_SUBPROTOCOL);
    ASKS("bad=extension", asked.bad == BAD_EXTENSION);
    ASKS("bad=extension,accept", asked.bad == (BAD_ACCEPT | BAD_EXTENSION));
    ASKS("headers", asked.headers && !asked.hello);
    ASKS("hello=ab", asked.hello && asked.hello_length == 2 && memcmp(asked.hello_text, "ab", 2) == 0);
    ASKS("hello=", asked.hello && asked.hello_length == 0);
    ASKS("repeat=0.25", asked.repeat == 250000 && !asked.hello);
    ASKS("latency=2", asked.latency == 2000000);
    ASKS("fragment=7", asked.fragment == 7 && asked.slice == 0);
    ASKS("slice=8", asked.slice == 8 && asked.fragment == 0);
    ASKS("mute=echo", asked.mute == MUTE_ECHO);
    ASKS("mute=ping", asked.mute == MUTE_PING);
    ASKS("mute=pong", asked.mute == MUTE_PONG);
    ASKS("mute=close", asked.mute == MUTE_CLOSE);
    ASKS("mute=close,pong,ping,echo", asked.mute == (MUTE_ECHO | MUTE_PING | MUTE_PONG | MUTE_CLOSE));
    ASKS("raw=aFf09E", asked.raw_length == 3 && memcmp(asked.raw, "\xaf\xf0\x9e", 3) == 0);
    ASKS("stall=3", asked.stall == 3000000 && asked.ending == NO_ENDING);
    ASKS("close", asked.ending == EMPTY_CLOSE);
    ASKS("close=eof", asked.ending == STREAM_END);
    ASKS("close=reset", asked.ending == STREAM_RESET);
    ASKS("close=4000", asked.ending == CODED_CLOSE && asked.close_code == 4000);
    ASKS("close=0", asked.ending == CODED_CLOSE && asked.close_code == 0);
    ASKS("close=1&reason=ab",
         asked.ending == CODED_CLOSE && asked.reason_length == 2 && memcmp(asked.reason, "ab", 2) == 0);
    ASKS("close=1&reason=", asked.ending == CODED_CLOSE && asked.reason_length == 0);
    ASKS("close&after=2.5", asked.has_after && asked.after == 2500000 && asked.count == 0);
    ASKS("close&count=9", asked.count == 9 && !asked.has_after);
}

TEST(without_a_query_or_with_an_empty_one_nothing_is_asked_for)
{
    static const struct words nothing;
    static const struct slice queries[] = {{NULL, 0}, {NULL, 7}, {"", 0}, {"status", 0}};
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        memset(&asked, 0, sizeof asked);
        CHECK_NUMBER(DONE, words_parse(queries[i], 0, true, &asked), "query %zu", i);
        CHECK(memcmp(&asked, &nothing, sizeof asked) == 0, "query %zu", i);
    }
}

TEST(a_word_that_is_unknown_empty_or_repeated_is_refused)
{
    static const char *const queries[] = {
        "&",
        "&&",
        "close&",
        "&close",
        "close&&stall",
        "=",
        "=1",
        "close&=1",
        "?close",
        "closer",
        "clos",
        "CLOSE",
        "Headers",
        " close",
        "close ",
        "close+",
        "clos%65",
        "%63lose=1",
        "close;stall",
        "close%26stall",
        "nothing=1",
        "close&close",
        "close=1&close=1",
        "close&stall&close=eof",
        "hello=a&hello=a",
        "headers&headers",
        "raw=00&status=404&raw=00",
    };
    for (size_t i = 0; i < COUNT_OF(queries); i++)
        CHECK_NUMBER(LAB_WORD_UNKNOWN, parse_query(queries[i]), "%s", queries[i]);
    CHECK_NUMBER(LAB_WORD_UNKNOWN, parse_query_of(BYTES("close\0"), 0, true), "a NUL after a name");
}

TEST(each_word_of_the_lab_is_refused_when_it_is_repeated)
{
    static const char *const words[] = {
        "delay=1", "status=404", "bad=accept", "headers", "hello=a", "repeat=1", "latency=1", "fragment=1",
        "slice=1", "mute=echo",  "after=1",    "count=1", "raw=00",  "stall",    "close=1",   "reason=a"};
    char query[64];
    CHECK_NUMBER(WORD_COUNT, COUNT_OF(words), "words");
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        sprintf(query, "%s&%s", words[i], words[i]);
        CHECK_NUMBER(LAB_WORD_UNKNOWN, parse_query(query), "%s", query);
    }
}

TEST(a_value_that_is_wrong_missing_or_of_no_use_is_refused)
{
    static const char *const queries[] = {
        /* missing */
        "delay",
        "status",
        "bad",
        "hello",
        "repeat",
        "latency",
        "fragment",
        "slice",
        "mute",
        "close&after",
        "close&count",
        "raw",
        "close=1&reason",
        /* empty */
        "delay=",
        "status=",
        "bad=",
        "repeat=",
        "latency=",
        "fragment=",
        "slice=",
        "mute=",
        "close&after=",
        "close&count=",
        "raw=",
        "stall=",
        "close=",
        /* where none belongs */
        "headers=",
        "headers=1",
        "headers=%",
        /* malformed */
        "delay==1",
        "delay=1=",
        "delay=x",
        "delay=-1",
        "delay=%2b1",
        "delay=+1",
        "delay=1+",
        "delay=.5",
        "delay=5.",
        "delay=1s",
        "delay=1e1",
        "delay=1%00",
        "latency=inf",
        "latency=1%00",
        "stall=x",
        "stall=1%00",
        "status=4x4",
        "status=404%00",
        "status=-404",
        "status=404.0",
        "status=0x194",
        "status=40/",
        "status=40:",
        "bad=Accept",
        "bad=none",
        "bad=accept+",
        "bad=accept%00",
        "mute=pong,%00",
        "mute=pong%00",
        "raw=00%00",
        "raw=00%00%00",
        "count=1%00&close",
        "fragment=1K",
        "fragment=1%00",
        "slice=1%00",
        "slice=+1",
        "repeat=1%00",
        "after=1%00&close",
        "raw=0",
        "raw=000",
        "raw=0g",
        "raw=g0",
        "raw=0x00",
        "raw=00+",
        "raw=%00",
        "raw=00,00",
        "raw=0/0:",
        "raw=0@0G",
        "raw=0`0g",
        "close=EOF",
        "close=Reset",
        "close=eof%00",
        "close=reset1",
        "close=e",
        "close=-1",
        "close=1000%00",
        "close=1000,later",
        "close=1&reason=%ff",
        "close=1&reason=%c3",
        "hello=%ed%a0%80",
        "hello=\xff",
        /* percent-encoded badly */
        "hello=%",
        "hello=%4",
        "hello=a%4",
        "hello=%zz",
        "hello=%4z",
        "hello=%z4",
        "hello=%%41",
        "delay=%3",
    };
    for (size_t i = 0; i < COUNT_OF(queries); i++)
        CHECK_NUMBER(LAB_VALUE_WRONG, parse_query(queries[i]), "%s", queries[i]);
}

/* The first word that is wrong says why the query is refused, whatever follows. */
TEST(the_first_wrong_word_of_a_query_says_why_it_is_refused)
{
    CHECK_NUMBER(LAB_VALUE_WRONG, parse_query("delay=x&nothing"), "a value before a word");
    CHECK_NUMBER(LAB_WORD_UNKNOWN, parse_query("nothing&delay=x"), "a word before a value");
    CHECK_NUMBER(LAB_WORD_UNKNOWN, parse_query("status=404&close&nothing"), "a word and a combination");
    CHECK_NUMBER(LAB_STATUS_NOT_ALONE, parse_query("after=1&status=404&reason=a"), "three combinations");
    CHECK_NUMBER(LAB_TRIGGERS_NOTHING, parse_query("reason=a&after=1"), "two combinations");
}

TEST(each_number_in_a_query_has_its_limits)
{
    static const struct {
        const char *query;
        bool due;
    } rows[] = {
        {"status=101", false},
        {"status=199", false},
        {"status=200", true},
        {"status=599", true},
        {"status=600", false},
        {"status=0200", true},
        {"status=4294967496", false},
        {"status=18446744073709551816", false},
        {"fragment=0", false},
        {"fragment=1", true},
        {"fragment=000", false},
        {"fragment=0001", true},
        {"fragment=1000000000", true},
        {"fragment=1000000001", false},
        {"slice=0", false},
        {"slice=1", true},
        {"slice=1000000000", true},
        {"slice=1000000001", false},
        {"slice=18446744073709551617", false},
        {"close&count=0", false},
        {"close&count=1", true},
        {"close&count=1000000000", true},
        {"close&count=1000000001", false},
        {"close&count=99999999999999999999999999999999", false},
        {"close=0", true},
        {"close=00000000000000000000000000000000000001", true},
        {"close=65535", true},
        {"close=65536", false},
        {"close=66535", false},
        {"close=18446744073709551616", false},
        {"repeat=0", false},
        {"repeat=0.0999999", false},
        {"repeat=0.099999999", false},
        {"repeat=0.1", true},
        {"repeat=3600", true},
        {"repeat=3600.000001", false},
        {"repeat=3601", false},
        {"close&after=0", true},
        {"close&after=3600", true},
        {"close&after=3600.000001", false},
        {"close&after=3601", false},
        {"close&after=18446744073709551616", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_NUMBER(rows[i].due ? DONE : LAB_VALUE_WRONG, parse_query(rows[i].query), "%s", rows[i].query);
    ASKS("close=00000000000000000000000000000000000001", asked.close_code == 1);
    ASKS("close=65535", asked.close_code == 65535);
    ASKS("close&count=1000000000", asked.count == 1000000000);
    ASKS("close&after=0", asked.has_after && asked.after == 0);
}

TEST(a_single_wait_is_at_most_60_s_and_less_than_the_timeout)
{
    static const char *const words[] = {"delay", "latency", "stall"};
    static const struct {
        int64_t timeout, longest; /* microseconds */
    } rows[] = {
        {0, 60000000},
        {INT64_C(31622400000000), 60000000},
        {120000000, 60000000},
        {60000001, 60000000},
        {60000000, 59999999},
        {59999999, 59999998},
        {10000000, 9999999},
        {2, 1},
        {1, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t word = 0; word < COUNT_OF(words); word++)
            for (int more = 0; more <= 1; more++) {
                int64_t wait = rows[i].longest + more;
                char query[64];
                int length =
                    sprintf(query, "%s=%d.%06d", words[word], (int)(wait / SECOND), (int)(wait % SECOND));
                CHECK_NUMBER(more ? LAB_VALUE_WRONG : DONE,
                             parse_query_of(query, (size_t)length, rows[i].timeout, true),
                             "%s with a timeout of %" PRId64 " microseconds", query, rows[i].timeout);
                CHECK(more || asked.delay + asked.latency + asked.stall == wait, "%s", query);
            }
}

TEST(a_wait_of_nothing_is_one)
{
    ASKS("delay=0", asked.delay == 0);
    ASKS("latency=0.000", asked.latency == 0);
    ASKS("stall=0", asked.stall == 0);
    CHECK_NUMBER(DONE, parse_query_of(BYTES("delay=0"), 1, true), "with the shortest timeout");
}

TEST(a_stall_without_a_value_is_as_long_as_a_wait_may_be)
{
    CHECK(parse_query_of(BYTES("stall"), 0, true) == DONE && asked.stall == 60000000, "no timeout");
    CHECK_NUMBER(NO_ENDING, asked.ending, "a stall alone");
    CHECK(parse_query_of(BYTES("stall"), 60000000, true) == DONE && asked.stall == 59999999, "60 s");
    CHECK(parse_query_of(BYTES("stall"), 5000000, true) == DONE && asked.stall == 4999999, "5 s");
}

/* Parses `before` and then a text so many times, and checks that it is taken up to a length. */
static void check_length(const char *before, const char *part, size_t times, bool due)
{
    char query[4096], *end = stpcpy(query, before);
    for (size_t i = 0; i < times; i++)
        end = stpcpy(end, part);
    CHECK_NUMBER(due ? DONE : LAB_VALUE_WRONG, parse_query(query), "%s and %zu times %s", before, times,
                 part);
}

TEST(texts_and_bytes_in_a_query_have_a_greatest_length)
{
    for (size_t more = 0; more <= 2; more++) {
        check_length("hello=", "a", 1023 + more, more <= 1);
        CHECK(more > 1 || asked.hello_length == 1023 + more, "%zu bytes", 1023 + more);
        check_length("hello=", "%61", 1023 + more, more <= 1);
        CHECK(more > 1 || asked.hello_length == 1023 + more, "%zu bytes", 1023 + more);
        check_length("hello=a", "%c3%a4", 510 + more, more <= 1);
        check_length("close=1&reason=", "a", 122 + more, more <= 1);
        CHECK(more > 1 || asked.reason_length == 122 + more, "%zu bytes", 122 + more);
        check_length("close=1&reason=", "%61", 122 + more, more <= 1);
        check_length("raw=", "fF", 511 + more, more <= 1);
        CHECK(more > 1 || asked.raw_length == 511 + more, "%zu bytes", 511 + more);
        check_length("raw=", "%30%31", 511 + more, more <= 1);
    }
    check_length("raw=f", "ff", 512, false);
    check_length("hello=", "a", 4000, false);
    check_length("close=1&reason=", "a", 1025, false);
    check_length("delay=", "0", 1024, true);
    check_length("delay=", "0", 1025, false); /* as long as any value may be */
}

TEST(the_longest_texts_and_bytes_stand_beside_one_another)
{
    char query[4096] = "reason=", hello[HELLO_MAX], reason[REASON_MAX];
    uint8_t raw[RAW_MAX];
    memset(query + strlen(query), 'r', sizeof reason);
    strcat(query, "&hello=");
    memset(query + strlen(query), 'h', sizeof hello);
    strcat(query, "&close=1&raw=");
    memset(query + strlen(query), 'f', 2 * sizeof raw);
    memset(hello, 'h', sizeof hello);
    memset(raw, 0xff, sizeof raw);
    memset(reason, 'r', sizeof reason);
    CHECK_NUMBER(DONE, parse_query(query), "%s", query);
    CHECK_BYTES(hello, sizeof hello, asked.hello_text, asked.hello_length, "hello");
    CHECK_BYTES(raw, sizeof raw, asked.raw, asked.raw_length, "raw");
    CHECK_BYTES(reason, sizeof reason, asked.reason, asked.reason_length, "reason");
    CHECK_BYTES("reason=123&hello=1024&close=1&raw=512", 37, asked.shown, asked.shown_length, "shown");
}

TEST(a_value_is_percent_decoded_and_plus_is_a_space_but_no_name_is)
{
    ASKS("hello=a+b%2Bc%2bd", asked.hello_length == 7 && memcmp(asked.hello_text, "a b+c+d", 7) == 0);
    ASKS("hello=%26%3d%25%00", asked.hello_length == 4 && memcmp(asked.hello_text, "&=%", 4) == 0);
    ASKS("hello=a=b?c", asked.hello_length == 5 && memcmp(asked.hello_text, "a=b?c", 5) == 0);
    ASKS("hello=\xc3\xa4%C3%a4",
         asked.hello_length == 4 && memcmp(asked.hello_text, "\xc3\xa4\xc3\xa4", 4) == 0);
    ASKS("close=1&reason=a+%00", asked.reason_length == 3 && memcmp(asked.reason, "a \0", 3) == 0);
    ASKS("delay=%31%2e5", asked.delay == 1500000);
    ASKS("close=%65of", asked.ending == STREAM_END);
    ASKS("mute=echo%2Cping", asked.mute == (MUTE_ECHO | MUTE_PING));
    ASKS("raw=%30%30", asked.raw_length == 1 && asked.raw[0] == 0);
    CHECK_NUMBER(LAB_WORD_UNKNOWN, parse_query("d%65lay=1"), "a name that is percent-encoded");
}

TEST(names_in_a_value_stand_at_most_once_each)
{
    static const char *const queries[] = {
        "bad=accept,accept",    "bad=,",       "bad=accept,",       "bad=,accept",    "bad=accept,,extension",
        "bad=accept extension", "bad=echo",    "mute=accept",       "mute=echo,echo", "mute=echo,ping,echo",
        "mute=close,",          "mute=,close", "mute=echo,nothing", "mute=echoping",  "mute=ech",
    };
    for (size_t i = 0; i < COUNT_OF(queries); i++)
        CHECK_NUMBER(LAB_VALUE_WRONG, parse_query(queries[i]), "%s", queries[i]);
}

TEST(words_that_do_not_go_together_are_refused)
{
    static const char *const others[] = {"bad=accept", "headers", "hello=",    "repeat=1", "latency=1",
                                         "fragment=1", "slice=1", "mute=echo", "after=1",  "count=1",
                                         "raw=00",     "stall=1", "stall",     "close",    "close=eof",
                                         "reason=",    "close=1"};
    static const struct {
        const char *query;
        enum outcome due;
    } rows[] = {
        {"status=404&delay=1", DONE},
        {"delay=1&status=404", DONE},
        {"after=0", LAB_TRIGGERS_NOTHING},
        {"after=1", LAB_TRIGGERS_NOTHING},
        {"count=1", LAB_TRIGGERS_NOTHING},
        {"after=1&count=1", LAB_TRIGGERS_NOTHING},
        {"after=1&hello=a&repeat=1&headers&mute=close&latency=1&delay=1&bad=accept&fragment=1&slice=1",
         LAB_TRIGGERS_NOTHING},
        {"after=1&raw=00", DONE},
        {"after=1&stall", DONE},
        {"after=1&stall=0", DONE},
        {"after=1&close", DONE},
        {"after=1&close=eof", DONE},
        {"count=1&raw=00", DONE},
        {"count=1&stall=1", DONE},
        {"count=1&close=0", DONE},
        {"after=1&count=1&raw=00&stall&close", DONE},
        {"reason=", LAB_REASON_WITHOUT_CODE},
        {"reason=a", LAB_REASON_WITHOUT_CODE},
        {"reason=a&close", LAB_REASON_WITHOUT_CODE},
        {"close=eof&reason=a", LAB_REASON_WITHOUT_CODE},
        {"close=reset&reason=a", LAB_REASON_WITHOUT_CODE},
        {"reason=a&raw=00&stall", LAB_REASON_WITHOUT_CODE},
        {"reason=a&close=0", DONE},
        {"close=1000&reason=a", DONE},
        {"close=reset", DONE},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        char query[64];
        sprintf(query, "status=404&%s", others[i]);
        CHECK_NUMBER(LAB_STATUS_NOT_ALONE, parse_query(query), "%s", query);
        sprintf(query, "delay=0&%s&status=404", others[i]);
        CHECK_NUMBER(LAB_STATUS_NOT_ALONE, parse_query(query), "%s", query);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_NUMBER(rows[i].due, parse_query(rows[i].query), "%s", rows[i].query);
}

TEST(a_reset_is_refused_where_the_connection_is_not_tcp)
{
    static const char *const others[] = {"close",      "close=eof", "close=1000", "stall", "raw=00",
                                         "status=404", ""};
    CHECK_NUMBER(LAB_RESET_WITHOUT_TCP, parse_query_of(BYTES("close=reset"), 0, false), "a reset");
    CHECK_NUMBER(LAB_RESET_WITHOUT_TCP, parse_query_of(BYTES("raw=00&close=reset&count=2"), 0, false),
                 "a reset");
    for (size_t i = 0; i < COUNT_OF(others); i++)
        CHECK_NUMBER(DONE, parse_query_of(others[i], strlen(others[i]), 0, false), "%s", others[i]);
}

TEST(words_may_stand_in_any_order)
{
    static const char *const words[] = {"delay=1",   "bad=accept", "headers", "hello=ab",  "repeat=2",
                                        "latency=3", "fragment=4", "slice=5", "mute=pong", "after=6",
                                        "count=7",   "raw=0102",   "stall=8", "close=9",   "reason=cd"};
    size_t order[COUNT_OF(words)];
    struct words first = {0};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        order[i] = i;
    for (int turn = 0; turn < 200; turn++) {
        char query[256], *end = query;
        for (size_t i = 0; i < COUNT_OF(words); i++)
            end += sprintf(end, "%s%s", i > 0 ? "&" : "", words[order[i]]);
        CHECK_NUMBER(DONE, parse_query(query), "%s", query);
        memset(asked.shown, 0, sizeof asked.shown);
        if (turn == 0)
            first = asked;
        CHECK(memcmp(&first, &asked, sizeof asked) == 0, "%s", query);
        for (size_t i = COUNT_OF(words) - 1; i > 0; i--) {
            size_t other = random_below(i + 1), kept = order[i];
            order[i] = order[other];
            order[other] = kept;
        }
    }
    CHECK(first.delay == SECOND && first.repeat == 2 * SECOND && first.latency == 3 * SECOND &&
              first.after == 6 * SECOND && first.stall == 8 * SECOND,
          "times");
    CHECK(first.fragment == 4 && first.slice == 5 && first.count == 7 && first.close_code == 9, "numbers");
}

TEST(the_record_shows_words_in_their_order_and_texts_and_bytes_by_their_number)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"close=4000&after=2&hello=hello+world&raw=817e00", "close=4000&after=2&hello=11&raw=3"},
        {"raw=00&stall", "raw=1&stall"},
        {"stall&raw=0000", "stall&raw=2"},
        {"close", "close"},
        {"close=eof&stall=0.50", "close=eof&stall=0.50"},
        {"hello=", "hello=0"},
        {"hello=%c3%a4", "hello=2"},
        {"headers&close=%31&reason=%22%00%0a", "headers&close=1&reason=3"},
        {"mute=ping,echo&bad=accept%2cextension", "mute=ping,echo&bad=accept,extension"},
        {"status=0404&delay=00.5", "status=0404&delay=00.5"},
        {"repeat=1&latency=2&fragment=3&slice=4&count=5&close",
         "repeat=1&latency=2&fragment=3&slice=4&count=5&close"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_NUMBER(DONE, parse_query(rows[i][0]), "%s", rows[i][0]);
        CHECK_BYTES(rows[i][1], strlen(rows[i][1]), asked.shown, asked.shown_length, "%s", rows[i][0]);
    }
    check_length("hello=", "a", 1024, true);
    CHECK_BYTES("hello=1024", 10, asked.shown, asked.shown_length, "the longest text");
    check_length("raw=", "00", 512, true);
    CHECK_BYTES("raw=512", 7, asked.shown, asked.shown_length, "the most bytes");
}

TEST(a_word_that_is_refused_is_not_shown)
{
    static const char *const queries[] = {"stall&delay", "stall&delay=x",   "stall&nothing",
                                          "stall&stall", "stall&headers=1", "stall&hello=%ff"};
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        CHECK(parse_query(queries[i]) != DONE, "%s", queries[i]);
        CHECK_BYTES("stall", 5, asked.shown, asked.shown_length, "%s", queries[i]);
    }
}

TEST(the_words_are_cut_in_the_record_after_258_bytes)
{
    for (size_t length = 256; length <= 260; length++) {
        char query[300];
        sprintf(query, "delay=%0*d", (int)(length - strlen("delay=")), 0);
        CHECK_NUMBER(DONE, parse_query(query), "%s", query);
        CHECK_BYTES(query, length < 258 ? length : 258, asked.shown, asked.shown_length, "%zu bytes", length);
        strcat(query, "&headers");
        CHECK_NUMBER(DONE, parse_query(query), "%s", query);
        CHECK(asked.headers, "%s", query);
        CHECK_BYTES(query, 258, asked.shown, asked.shown_length, "%zu bytes and a word", length);
    }
}

/* The sentences that refuse a query contain it. */
TEST(the_list_of_words_has_each_with_its_value)
{
    char list[WORDS_LIST_SIZE];
    memset(list, 'x', sizeof list);
    words_list(list);
    CHECK_STRING("delay=S status=CODE bad=NAMES headers hello=TEXT repeat=S latency=S fragment=N slice=N "
                 "mute=NAMES after=S count=N raw=HEX stall[=S] close[=CODE] reason=TEXT",
                 list, "the list");
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(HELLO_MAX, 1024);
    CHECK_LIMIT(RAW_MAX, 512);
    CHECK_LIMIT(REASON_MAX, 123);
    CHECK_LIMIT(WORDS_SHOWN_SIZE, 258);
    CHECK_LIMIT(WAIT_MAX, 60000000);
    CHECK_LIMIT(SCHEDULE_MAX, INT64_C(3600000000));
    CHECK_LIMIT(REPEAT_MIN, 100000);
    CHECK_LIMIT(NUMBER_MAX, 1000000000);
    CHECK_LIMIT(STATUS_MIN, 200);
    CHECK_LIMIT(STATUS_MAX, 599);
}
