/* SPDX-License-Identifier: MIT */
/* Tests of handshake.c */
#include "../../src/handshake.c"
#include "check.h"

TEST(a_key_is_22_characters_of_base64_and_two_equals_signs)
{
    static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    char changed[sizeof key];
    for (size_t length = 0; length < KEY_LENGTH; length++)
        CHECK(!is_key((struct slice){key, length}), "%zu characters", length);
    CHECK(is_key(SLICE_OF(key)), "%s", key);
    CHECK(!is_key(SLICE_OF("dGhlIHNhbXBsZSBub25jZQ===")), "25 characters");
    for (size_t place = 0; place < KEY_LENGTH; place++)
        for (int byte = 0; byte < 256; byte++) {
            bool digit = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                         (byte >= 'a' && byte <= 'z') || byte == '+' || byte == '/';
            bool due = place >= 22 ? byte == '=' : digit;
            memcpy(changed, key, sizeof key);
            changed[place] = (char)byte;
            CHECK_NUMBER(due, is_key((struct slice){changed, KEY_LENGTH}), "character %zu is %02x", place,
                         (unsigned)byte);
        }
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(KEY_LENGTH, 24);
    CHECK_LIMIT(ACCEPT_LENGTH, 28);
}
