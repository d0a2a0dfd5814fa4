/* SPDX-License-Identifier: MIT */
/* Tests of head.c */
#include "../../src/head.c"
#include "check.h"

#define GET "GET /socket HTTP/1.1\r\n"
#define HOST "Host: h\r\n"

/* Heads of every kind, to be split; tests/protocol/test_head.py says how each one is answered. */
static const struct {
    const char *bytes;
    size_t length;
} heads[] = {
    {BYTES(GET HOST "\r\n")},
    {BYTES("\r\n" GET HOST "\r\n")},
    {BYTES("GET / HTTP/1.0\r\n\r\n")},
    {BYTES(GET "Host:\t a.example:80 \t\r\nX: a\tb \xff\x80\r\nY:\r\nZ: :\r\n\r\nbehind")},
    {BYTES("OPTIONS http://a.example?q HTTP/1.1\r\nHost: other\r\nContent-Length: 0\r\n\r\n")},
    {BYTES(GET HOST
           "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n\r\n\x81\x80\x01\x02\x03\x04")},
    {BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
    {BYTES("GET /\r\n")},
    {BYTES("GET / HTTP/1.10\r\n")},
    {BYTES("\r\n\r\nGET")},
    {BYTES("OPTIONS * HTTP/1.1\r\n" HOST "\r\n")},
    {BYTES("GET * HTTP/1.1\r\n")},
    {BYTES("GET /a#b HTTP/1.1\r\n")},
    {BYTES("GET /\xc3\xa4 HTTP/1.1\r\n")},
    {BYTES("GET /a\tb HTTP/1.1\r\n")},
    {BYTES("GET http://[fe80::1%a]/ HTTP/1.1\r\n")},
    {BYTES("GET / HTTP/1.1\n")},
    {BYTES("\nGET / HTTP/1.1\r\n")},
    {BYTES(GET "Host: a\n\r\n")},
    {BYTES(GET HOST "\n")},
    {BYTES("\rGET / HTTP/1.1\r\n")},
    {BYTES(GET HOST "\r\r\n")},
    {BYTES(GET "Host: a\rb\r\n\r\n")},
    {BYTES(GET "X: \0\r\n\r\n")},
    {BYTES("\x01")},
    {BYTES("G\x16")},
    {BYTES("\x16\x03\x01\x02\x00\x01")},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" GET)},
    {BYTES("\r\n\r\n\0\r\nQUIT\n!")},
    {BYTES(GET " " HOST "\r\n")},
    {BYTES(GET "Host : a\r\n\r\n")},
    {BYTES(GET "Ho st: a\r\n\r\n")},
    {BYTES(GET "\r\n")},
    {BYTES(GET HOST HOST "\r\n")},
    {BYTES(GET "Host: a b\r\n\r\n")},
    {BYTES(GET "Host: ::1\r\n\r\n")},
    {BYTES(GET HOST "Content-Length: 1\r\n\r\na")},
    {BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na")},
    {BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na")},
    {BYTES(GET HOST "Transfer-Encoding: chunked\r\n\r\n")},
    {BYTES("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {BYTES("")},
    {BYTES("\r\n\r\n")},
    {BYTES("GET / HTTP/1.1\r")},
    {BYTES(GET HOST "\r")},
};

/* Where the bytes of a head arrive: at the same address in every call, as in the program. */
static char arriving[2 * HEAD_MAX];

/* Parses the bytes that have arrived; after them there are bytes that are illegal in any head. */
static enum outcome parse_arrived(struct head *head, const char *bytes, size_t before, size_t arrived)
{
    memcpy(arriving + before, bytes + before, arrived - before);
    memset(arriving + arrived, 0x01, 32);
    return head_parse(head, arriving, arrived);
}

static enum outcome parse_whole(struct head *head, const char *bytes, size_t length)
{
    *head = (struct head){0};
    return parse_arrived(head, bytes, 0, length);
}

static void check_text(struct slice expected, struct slice received, const char *what)
{
    CHECK_BYTES(expected.bytes ? expected.bytes : "", expected.length, received.bytes ? received.bytes : "",
                received.length, "%s", what);
}

/* Checks that two parses of the same bytes have the same result. */
static void check_same_head(const struct head *expected, const struct head *received, const char *what)
{
    CHECK_NUMBER(expected->scanned, received->scanned, "%s", what);
    CHECK_NUMBER(expected->lines, received->lines, "%s", what);
    CHECK_NUMBER(expected->minor_version, received->minor_version, "%s", what);
    CHECK_NUMBER(expected->field_count, received->field_count, "%s", what);
    check_text(expected->method, received->method, what);
    check_text(expected->target, received->target, what);
    check_text(expected->path, received->path, what);
    CHECK(expected->query.bytes == received->query.bytes, "%s: the query begins in the same place", what);
    CHECK_NUMBER(expected->query.length, received->query.length, "%s", what);
    for (size_t i = 0; i < expected->field_count && i < received->field_count; i++) {
        check_text(expected->fields[i].name, received->fields[i].name, what);
        check_text(expected->fields[i].value, received->fields[i].value, what);
        CHECK(expected->fields[i].value.bytes == received->fields[i].value.bytes, "%s: field %zu", what, i);
    }
}

static void check_cut(const struct head *whole, enum outcome due, const char *bytes, size_t length,
                      size_t first, const char *what)
{
    struct head head = {0};
    enum outcome answer = parse_arrived(&head, bytes, 0, first);
    CHECK(answer == NEED_MORE || answer == due, "%s cut at %zu", what, first);
    if (answer == NEED_MORE && first < length)
        answer = parse_arrived(&head, bytes, first, length);
    CHECK_NUMBER(due, answer, "%s cut at %zu", what, first);
    check_same_head(whole, &head, what);
}

static void check_byte_by_byte(const struct head *whole, enum outcome due, const char *bytes, size_t length,
                               const char *what)
{
    struct head head = {0};
    enum outcome answer = NEED_MORE;
    for (size_t arrived = 0; answer == NEED_MORE && arrived < length; arrived++)
        answer = parse_arrived(&head, bytes, arrived, arrived + 1);
    CHECK_NUMBER(due, answer, "%s byte by byte", what);
    check_same_head(whole, &head, what);
}

TEST(a_head_is_read_in_the_same_way_wherever_it_is_cut)
{
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        struct head whole;
        enum outcome due = parse_whole(&whole, heads[i].bytes, heads[i].length);
        const char *what = shown(heads[i].bytes, heads[i].length);
        for (size_t first = 0; first <= heads[i].length; first++)
            check_cut(&whole, due, heads[i].bytes, heads[i].length, first, what);
        check_byte_by_byte(&whole, due, heads[i].bytes, heads[i].length, what);
    }
}

TEST(what_follows_the_head_is_not_read)
{
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        struct head whole, longer;
        char bytes[1024];
        enum outcome due = parse_whole(&whole, heads[i].bytes, heads[i].length);
        if (due == NEED_MORE)
            continue;
        for (int byte = 0; byte < 256; byte++) {
            memset(mempcpy(bytes, heads[i].bytes, whole.scanned), byte, 64);
            CHECK_NUMBER(due, parse_whole(&longer, bytes, whole.scanned + 64), "%s followed by %02x",
                         shown(heads[i].bytes, heads[i].length), (unsigned)byte);
            check_same_head(&whole, &longer, shown(heads[i].bytes, heads[i].length));
        }
    }
}

TEST(the_fields_of_a_head_are_found_without_the_white_space_around_them)
{
    static const char bytes[] =
        "\r\nGET /a/b?c HTTP/1.1\r\nHost: \t h:80\t \r\nX-Y:\r\nz:a : b\r\n\r\nbehind";
    static const char *const fields[][2] = {{"Host", "h:80"}, {"X-Y", ""}, {"z", "a : b"}};
    struct head head;
    CHECK_NUMBER(DONE, parse_whole(&head, BYTES(bytes)), "%s", bytes);
    CHECK_NUMBER(sizeof bytes - sizeof "behind", head.scanned, "%s", bytes);
    CHECK_NUMBER(1, head.minor_version, "%s", bytes);
    check_text(SLICE_OF("GET"), head.method, "method");
    check_text(SLICE_OF("/a/b?c"), head.target, "target");
    check_text(SLICE_OF("/a/b"), head.path, "path");
    CHECK_NUMBER(COUNT_OF(fields), head.field_count, "%s", bytes);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        check_text(SLICE_OF(fields[i][0]), head.fields[i].name, "name");
        check_text(SLICE_OF(fields[i][1]), head.fields[i].value, "value");
    }
}

TEST(the_query_of_a_target_is_what_follows_its_first_question_mark)
{
    static const struct {
        const char *target, *path, *query; /* NULL: it has none */
    } rows[] = {
        {"/", "/", NULL},
        {"/lab", "/lab", NULL},
        {"/lab?", "/lab", ""},
        {"/lab?close", "/lab", "close"},
        {"/lab?a=b&c", "/lab", "a=b&c"},
        {"/lab??a?b/c", "/lab", "?a?b/c"},
        {"/?", "/", ""},
        {"/a%3Fb?c%3f", "/a%3Fb", "c%3f"},
        {"http://h", "/", NULL},
        {"http://h?", "/", ""},
        {"http://h?close", "/", "close"},
        {"ws://h:80/lab", "/lab", NULL},
        {"ws://h:80/lab?", "/lab", ""},
        {"wss://h/lab?close=1", "/lab", "close=1"},
        {"*", "*", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char bytes[128];
        struct head head;
        int length = sprintf(bytes, "OPTIONS %s HTTP/1.1\r\n" HOST "\r\n", rows[i].target);
        CHECK_NUMBER(DONE, parse_whole(&head, bytes, (size_t)length), "%s", rows[i].target);
        CHECK_BYTES(rows[i].path, strlen(rows[i].path), head.path.bytes, head.path.length, "%s",
                    rows[i].target);
        CHECK_NUMBER(rows[i].query != NULL, head.query.bytes != NULL, "%s", rows[i].target);
        if (rows[i].query && head.query.bytes)
            CHECK_BYTES(rows[i].query, strlen(rows[i].query), head.query.bytes, head.query.length, "%s",
                        rows[i].target);
    }
}

/* Checks a head that is too long to be split everywhere: it is split around the limits, and byte by byte. */
static void check_long_head(enum outcome due, const char *bytes, size_t length, const char *what)
{
    struct head whole;
    CHECK_NUMBER(due, parse_whole(&whole, bytes, length), "%s, %zu bytes", what, length);
    for (size_t first = 0; first <= length; first++)
        if (first % 1021 == 0 || first % REQUEST_LINE_MAX < 4 ||
            first % REQUEST_LINE_MAX > REQUEST_LINE_MAX - 4 || length - first < 6)
            check_cut(&whole, due, bytes, length, first, what);
    check_byte_by_byte(&whole, due, bytes, length, what);
}

TEST(a_request_line_has_16384_bytes_at_most)
{
    static char bytes[REQUEST_LINE_MAX + 64];
    for (size_t length = REQUEST_LINE_MAX - 2; length <= REQUEST_LINE_MAX + 3; length++)
        for (int skipped = 0; skipped <= 1; skipped++) {
            size_t padding = length - strlen("GET / HTTP/1.1");
            int used = sprintf(bytes, "%sGET /%0*d HTTP/1.1\r\n" HOST "\r\n", skipped ? "\r\n" : "",
                               (int)padding, 0);
            char what[64];
            snprintf(what, sizeof what, "a request line of %zu bytes", length);
            check_long_head(length <= REQUEST_LINE_MAX ? DONE : LINE_TOO_LONG, bytes, (size_t)used, what);
        }
}

TEST(a_head_has_32768_bytes_at_most)
{
    static char bytes[HEAD_MAX + 64];
    for (size_t length = HEAD_MAX - 2; length <= HEAD_MAX + 3; length++) {
        static const char start[] = GET HOST "X: ";
        memset(bytes, 'x', sizeof bytes);
        memcpy(bytes, start, sizeof start - 1);
        memcpy(bytes + length - 4, "\r\n\r\n", 4);
        check_long_head(length <= HEAD_MAX ? DONE : HEAD_TOO_LARGE, bytes, length, "a head");
    }
    for (size_t i = HEAD_MAX; i < sizeof bytes; i++)
        bytes[i] = 'x';
    check_long_head(HEAD_TOO_LARGE, bytes, sizeof bytes, "a head without end");
}

TEST(a_head_has_100_fields_at_most)
{
    char bytes[2048];
    for (int count = 98; count <= 102; count++) {
        char *end = stpcpy(bytes, GET HOST);
        for (int i = 1; i < count; i++)
            end += sprintf(end, "X%d: %d\r\n", i, i);
        end = stpcpy(end, "\r\n");
        char what[64];
        snprintf(what, sizeof what, "%d fields", count);
        check_long_head(count <= 100 ? DONE : TOO_MANY_FIELDS, bytes, (size_t)(end - bytes), what);
    }
}

#define ALPHANUMERIC "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define TOKEN ALPHANUMERIC "!#$%&'*+-.^_`|~"     /* RFC 9110 section 5.6.2 */
#define HOST_NAME ALPHANUMERIC "-._~!$&'()*+,;=" /* RFC 3986 section 3.2.2 */

/* Returns the outcome for a byte that is neither allowed in a target nor ends it. */
static enum outcome due_in_target(int byte)
{
    return byte == '#'    ? TARGET_FRAGMENT
           : byte == '\t' ? TARGET_TAB
           : byte > 0x7f  ? TARGET_NOT_ASCII
                          : TARGET_MALFORMED;
}

TEST(every_byte_of_a_head_is_judged_by_the_place_where_it_stands)
{
    static const struct {
        const char *before, *after, *allowed;
        enum outcome otherwise, space;
    } places[] = {
        {"G", "T / HTTP/1.1\r\n" HOST "\r\n", TOKEN, LINE_MALFORMED, LINE_MALFORMED},
        {"GET /a", "b HTTP/1.1\r\n" HOST "\r\n", ALPHANUMERIC "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
         TARGET_MALFORMED, LINE_MALFORMED},
        {"GET http://a", "1/ HTTP/1.1\r\n" HOST "\r\n", HOST_NAME ":/?", TARGET_MALFORMED, LINE_MALFORMED},
        {"GET / HTTP/1.", "\r\n" HOST "\r\n", "0123456789", LINE_MALFORMED, LINE_MALFORMED},
        {GET HOST "X", "Y: z\r\n\r\n", TOKEN ":", FIELD_MALFORMED, FIELD_MALFORMED},
        {GET HOST "X: y", "z\r\n\r\n", "", DONE, DONE},
        {GET "Host: a", "1\r\n\r\n", HOST_NAME ":", HOST_MALFORMED, HOST_MALFORMED},
        {GET "Host: [v1.a", "]\r\n\r\n", HOST_NAME ":", HOST_MALFORMED, HOST_MALFORMED},
        {GET HOST "Content-Length: 0", "0\r\n\r\n", "0", CONTENT, CONTENT},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5", "5\r\n\r\n", "0123456789", CONTENT, CONTENT},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: ch", "nked\r\n\r\n", "uU", TRANSFER_ENCODING,
         TRANSFER_ENCODING},
    };
    for (size_t i = 0; i < COUNT_OF(places); i++)
        for (int byte = 0; byte < 256; byte++) {
            struct head head;
            char bytes[128];
            enum outcome due = byte == '\r'                                   ? BARE_CR
                               : byte == '\n'                                 ? BARE_LF
                               : (byte < ' ' && byte != '\t') || byte == 0x7f ? CONTROL_BYTE
                               : byte == ' '                                  ? places[i].space
                               : strchr(places[i].allowed, byte)              ? DONE
                               : places[i].otherwise == TARGET_MALFORMED      ? due_in_target(byte)
                                                                              : places[i].otherwise;
            int length = sprintf(bytes, "%s%c%s", places[i].before, byte, places[i].after);
            CHECK_NUMBER(due, parse_whole(&head, bytes, (size_t)length), "%s", shown(bytes, (size_t)length));
        }
}

TEST(a_host_or_a_target_is_not_read_beyond_its_end)
{
    static const char *const texts[] = {
        "a%41%c3:80",
        "[::ffff:192.0.2.1]:80",
        "[v1f.a:b]:1",
        "[fe80::1%25a]:80",
        "fe80::1%a",
        "2001:db8::1:65535",
        "http://a%41:80/b?c",
        "wss://[::1]?a",
        "ws://::1/a",
        "/a?b",
        "*",
        "/a#b",
    };
    char *end = (char *)guarded(64) + 64;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        for (size_t length = 0; length <= strlen(texts[i]); length++) {
            struct slice text = {texts[i], length};
            struct slice alone = {memcpy(end - length, texts[i], length), length};
            struct head head = {.method = SLICE_OF("OPTIONS"), .target = text};
            struct head head_alone = {.method = SLICE_OF("OPTIONS"), .target = alone};
            CHECK_NUMBER(is_host(alone), is_host(text), "%zu bytes of %s", length, texts[i]);
            CHECK_NUMBER(host_fault(alone), host_fault(text), "%zu bytes of %s", length, texts[i]);
            CHECK_NUMBER(parse_target(&head_alone), parse_target(&head), "%zu bytes of %s", length, texts[i]);
            check_text(head_alone.path, head.path, texts[i]);
        }
}

/* A head with a NUL is refused before its host is checked. */
TEST(a_host_has_no_nul)
{
    CHECK(!is_host((struct slice){BYTES("[::1\0]")}), "in an address");
    CHECK(!is_host((struct slice){BYTES("a\0b")}), "in a name");
}

TEST(a_name_of_a_host_may_have_whole_percent_encoded_bytes)
{
    static const struct {
        const char *host;
        bool due;
    } rows[] = {{"%00", true}, {"%0a", true},   {"%f0", true},   {"a%9Fb", true},
                {"%", false},  {"%4", false},   {"%g0", false},  {"%0g", false},
                {"a%", false}, {"%%41", false}, {"%41%", false}, {"%41%4", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_NUMBER(rows[i].due, is_host(SLICE_OF(rows[i].host)), "%s", rows[i].host);
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(TLS_HANDSHAKE, 0x16);
}
