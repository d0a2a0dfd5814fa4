/* SPDX-License-Identifier: MIT */
/* Tests of proxy.c */
#include "../../src/proxy.c"
#include "check.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define SIXTEEN(text) text text text text text text text text text text text text text text text text
#define V2_TCP4 SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"
#define V2_TCP6_ADDRESSES                                                                                    \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xff\xff\x00\x50"
#define V2_MAPPED_ADDRESSES                                                                                  \
    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x08\x00\x01\x00"   \
    "\x02"

/* PROXY headers and the address in each; a header without an address changes nothing. */
static const struct {
    const char *bytes;
    size_t length;
    bool right;
    const char *host, *port; /* NULL: unchanged */
} proxy_headers[] = {
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"), true, "192.0.2.1", "56324"},
    {BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), true, "255.255.255.255", "65535"},
    {BYTES("PROXY TCP6 2001:db8::1 2001:DB8::2 0 1\r\n"), true, "2001:db8::1", "0"},
    {BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "65535 65535\r\n"),
     true, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "65535"},
    {BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 5 6\r\n"), true, "192.0.2.1", "5"},
    {BYTES("PROXY UNKNOWN\r\n"), true, NULL, NULL},
    {BYTES("PROXY UNKNOWN whatever this is\r\n"), true, NULL, NULL},
    {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "65535 65535\r\n"),
     true, NULL, NULL},
    {BYTES("PROXY \r\n"), false, NULL, NULL},
    {BYTES("PROXY UNKNOWNS\r\n"), false, NULL, NULL},
    {BYTES("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 a.example 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 ::1 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP6 ::1 192.0.2.2 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 -2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2  2\r\n"), false, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"), false, NULL, NULL},
    {BYTES("PROXY UNKNOWN\0 \r\n"), false, NULL, NULL},
    {BYTES("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), false, NULL, NULL},
    {BYTES("GET / HTTP/1.1\r\n"), false, NULL, NULL},
    {BYTES("POST / HTTP/1.1\r\n"), false, NULL, NULL},
    {BYTES("\x16\x03\x01"), false, NULL, NULL},
    {BYTES("\r\n\r\nGET"), false, NULL, NULL},
    {BYTES(V2_TCP4), true, "192.0.2.1", "56324"},
    {BYTES(SIGNATURE "\x21\x11\x00\x0f\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb\x04\x00\x00"), true,
     "192.0.2.1", "56324"},
    {BYTES(SIGNATURE "\x21\x21\x00\x24" V2_TCP6_ADDRESSES), true, "2001:db8::1", "65535"},
    {BYTES(SIGNATURE "\x21\x21\x00\x24" V2_MAPPED_ADDRESSES), true, "192.0.2.7", "1"},
    {BYTES(SIGNATURE "\x21\x31\x00\xd8"
                     "/run/a.sock" SIXTEEN("\0") SIXTEEN("\0") SIXTEEN("\0") SIXTEEN("\0") SIXTEEN("\0")
                         SIXTEEN("\0") "\0" SIXTEEN("\0") SIXTEEN("\0") SIXTEEN("\0") SIXTEEN("\0")
                             SIXTEEN("\0") SIXTEEN("\0") "\0\0\0\0\0\0\0\0\0\0\0\0"),
     true, "/run/a.sock", NULL},
    {BYTES(SIGNATURE "\x20\x00\x00\x00"), true, NULL, NULL},
    {BYTES(SIGNATURE "\x20\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"), true, NULL, NULL},
    {BYTES(SIGNATURE "\x20\x11\x00\x03\x01\x02\x03"), true, NULL, NULL},
    {BYTES(SIGNATURE "\x21\x00\x00\x00"), true, NULL, NULL},
    {BYTES(SIGNATURE "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"), true, NULL, NULL},
    {BYTES(SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01"), false, NULL, NULL},
    {BYTES(SIGNATURE "\x21\x21\x00\x23" SIXTEEN("a") SIXTEEN("a") "aaa"), false, NULL, NULL},
    {BYTES(SIGNATURE "\x21\x31\x00\x01/"), false, NULL, NULL},
    {BYTES(SIGNATURE "\x21\x13\x00\x00"), false, NULL, NULL},
    {BYTES(SIGNATURE "\x21\x41\x00\x00"), false, NULL, NULL},
    {BYTES(SIGNATURE "\x21\xff\x00\x00"), false, NULL, NULL},
    {BYTES(SIGNATURE "\x22\x00\x00\x00"), false, NULL, NULL},
    {BYTES(SIGNATURE "\x2f\x00\x00\x00"), false, NULL, NULL},
    {BYTES(SIGNATURE "\x11\x11\x00\x00"), false, NULL, NULL},
    {BYTES(SIGNATURE "\xa1\x11\x00\x00"), false, NULL, NULL},
    {BYTES("\r\n\r\n\0\r\nQUIT\r\x21\x11\x00\x00"), false, NULL, NULL},
};

/* Parses a copy of exactly these bytes; the address is 198.51.100.9:9 before. */
static ssize_t parse_proxy(const char *bytes, size_t length, struct address *peer)
{
    char *copy = malloc(length ? length : 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    *peer = (struct address){.host = "198.51.100.9", .port = "9"};
    ssize_t result = proxy_parse_header(copy, length, peer);
    free(copy);
    return result;
}

TEST(a_proxy_header_gives_the_address_of_the_peer)
{
    for (size_t i = 0; i < COUNT_OF(proxy_headers); i++) {
        struct address peer;
        const char *bytes = proxy_headers[i].bytes;
        size_t length = proxy_headers[i].length;
        CHECK_NUMBER(proxy_headers[i].right ? (ssize_t)length : -1, parse_proxy(bytes, length, &peer),
                     "header %zu: %s", i, shown(bytes, length));
        if (!proxy_headers[i].right)
            continue;
        CHECK_STRING(proxy_headers[i].host ? proxy_headers[i].host : "198.51.100.9", peer.host,
                     "header %zu: %s", i, shown(bytes, length));
    }
}

TEST(the_port_of_a_peer_is_that_of_its_address)
{
    for (size_t i = 0; i < COUNT_OF(proxy_headers); i++) {
        struct address peer;
        if (parse_proxy(proxy_headers[i].bytes, proxy_headers[i].length, &peer) <= 0)
            continue;
        const char *due = proxy_headers[i].port ? proxy_headers[i].port : proxy_headers[i].host ? "" : "9";
        CHECK_STRING(due, peer.port, "header %zu: %s", i,
                     shown(proxy_headers[i].bytes, proxy_headers[i].length));
    }
}

TEST(a_malformed_proxy_header_leaves_the_address_as_it_was)
{
    for (size_t i = 0; i < COUNT_OF(proxy_headers); i++) {
        struct address peer;
        if (parse_proxy(proxy_headers[i].bytes, proxy_headers[i].length, &peer) > 0)
            continue;
        CHECK_STRING("198.51.100.9", peer.host, "header %zu: %s", i,
                     shown(proxy_headers[i].bytes, proxy_headers[i].length));
        CHECK_STRING("9", peer.port, "header %zu: %s", i,
                     shown(proxy_headers[i].bytes, proxy_headers[i].length));
    }
}

TEST(a_proxy_header_is_read_in_the_same_way_wherever_it_is_cut)
{
    for (size_t i = 0; i < COUNT_OF(proxy_headers); i++) {
        const char *bytes = proxy_headers[i].bytes;
        size_t length = proxy_headers[i].length;
        bool refused = false;
        for (size_t first = 0; first < length; first++) {
            struct address peer;
            ssize_t result = parse_proxy(bytes, first, &peer);
            CHECK(refused ? result < 0 : result == 0 || (result < 0 && !proxy_headers[i].right),
                  "%zu bytes of header %zu: %s", first, i, shown(bytes, length));
            CHECK_STRING("198.51.100.9", peer.host, "%zu bytes of header %zu: %s", first, i,
                         shown(bytes, length));
            refused = result < 0;
        }
    }
}

TEST(what_follows_a_proxy_header_is_not_read)
{
    for (size_t i = 0; i < COUNT_OF(proxy_headers); i++)
        for (int byte = 0; byte < 256; byte++) {
            size_t length = proxy_headers[i].length;
            char bytes[1024];
            struct address peer;
            memset(mempcpy(bytes, proxy_headers[i].bytes, length), byte, 200);
            CHECK_NUMBER(proxy_headers[i].right ? (ssize_t)length : -1,
                         parse_proxy(bytes, length + 200, &peer), "header %zu: %s followed by %02x", i,
                         shown(proxy_headers[i].bytes, length), (unsigned)byte);
        }
}

TEST(a_proxy_line_has_107_bytes_at_most)
{
    for (size_t length = 100; length <= 112; length++) {
        char bytes[128];
        struct address peer;
        memset(bytes, 'x', sizeof bytes);
        memcpy(bytes, "PROXY UNKNOWN ", strlen("PROXY UNKNOWN "));
        memcpy(bytes + length - 2, "\r\n", 2);
        CHECK_NUMBER(length <= 107 ? (ssize_t)length : -1, parse_proxy(bytes, sizeof bytes, &peer),
                     "%zu bytes", length);
        CHECK_NUMBER(0, parse_proxy(bytes, length < 107 ? length - 1 : 106, &peer), "%zu bytes, cut", length);
    }
}

TEST(a_binary_proxy_header_may_be_as_long_as_its_length_says)
{
    static char bytes[PROXY_BINARY_MAX] = V2_TCP4;
    struct address peer;
    memset(bytes + 14, 0xff, 2);
    CHECK_NUMBER(0, parse_proxy(bytes, sizeof bytes - 1, &peer), "one byte less");
    CHECK_NUMBER(PROXY_BINARY_MAX, parse_proxy(bytes, sizeof bytes, &peer), "whole");
    CHECK_STRING("192.0.2.1", peer.host, "whole");
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(PROXY_LINE_MAX, 107);
    CHECK_LIMIT(PROXY_BINARY_MAX, 65551);
}
