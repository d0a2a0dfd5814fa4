/* SPDX-License-Identifier: MIT */
/* Tests of text.c */
#include "../../src/text.c"
#include "check.h"

TEST(each_byte_is_of_the_classes_that_the_rfcs_name)
{
    static const char digits[] = "0123456789", hex_digits[] = "0123456789abcdef",
                      letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
                      token[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 section 5.6.2, besides digits and letters */
    for (int number = 0; number < 256; number++) {
        const char byte = (char)number, lower = (char)(number >= 'A' && number <= 'Z' ? number + 32 : number);
        const struct slice text = {&byte, 1};
        const char *place = number ? strchr(hex_digits, lower) : NULL;
        bool digit = number && strchr(digits, byte), letter = number && strchr(letters, byte);
        CHECK_NUMBER(place ? place - hex_digits : -1, hex_digit(byte), "%02x", number);
        CHECK_NUMBER(digit, is_number(text), "%02x", number);
        CHECK_NUMBER(digit || letter, is_alphanumeric_or(byte, ""), "%02x", number);
        CHECK_NUMBER(digit || letter || byte == '-' || byte == '/', is_alphanumeric_or(byte, "-/"), "%02x",
                     number);
        CHECK_NUMBER(digit || letter || (number && strchr(token, byte)), is_token(text), "%02x", number);
        CHECK_NUMBER(number >= 0x21 && number <= 0x7e, is_visible_except(text, ""), "%02x", number);
        CHECK_NUMBER(number >= 0x21 && number <= 0x7e && byte != '?', is_visible_except(text, "?"), "%02x",
                     number);
        for (int other = 1; other < 256; other++) {
            const char string[] = {(char)other, '\0'};
            bool same = other == number || (letter && (other ^ number) == 0x20);
            CHECK_NUMBER(other == number, slice_is(text, string), "%02x and %02x", number, other);
            CHECK_NUMBER(same, slice_is_any_case(text, string), "%02x and %02x", number, other);
        }
    }
    CHECK(!is_number((struct slice){"", 0}) && !is_token((struct slice){"", 0}), "nothing is neither");
    CHECK(is_number((struct slice){"10", 2}) && !is_number((struct slice){"1a", 2}), "all bytes count");
    CHECK(is_token((struct slice){"ab", 2}) && !is_token((struct slice){"a b", 3}), "all bytes count");
    CHECK(is_visible_except((struct slice){"", 0}, "") && !is_visible_except((struct slice){"a b", 3}, ""),
          "all bytes count");
    CHECK(!slice_is((struct slice){"ab", 2}, "a") && !slice_is((struct slice){"a", 1}, "ab"),
          "the length counts");
    CHECK(!slice_is_any_case((struct slice){"Ab", 2}, "a"), "the length counts");
}

TEST(the_smaller_of_two_sizes_is_the_smaller)
{
    static const size_t sizes[] = {0, 1, 2, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(sizes) * COUNT_OF(sizes); i++) {
        size_t one = i % COUNT_OF(sizes), other = i / COUNT_OF(sizes);
        CHECK_NUMBER(sizes[one < other ? one : other], smaller(sizes[one], sizes[other]), "%zu and %zu",
                     sizes[one], sizes[other]);
    }
}

/* Appends "ab" and "cd" with both functions to a string of `used` bytes in a buffer of `size` bytes. */
static void check_append(size_t size, size_t used)
{
    bool fits = used + strlen("abcd") < size;
    for (int variant = 0; variant < 2; variant++) {
        char *buffer = malloc(size), due[64]; /* so that a sanitizer reports a write beyond it */
        size_t length = used;
        memset(due, 'x', used);
        strcpy(due + used, fits ? "abcd" : "");
        memset(buffer, 'x', used);
        buffer[used] = '\0';
        bool appended =
            variant == 0 ? append_strings(buffer, size, &length, (const char *const[]){"ab", "", "cd", NULL})
                         : append(buffer, size, &length, "a%sd", "bc");
        CHECK_NUMBER(fits, appended, "variant %d, %zu of %zu bytes", variant, used, size);
        CHECK_BYTES(due, strlen(due) + 1, buffer, length + 1, "variant %d, %zu of %zu bytes", variant, used,
                    size);
        free(buffer);
    }
}

TEST(what_fits_is_appended_to_a_string_and_what_does_not_leaves_it_as_it_was)
{
    for (size_t size = 1; size <= 12; size++)
        for (size_t used = 0; used < size; used++)
            check_append(size, used);
    char buffer[4] = "abc";
    size_t used = 3;
    CHECK(append_strings(buffer, sizeof buffer, &used, (const char *const[]){NULL}), "no string");
    CHECK(append_strings(buffer, sizeof buffer, &used, (const char *const[]){"", NULL}), "an empty one");
    CHECK(append(buffer, sizeof buffer, &used, "%s", ""), "an empty one");
    CHECK(used == 3 && strcmp(buffer, "abc") == 0, "it is as it was");
}

TEST(what_is_percent_encoded_is_decoded_and_plus_too_if_that_is_wanted)
{
    static const struct {
        const char *text, *due; /* NULL: refused */
        size_t length;
    } rows[] = {
        {"", BYTES("")},
        {"plain", BYTES("plain")},
        {"a%20b", BYTES("a b")},
        {"%41", BYTES("A")},
        {"%aF%Fa", BYTES("\xaf\xfa")},
        {"%00%7f%80", BYTES("\0\x7f\x80")},
        {"%2541", BYTES("%41")},
        {"\xff", BYTES("\xff")},
        {"%", NULL, 0},
        {"%4", NULL, 0},
        {"a%4", NULL, 0},
        {"%%20", NULL, 0},
        {"%4g", NULL, 0},
        {"%g4", NULL, 0},
        {"%+1", NULL, 0},
        {"%2", NULL, 0},
        {"%20%", NULL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (int plus = 0; plus <= 1; plus++) {
            size_t text_length = strlen(rows[i].text);
            char *text = (char *)guarded(text_length), into[16];
            memcpy(text, rows[i].text, text_length);
            ptrdiff_t length = percent_decode((struct slice){text, text_length}, plus, into, sizeof into);
            CHECK_NUMBER(rows[i].due ? (ptrdiff_t)rows[i].length : -1, length, "%s", rows[i].text);
            if (rows[i].due && length >= 0)
                CHECK_BYTES(rows[i].due, rows[i].length, into, (size_t)length, "%s", rows[i].text);
        }
    char into[3];
    CHECK(percent_decode(SLICE_OF("+%2b"), false, into, 3) == 2 && memcmp(into, "++", 2) == 0, "no plus");
    CHECK(percent_decode(SLICE_OF("+%2b"), true, into, 3) == 2 && memcmp(into, " +", 2) == 0, "plus");
}

/* The digits after the text are no part of it. */
TEST(an_encoded_byte_is_not_read_beyond_the_text)
{
    char into[4];
    CHECK_NUMBER(-1, percent_decode((struct slice){"%41", 1}, false, into, sizeof into), "a percent sign");
    CHECK_NUMBER(-1, percent_decode((struct slice){"%41", 2}, false, into, sizeof into),
                 "a percent sign and a digit");
    CHECK_NUMBER(1, percent_decode((struct slice){"%41", 3}, false, into, sizeof into), "all of it");
}

TEST(what_is_decoded_fits_its_buffer_or_is_refused)
{
    for (size_t length = 0; length <= 5; length++)
        for (size_t size = 0; size <= 5; size++) {
            char *into = malloc(size > 0 ? size : 1); /* so that a sanitizer notices a write beyond it */
            ptrdiff_t due = length <= size ? (ptrdiff_t)length : -1;
            CHECK_NUMBER(due, percent_decode((struct slice){"aaaaa", length}, true, into, size),
                         "%zu into %zu", length, size);
            CHECK_NUMBER(due, percent_decode((struct slice){"%61%61%61%61%61", 3 * length}, true, into, size),
                         "%zu into %zu", length, size);
            free(into);
        }
}

TEST(seconds_are_at_most_what_the_caller_allows)
{
    static const struct {
        const char *string;
        int64_t most, due; /* microseconds; -1: refused */
    } rows[] = {
        {"0", 0, 0},
        {"0.0000000", 0, 0},
        {"0.000001", 0, -1},
        {"0.0000001", 0, -1}, /* which is rounded up */
        {"0.0000001", 1, 1},
        {"1", 0, -1},
        {"0.5", 500000, 500000},
        {"0.5", 499999, -1},
        {"0.500001", 500000, -1},
        {"0.5000009", 500000, 500000},
        {"1", 999999, -1},
        {"1", 1000000, 1000000},
        {"1.000001", 1000000, -1},
        {"2", 1999999, -1},
        {"0000000000000000000000000000000060", 60000000, 60000000},
        {"61", 60000000, -1},
        {"600", 60000000, -1},
        {"99999999999999999999999999999999", INT64_C(31622400000000), -1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t duration = -1;
        bool taken = parse_seconds(rows[i].string, rows[i].most, &duration);
        CHECK_NUMBER(rows[i].due >= 0, taken, "%s of %" PRId64, rows[i].string, rows[i].most);
        CHECK(!taken || duration == rows[i].due, "%s is %" PRId64, rows[i].string, duration);
    }
    for (int digit = 0; digit <= 9; digit++) {
        char string[16];
        int64_t duration = -1;
        sprintf(string, "%d", digit);
        CHECK(parse_seconds(string, NEVER, &duration) && duration == digit * SECOND, "%s", string);
        sprintf(string, "0.%d", digit);
        CHECK(parse_seconds(string, NEVER, &duration) && duration == digit * SECOND / 10, "%s", string);
        sprintf(string, "0.0000000%d", digit);
        CHECK(parse_seconds(string, NEVER, &duration) && duration == (digit > 0), "%s", string);
    }
}
