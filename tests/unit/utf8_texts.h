/* SPDX-License-Identifier: MIT */
/* The grammar of UTF-8, and texts to try */
#ifndef UTF8_TEXTS_H
#define UTF8_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

enum {
    LONG_ENOUGH = 300, /* bytes: several of the widest vectors, and a rest */
    ALIGNMENTS = 64,
};

/* RFC 3629 section 4: the alternatives of UTF8-char, as ranges of their bytes. */
#define TAIL                                                                                                 \
    {                                                                                                        \
        0x80, 0xbf                                                                                           \
    }

static const struct {
    size_t length;
    struct {
        uint8_t first, last;
    } bytes[4];
} utf8_char[] = {
    {1, {{0x00, 0x7f}}},
    {2, {{0xc2, 0xdf}, TAIL}},
    {3, {{0xe0, 0xe0}, {0xa0, 0xbf}, TAIL}},
    {3, {{0xe1, 0xec}, TAIL, TAIL}},
    {3, {{0xed, 0xed}, {0x80, 0x9f}, TAIL}},
    {3, {{0xee, 0xef}, TAIL, TAIL}},
    {4, {{0xf0, 0xf0}, {0x90, 0xbf}, TAIL, TAIL}},
    {4, {{0xf1, 0xf3}, TAIL, TAIL, TAIL}},
    {4, {{0xf4, 0xf4}, {0x80, 0x8f}, TAIL, TAIL}},
};

/* Whether bytes are UTF-8 according to the grammar. */
struct verdict {
    size_t
        first_wrong; /* offset of the first byte that makes the text invalid; the length if there is none */
    bool whole;      /* no character is incomplete at the end */
};

static inline struct verdict verdict_of(const uint8_t *bytes, size_t length)
{
    for (size_t start = 0; start < length;) {
        size_t furthest = 0, matched = 0;
        for (size_t row = 0; row < COUNT_OF(utf8_char) && matched == 0; row++) {
            size_t i = 0;
            while (i < utf8_char[row].length && start + i < length &&
                   bytes[start + i] >= utf8_char[row].bytes[i].first &&
                   bytes[start + i] <= utf8_char[row].bytes[i].last)
                i++;
            if (i == utf8_char[row].length)
                matched = i;
            if (i > furthest)
                furthest = i;
        }
        if (matched == 0)
            return (struct verdict){start + furthest, false};
        start += matched;
    }
    return (struct verdict){length, true};
}

/* Valid texts to repeat, with characters of one length or of mixed lengths. */
static const char *const utf8_patterns[] = {
    "plain ASCII, as most text is. ",
    "\xc2\x80\xdf\xbf\xd0\x96",
    "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xe1\x80\x80",
    "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xf1\x80\x80\x80",
    "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
    "some words, then \xe2\x82\xac, and many more words before a \xf0\x9f\x98\x80 comes",
};

/* Fills memory with a pattern, repeated; the last character may be incomplete. */
static inline void fill(uint8_t *to, size_t length, const char *pattern)
{
    for (size_t i = 0, period = strlen(pattern); i < length; i++)
        to[i] = (uint8_t)pattern[i % period];
}

#endif
