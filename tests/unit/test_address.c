/* SPDX-License-Identifier: MIT */
/* Tests of address.c */
#include "../../src/address.c"
#include "check.h"

TEST(an_address_is_kept_in_its_usual_form_and_a_mapped_one_as_ipv4)
{
    static const char *const rows[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"::1", "::1"},
        {"::", "::"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::FFFF:c000:0201", "192.0.2.1"},
        {"0:0:0:0:0:ffff:127.0.0.1", "127.0.0.1"},
        {"::ffff:0.0.0.0", "0.0.0.0"},
        {"::fffe:192.0.2.1", "::fffe:c000:201"},
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
        {"::1:ffff:192.0.2.1", "::1:ffff:c000:201"},
        {"", NULL},
        {"-", NULL},
        {"a.example", NULL},
        {"192.0.2", NULL},
        {"192.0.2.1 ", NULL},
        {"192.0.2.01", NULL},
        {"192.0.2.1:80", NULL},
        {"[::1]", NULL},
        {"fe80::1%eth0", NULL},
        {"::ffff:192.0.2.256", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address = {.host = "before"};
        CHECK_NUMBER(rows[i][1] != NULL, set_host(&address, rows[i][0]), "%s", rows[i][0]);
        CHECK_STRING(rows[i][1] ? rows[i][1] : "before", address.host, "%s", rows[i][0]);
    }
}

TEST(the_bytes_of_an_address_are_4_or_16_and_a_mapped_one_is_ipv4)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *due;
    } rows[] = {
        {BYTES("\xc0\0\2\1"), "192.0.2.1"},
        {BYTES("\0\0\0\0"), "0.0.0.0"},
        {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "::"},
        {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), "::1"},
        {BYTES("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), "2001:db8::1"},
        {BYTES("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"), "192.0.2.1"},
        {BYTES("\0\0\0\0\0\0\0\0\0\0\xff\xfe\xc0\0\2\1"), "::fffe:c000:201"},
        {BYTES("\0\0\0\0\0\0\0\0\0\1\xff\xff\xc0\0\2\1"), "::1:ffff:c000:201"},
        {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address = {.host = "before", .port = "7"};
        uint8_t *copy = malloc(rows[i].count); /* so that a sanitizer reports a read beyond it */
        memcpy(copy, rows[i].bytes, rows[i].count);
        set_ip(&address, copy, rows[i].count);
        CHECK_STRING(rows[i].due, address.host, "row %zu", i);
        CHECK_STRING("7", address.port, "the port stays");
        free(copy);
    }
}

TEST(a_port_is_a_decimal_number_of_at_most_65535)
{
    static const char *const wrong[] = {
        "",     " 1", "1 ", "+1", "-1", "65536",      "99999",
        "0x50", "a",  "1a", "01", "00", "4294967297", "18446744073709551617",
    };
    struct address address;
    for (int port = 0; port <= UINT16_MAX; port++) {
        char text[8];
        sprintf(text, "%d", port);
        CHECK(set_port(&address, text), "%s", text);
        CHECK_STRING(text, address.port, "%s", text);
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        CHECK(!set_port(&address, wrong[i]), "%s", wrong[i]);
}

TEST(a_name_is_kept_up_to_its_size_and_shown_without_what_could_spoil_a_line)
{
    static const struct {
        const char *name;
        size_t size;
        const char *due;
    } rows[] = {
        {"/run/a", 6, "/run/a"},
        {"/run/a", 5, "/run/"},
        {"/run/a", 100, "/run/a"},
        {"a b\"\\\n\x7f\xff", 20, "a?b?????"},
        {"", 1, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address = {.host = "before", .port = "1"};
        set_name(&address, rows[i].name, rows[i].size);
        CHECK_STRING(rows[i].due, address.host, "row %zu", i);
        CHECK_STRING("", address.port, "a name has no port");
    }
    char longest[ADDRESS_SIZE + 1];
    struct address address;
    memset(longest, 'a', sizeof longest);
    for (size_t size = ADDRESS_SIZE - 2; size <= ADDRESS_SIZE + 1; size++) {
        set_name(&address, longest, size);
        CHECK_NUMBER(size < ADDRESS_SIZE ? size : ADDRESS_SIZE - 1, strlen(address.host), "%zu bytes", size);
    }
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(ADDRESS_SIZE, 109);
}
