/* SPDX-License-Identifier: MIT */
/* Tests of options.c */
#include "../../src/options.c"
#include "check.h"

enum { ARGUMENTS_MAX = 80 };

static char complaint[COMPLAINT_SIZE];

/* Parses a command line into fresh options; the arguments follow, and NULL after the last one. */
static bool parse_words(struct options *into, const char *first, ...)
{
    const char *arguments[ARGUMENTS_MAX + 2] = {"ws-echo"};
    int count = 1;
    va_list words;
    va_start(words, first);
    for (const char *word = first; word; word = va_arg(words, const char *))
        arguments[count++] = word;
    va_end(words);
    memset(into, 0xee, sizeof *into);
    *complaint = '\0';
    return options_parse(count, (char **)(uintptr_t)arguments, into, complaint);
}

#define PARSE(...) parse_words(&into, __VA_ARGS__, NULL)

TEST(options_that_are_not_given_have_their_defaults)
{
    struct options into;
    CHECK(parse_words(&into, NULL), "%s", complaint);
    CHECK_NUMBER(1, into.paths.count, "paths");
    CHECK_STRING("/socket", into.paths.names[0], "path");
    CHECK_BYTES("server: ", 8, into.prefix.bytes, into.prefix.length, "prefix");
    CHECK(into.origins.any && into.subprotocols.any && !into.paths.any, "what is any");
    CHECK_NUMBER(16 * 1024 * 1024, into.max_message, "bytes");
    CHECK_NUMBER(10000000, into.handshake_timeout, "microseconds");
    CHECK_NUMBER(20000000, into.ping_interval, "microseconds");
    CHECK_NUMBER(60000000, into.timeout, "microseconds");
    CHECK(into.labs.count == 0 && !into.labs.any, "no lab");
    CHECK(!into.proxy_protocol && !into.no_page && !into.deflate && !into.check && !into.quiet &&
              !into.verbose && !into.help && !into.version,
          "nothing is switched on");
    CHECK_STRING("nobody", into.user, "user");
}

TEST(every_option_is_taken_in_its_long_and_short_form)
{
    struct options into;
    CHECK(PARSE("--path=/a", "--path", "/b", "-p", "/c", "-p/d"), "%s", complaint);
    CHECK_NUMBER(4, into.paths.count, "paths");
    CHECK_STRING("/b", into.paths.names[1], "path");
    CHECK_STRING("/d", into.paths.names[3], "path");
    CHECK(PARSE("--path=any") && into.paths.any && into.paths.count == 0, "%s", complaint);
    CHECK(PARSE("--prefix=>%20") && into.prefix.length == 2 && memcmp(into.prefix.bytes, "> ", 2) == 0, "%s",
          complaint);
    CHECK(PARSE("-P", "") && into.prefix.length == 0, "%s", complaint);
    CHECK(PARSE("--origin=https://a.example", "-onull") && into.origins.count == 2 && !into.origins.any, "%s",
          complaint);
    CHECK(PARSE("-o", "any") && into.origins.any, "%s", complaint);
    CHECK(PARSE("--subprotocol=chat", "-s", "v1.b") && into.subprotocols.count == 2 && !into.subprotocols.any,
          "%s", complaint);
    CHECK(PARSE("-sAny", "-sNone") && into.subprotocols.count == 2, "%s", complaint);
    CHECK(PARSE("-snone") && into.subprotocols.none && !into.subprotocols.any, "%s", complaint);
    CHECK(PARSE("--max-message=64K") && into.max_message == 65536, "%s", complaint);
    CHECK(PARSE("-m1") && into.max_message == 1, "%s", complaint);
    CHECK(PARSE("--handshake-timeout=0.5") && into.handshake_timeout == 500000, "%s", complaint);
    CHECK(PARSE("--ping-interval=1.25") && into.ping_interval == 1250000, "%s", complaint);
    CHECK(PARSE("--ping-interval=0") && into.ping_interval == 0, "%s", complaint);
    CHECK(PARSE("--timeout=61") && into.timeout == 61000000, "%s", complaint);
    CHECK(PARSE("--timeout=0") && into.timeout == 0 && into.ping_interval == 20000000, "%s", complaint);
    CHECK(PARSE("--proxy-protocol") && into.proxy_protocol, "%s", complaint);
    CHECK(PARSE("--no-page") && into.no_page, "%s", complaint);
    CHECK(PARSE("--lab=/a", "--lab", "/b/") && into.labs.count == 2 && !into.labs.any, "%s", complaint);
    CHECK_STRING("/a", into.labs.names[0], "path");
    CHECK_STRING("/b/", into.labs.names[1], "path");
    CHECK(into.paths.count == 1 && strcmp(into.paths.names[0], "/socket") == 0, "the path is as it was");
    CHECK(PARSE("--deflate") && into.deflate, "%s", complaint);
    CHECK(PARSE("--check") && into.check, "%s", complaint);
    CHECK(PARSE("--log=auto") && into.log == AUTO, "%s", complaint);
    CHECK(PARSE("--log=journal") && into.log == JOURNAL, "%s", complaint);
    CHECK(PARSE("--log=syslog") && into.log == SYSLOG, "%s", complaint);
    CHECK(PARSE("--log=stderr") && into.log == STANDARD_ERROR, "%s", complaint);
    CHECK(PARSE("--user=www-data") && strcmp(into.user, "www-data") == 0, "%s", complaint);
    CHECK(PARSE("-u", "daemon") && strcmp(into.user, "daemon") == 0, "%s", complaint);
    CHECK(PARSE("--quiet") && into.quiet, "%s", complaint);
    CHECK(PARSE("-q") && into.quiet && !into.verbose, "%s", complaint);
    CHECK(PARSE("--verbose") && into.verbose, "%s", complaint);
    CHECK(PARSE("-v") && into.verbose && !into.quiet, "%s", complaint);
    CHECK(PARSE("-vp/a", "-m", "5") && into.verbose && into.paths.count == 1 && into.max_message == 5, "%s",
          complaint);
    CHECK(PARSE("--help") && into.help && !into.version, "%s", complaint);
    CHECK(PARSE("-h") && into.help && !into.version, "%s", complaint);
    CHECK(PARSE("--version") && into.version && !into.help, "%s", complaint);
}

TEST(the_last_one_of_an_option_that_is_not_repeatable_counts)
{
    struct options into;
    CHECK(PARSE("-P", "longer", "-P", "a", "-m1K", "-m2K", "--timeout=5", "--timeout=90"), "%s", complaint);
    CHECK_BYTES("a", 1, into.prefix.bytes, into.prefix.length, "prefix");
    CHECK_NUMBER(2048, into.max_message, "bytes");
    CHECK_NUMBER(90000000, into.timeout, "microseconds");
}

TEST(a_ping_interval_that_is_not_given_is_a_third_of_a_shorter_timeout)
{
    struct options into;
    CHECK(PARSE("--timeout=30") && into.ping_interval == 10000000, "%s", complaint);
    CHECK(PARSE("--timeout=0.3") && into.ping_interval == 100000, "%s", complaint);
    CHECK(PARSE("--timeout=61") && into.ping_interval == 20000000, "%s", complaint);
    CHECK(PARSE("--timeout=3600") && into.ping_interval == 20000000, "%s", complaint);
    CHECK(PARSE("--timeout=60") && into.ping_interval == 20000000, "%s", complaint);
    CHECK(PARSE("--timeout=0.000001") && into.ping_interval == 0, "%s", complaint);
    CHECK(PARSE("--timeout=0.000002") && into.ping_interval == 0, "%s", complaint);
    CHECK(PARSE("--timeout=0.000003") && into.ping_interval == 1, "%s", complaint);
    CHECK(PARSE("--timeout=0.000004") && into.ping_interval == 2, "%s", complaint);
}

/* If it were rounded down, the last Ping would be sent just before the end, too late for an answer. */
TEST(a_third_of_the_timeout_is_rounded_up_to_the_microsecond)
{
    static const int timeouts[] = {100000, 1000000, 10000000, 20000000, 59999997};
    struct options into;
    char word[40];
    for (size_t i = 0; i < COUNT_OF(timeouts); i++)
        for (int timeout = timeouts[i]; timeout < timeouts[i] + 3; timeout++) {
            snprintf(word, sizeof word, "--timeout=%d.%06d", timeout / 1000000, timeout % 1000000);
            CHECK(PARSE(word), "%s", complaint);
            CHECK_NUMBER(timeout / 3 + (timeout % 3 > 0), into.ping_interval, "%s", word);
        }
}

TEST(a_wrong_command_line_is_answered_with_what_is_wrong_and_what_would_be_right)
{
    static const struct {
        const char *words[3], *names, *advises;
    } rows[] = {
        {{"--path="}, "--path=:", "begins with /"},
        {{"-p", "socket"}, "--path=socket:", "begins with /"},
        {{"--path=/a b"}, "--path=/a b:", "no blank"},
        {{"--path=/a?b"}, "--path=/a?b:", "no blank, ? or #"},
        {{"--path=/\xc3\xa4"}, "--path=", "begins with /"},
        {{"--path=/a", "--path=any"}, "--path=any:", "alone"},
        {{"--path=any", "--path=/a"}, "--path=/a:", "alone"},
        {{"--path=any", "--path=any"}, "--path=any:", "alone"},
        {{"--lab="}, "--lab=:", "begins with one /"},
        {{"--lab=any"}, "--lab=any:", "begins with one /"},
        {{"--lab=none"}, "--lab=none:", "begins with one /"},
        {{"--lab=//a"}, "--lab=//a:", "begins with one /"},
        {{"--lab=lab"}, "--lab=lab:", "begins with one /"},
        {{"--lab=/a?b"}, "--lab=/a?b:", "no blank, ? or #"},
        {{"--lab=/a", "--lab=/b c"}, "--lab=/b c:", "no blank"},
        {{"--prefix=%"}, "--prefix=%:", "%20"},
        {{"--prefix=50%"}, "--prefix=50%:", "%20"},
        {{"--prefix=%c3"}, "--prefix=%c3:", "UTF-8"},
        {{"--origin=a.example"}, "--origin=a.example:", "https://example.org"},
        {{"--origin=https://a.example/"}, "--origin=https://a.example/:", "https://example.org"},
        {{"--origin=any", "-onull"}, "--origin=null:", "alone"},
        {{"-s", "a b"}, "--subprotocol=a b:", "without blanks"},
        {{"-s", ""}, "--subprotocol=:", "without blanks"},
        {{"-snone", "-sa"}, "--subprotocol=a:", "alone"},
        {{"-sa", "-snone"}, "--subprotocol=none:", "alone"},
        {{"-m", "0"}, "--max-message=0:", "1 to 1G"},
        {{"-m2G"}, "--max-message=2G:", "1 to 1G"},
        {{"--handshake-timeout=0"}, "--handshake-timeout=0:", "above 0"},
        {{"--handshake-timeout=ten"}, "--handshake-timeout=ten:", "above 0"},
        {{"--ping-interval=-1"}, "--ping-interval=-1:", "must be seconds"},
        {{"--timeout="}, "--timeout=:", "must be seconds"},
        {{"--user="}, "--user=:", "name of a user"},
        {{"--ping-interval=60"}, "--ping-interval", "below --timeout"},
        {{"--timeout=5", "--ping-interval=5"}, "--ping-interval", "below --timeout"},
        {{"-q", "-v"}, "--quiet and --verbose", "one of them"},
        {{"--path"}, "--path", "needs a value"},
        {{"-m"}, "-m", "needs a value"},
        {{"-q", "-P"}, "--prefix", "needs a value"},
        {{"--quiet=1"}, "--quiet", "takes no value"},
        {{"--help=1"}, "--help", "takes no value"},
        {{"--nothing"}, "unknown option --nothing", "ws-echo --help"},
        {{"--nothing=1"}, "--nothing=1", "ws-echo --help"},
        {{"--p"}, "ambiguous option --p;", "ws-echo --help"},
        {{"--p=/a"}, "ambiguous option --p=/a;", "ws-echo --help"},
        {{"--log=file"}, "--log=file:", "journal, syslog or stderr"},
        {{"-x"}, "-x", "ws-echo --help"},
        {{"-qx"}, "-x", "ws-echo --help"},
        {{"-:"}, "-:", "ws-echo --help"},
        {{"-W", "path"}, "-W", "ws-echo --help"},
        {{"8888"}, "8888", "ws-echo --help"},
        {{""}, "argument", "ws-echo --help"},
        {{"--", "-q"}, "-q", "ws-echo --help"},
        {{"-q", "word", "-v"}, "word", "ws-echo --help"},
        {{"word", "-x"}, "argument word", "ws-echo --help"},
        {{"-"}, "argument -", "ws-echo --help"},
        {{"-xq"}, "unknown option -x", "ws-echo --help"},
        {{"--no-page", "-xq"}, "unknown option -x", "ws-echo --help"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct options into;
        const char *const *words = rows[i].words;
        CHECK(!parse_words(&into, words[0], words[1], words[2], NULL), "%s %s", words[0],
              words[1] ? words[1] : "");
        CHECK(strstr(complaint, rows[i].names), "'%s' names %s", complaint, rows[i].names);
        CHECK(strstr(complaint, rows[i].advises), "'%s' says %s", complaint, rows[i].advises);
        CHECK(!strchr(complaint, '\n'), "'%s' is one line", complaint);
    }
}

TEST(a_short_option_outside_of_ascii_is_unknown_too)
{
    struct options into;
    CHECK(!PARSE("-\xc3\xb6"), "-\xc3\xb6");
    CHECK(strstr(complaint, "unknown"), "'%s' says unknown", complaint);
    CHECK(!PARSE("-q\xc3\xb6q"), "-q\xc3\xb6q");
    CHECK(strstr(complaint, "unknown"), "'%s' says unknown", complaint);
}

TEST(a_complaint_says_what_would_be_right_however_long_the_value_is)
{
    struct options into;
    char prefix[1200] = "--prefix=", path[1200] = "--path=";
    memset(prefix + strlen(prefix), 'a', 1000);
    memset(path + strlen(path), 'a', 1000);
    CHECK(!PARSE(prefix), "a prefix of 1000 bytes");
    CHECK(strstr(complaint, "--prefix") && strstr(complaint, "at most 256 bytes"), "'%s'", complaint);
    CHECK(!PARSE(path), "a path of 1000 bytes");
    CHECK(strstr(complaint, "--path") && strstr(complaint, "begins with /"), "'%s'", complaint);
}

TEST(a_repeatable_option_is_taken_64_times)
{
    static const char *const words[] = {"-p/a", "-onull", "-schat", "--lab=/a"};
    for (int count = 63; count <= 65; count++)
        for (size_t word = 0; word < COUNT_OF(words); word++) {
            const char *arguments[ARGUMENTS_MAX] = {"ws-echo"};
            struct options into;
            for (int i = 1; i <= count; i++)
                arguments[i] = words[word];
            CHECK_NUMBER(count <= 64,
                         options_parse(1 + count, (char **)(uintptr_t)arguments, &into, complaint),
                         "%d times %s", count, words[word]);
            CHECK(count <= 64 || strstr(complaint, "64 times"), "'%s'", complaint);
        }
}

TEST(options_can_be_parsed_again)
{
    struct options into;
    CHECK(!PARSE("-qx", "-p", "/a"), "an unknown option ends the parsing in the middle of a word");
    CHECK(PARSE("-p", "/b") && !into.quiet && into.paths.count == 1, "%s", complaint);
    CHECK_STRING("/b", into.paths.names[0], "path");
}

TEST(a_size_is_1_byte_to_1g)
{
    static const struct {
        const char *value;
        uint64_t due; /* 0: refused */
    } rows[] = {
        {"1", 1},
        {"65536", 65536},
        {"1K", 1024},
        {"1M", 1 << 20},
        {"16M", 16 << 20},
        {"1G", 1 << 30},
        {"1024M", 1 << 30},
        {"1048576K", 1 << 30},
        {"1073741824", 1 << 30},
        {"007", 7},
        {"", 0},
        {"0", 0},
        {"0K", 0},
        {"K", 0},
        {"1073741825", 0},
        {"1048577K", 0},
        {"1025M", 0},
        {"2G", 0},
        {"18446744073709551615", 0},
        {"18446744073709551616", 0},
        {"18446744073709551617", 0},
        {"18014398509481985K", 0}, /* 1K if the product overflowed 64 bits */
        {"17179869185G", 0},
        {"99999999999999999999999999", 0},
        {"-1", 0},
        {"+1", 0},
        {" 1", 0},
        {"1 ", 0},
        {"1 K", 0},
        {"1k", 0},
        {"1T", 0},
        {"1KB", 0},
        {"1KK", 0},
        {"0x10", 0},
        {"1.5M", 0},
        {"1e3", 0},
        {"/1", 0},
        {":1", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t size = 0;
        bool taken = parse_size(rows[i].value, &size);
        CHECK_NUMBER(rows[i].due != 0, taken, "%s", rows[i].value);
        CHECK(!taken || size == rows[i].due, "%s is %" PRIu64, rows[i].value, size);
    }
}

TEST(a_duration_is_seconds_with_an_optional_fraction)
{
    static const struct {
        const char *value;
        int64_t due; /* microseconds; -1: refused */
    } rows[] = {
        {"0", 0},
        {"0.0", 0},
        {"00", 0},
        {"1", 1000000},
        {"10", 10000000},
        {"0.5", 500000},
        {"1.25", 1250000},
        {"0.000001", 1},
        {"0.0000009", 1}, /* rounded up, since 0 means never */
        {"0.00000000000000000000000000001", 1},
        {"1.0000009", 1000000},
        {"2.999999", 2999999},
        {"31622400", INT64_C(31622400000000)},
        {"31622400.0", INT64_C(31622400000000)},
        {"31622400.000001", -1},
        {"31622401", -1},
        {"18446744073709551617", -1},
        {"99999999999999999999999999999999", -1},
        {"", -1},
        {".", -1},
        {".5", -1},
        {"5.", -1},
        {"1..5", -1},
        {"1.5.5", -1},
        {"-1", -1},
        {"+1", -1},
        {" 1", -1},
        {"1 ", -1},
        {"1s", -1},
        {"1.s", -1},
        {"1.5s", -1},
        {"1e3", -1},
        {"0x10", -1},
        {"inf", -1},
        {"nan", -1},
        {"1,5", -1},
        {"1:", -1},
        {"1/", -1},
        {"1.:", -1},
        {"1.5/", -1},
        {":", -1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t duration = 0;
        bool taken = parse_duration(rows[i].value, &duration);
        CHECK_NUMBER(rows[i].due >= 0, taken, "%s", rows[i].value);
        if (taken && rows[i].due >= 0)
            CHECK_NUMBER(rows[i].due, duration, "%s", rows[i].value);
    }
}

TEST(a_prefix_is_percent_decoded_and_utf8)
{
    static const struct {
        const char *value, *due; /* NULL: refused */
        size_t length;
    } rows[] = {
        {"", BYTES("")},
        {"server: ", BYTES("server: ")},
        {"server:%20", BYTES("server: ")},
        {"100%25", BYTES("100%")},
        {"%2541", BYTES("%41")},
        {"%41%42%43", BYTES("ABC")},
        {"%0a%00%0D", BYTES("\n\0\r")},
        {"%c3%A4", BYTES("\xc3\xa4")},
        {"\xc3\xa4", BYTES("\xc3\xa4")},
        {"\xf0%9f\x98%80", BYTES("\xf0\x9f\x98\x80")},
        {"a+b", BYTES("a+b")},
        {"%", NULL, 0},
        {"%%", NULL, 0},
        {"a%2", NULL, 0},
        {"%2", NULL, 0},
        {"%g0", NULL, 0},
        {"%0g", NULL, 0},
        {"%-1", NULL, 0},
        {"%+1", NULL, 0},
        {"% 1", NULL, 0},
        {"%\xc3\xa4", NULL, 0},
        {"%ff", NULL, 0},
        {"%c3", NULL, 0},
        {"\xc3", NULL, 0},
        {"%ed%a0%80", NULL, 0},
        {"%c0%80", NULL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct options into = defaults;
        char *copy = strdup(rows[i].value);
        bool taken = parse_prefix(copy, &into.prefix);
        CHECK_NUMBER(rows[i].due != NULL, taken, "%s", rows[i].value);
        if (taken && rows[i].due)
            CHECK_BYTES(rows[i].due, rows[i].length, into.prefix.bytes, into.prefix.length, "%s",
                        rows[i].value);
        free(copy);
    }
}

TEST(a_prefix_has_256_bytes_at_most_when_it_is_decoded)
{
    for (size_t length = 255; length <= 257; length++) {
        struct options into = defaults;
        char plain[300] = "", encoded[3 * 300] = "";
        memset(plain, 'a', length);
        for (size_t i = 0; i < length; i++)
            strcpy(encoded + 3 * i, "%61");
        CHECK_NUMBER(length <= 256, parse_prefix(plain, &into.prefix), "%zu bytes", length);
        CHECK_NUMBER(length <= 256, parse_prefix(encoded, &into.prefix), "%zu bytes, encoded", length);
        CHECK(length > 256 || (into.prefix.length == length && memcmp(into.prefix.bytes, plain, length) == 0),
              "%zu bytes, encoded", length);
    }
}

TEST(an_origin_is_a_scheme_and_a_host_or_null)
{
    static const struct {
        const char *value;
        bool due;
    } rows[] = {
        {"null", true},
        {"https://example.org", true},
        {"http://localhost:8888", true},
        {"http://[::1]:80", true},
        {"chrome-extension://abcdef", true},
        {"Null", false},
        {"Any", false},
        {"", false},
        {"*", false},
        {"example.org", false},
        {"https:example.org", false},
        {"https:///", false},
        {"https://@", false},
        {"https:// ", false},
        {"https://", false},
        {"://example.org", false},
        {"https://example.org/", false},
        {"https://example.org?a", false},
        {"https://example.org#a", false},
        {"https://user@example.org", false},
        {"https://exa mple.org", false},
        {"https ://example.org", false},
        {"https://\xc3\xa4.example", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_NUMBER(rows[i].due, parse_origin(rows[i].value, &(struct choices){0}), "%s", rows[i].value);
    char longest[ORIGIN_MAX + 2] = "x://";
    memset(longest + 4, 'a', ORIGIN_MAX - 4);
    CHECK(parse_origin(longest, &(struct choices){0}), "%zu bytes", strlen(longest));
    longest[ORIGIN_MAX] = 'a';
    CHECK(!parse_origin(longest, &(struct choices){0}), "%zu bytes", strlen(longest));
}

TEST(the_path_that_is_named_is_the_first_one_or_what_stands_for_any)
{
    static const struct options any = {.paths = {.any = true}},
                                two = {.paths = {.count = 2, .names = {"/a", "/b"}}};
    CHECK_STRING("/", first_path(&any, "/"), "any path");
    CHECK_STRING("/socket", first_path(&any, "/socket"), "any path");
    CHECK_STRING("/a", first_path(&two, "/"), "two paths");
    CHECK_STRING(", or open the test page at / in a browser", page_hint(&two), "with the page");
    CHECK_STRING("", page_hint(&(struct options){.no_page = true}), "without the page");
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(CHOICES_MAX, 64);
    CHECK_LIMIT(PREFIX_MAX, 256);
    CHECK_LIMIT(ORIGIN_MAX, 300);
    CHECK_LIMIT(COMPLAINT_SIZE, 256);
    CHECK_LIMIT(PING_INTERVAL, 20000000);
    CHECK_LIMIT(DURATION_MAX, 366LL * 86400 * 1000000);
    CHECK_LIMIT(MESSAGE_MAX, 1 << 30);
}
