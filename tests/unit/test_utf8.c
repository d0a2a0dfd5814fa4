/* SPDX-License-Identifier: MIT */
/* Tests of utf8.c */
#include "../../src/utf8.c"
#include "check.h"
#include "utf8_texts.h"

/* Validates the next bytes of a text.  Returns false at the first byte that makes it invalid. */
static bool utf8_accepts(uint8_t *state, const uint8_t *bytes, size_t length)
{
    *state = utf8_state_after(*state, bytes, length);
    return *state != UTF8_WRONG;
}

/*
 * Tells whether the validator decides as the grammar does, `due`, when it gets the next `length` bytes of a
 * text; `before` bytes in front of them have led to `state`.
 */
static bool decides(uint8_t *state, struct verdict due, const uint8_t *bytes, size_t before, size_t length)
{
    bool accepted = utf8_accepts(state, bytes, length);
    if (due.first_wrong < before + length)
        return !accepted;
    return accepted && (*state == UTF8_WHOLE) == due.whole;
}

/* The same for a text in one piece. */
static bool decides_at_once(struct verdict due, const uint8_t *bytes, size_t length)
{
    return decides(&(uint8_t){UTF8_WHOLE}, due, bytes, 0, length);
}

/* Encodes a number in `length` bytes, 1 to 6, by the pattern of UTF-8, whether or not the result is valid. */
static void encode(uint32_t number, size_t length, uint8_t *bytes)
{
    static const uint8_t marks[] = {0, 0x00, 0xc0, 0xe0, 0xf0, 0xf8, 0xfc};
    for (size_t i = length - 1; i > 0; i--, number >>= 6)
        bytes[i] = (uint8_t)(0x80 | (number & 0x3f));
    bytes[0] = (uint8_t)(marks[length] | number);
}

/* Returns the least number of bytes that the pattern needs. */
static size_t least_length(uint32_t number)
{
    return number < 0x80        ? 1
           : number < 0x800     ? 2
           : number < 0x10000   ? 3
           : number < 0x200000  ? 4
           : number < 0x4000000 ? 5
                                : 6;
}

/* Checks all encodings of a number: only the shortest one of a scalar value is UTF-8. */
static void check_encodings(uint32_t number)
{
    bool scalar = number <= 0x10ffff && (number < 0xd800 || number > 0xdfff);
    uint8_t bytes[6];
    for (size_t length = least_length(number); length <= sizeof bytes; length++) {
        bool right = scalar && length == least_length(number);
        encode(number, length, bytes);
        uint8_t state = UTF8_WHOLE;
        bool accepted = utf8_accepts(&state, bytes, length) && state == UTF8_WHOLE;
        CHECK_NUMBER(right, accepted, "U+%04X in %zu bytes", (unsigned)number, length);
    }
}

TEST(utf8_is_every_scalar_value_in_its_shortest_form)
{
    for (uint32_t number = 0; number < 0x200000; number++)
        check_encodings(number);
    for (uint32_t number = 0x200000; number < 0x80000000; number += 0xfff1)
        check_encodings(number);
    check_encodings(0x3ffffff);
    check_encodings(0x4000000);
    check_encodings(0x7fffffff);
}

TEST(utf8_of_up_to_three_bytes_is_what_the_grammar_says)
{
    for (size_t length = 0; length <= 3; length++)
        for (uint32_t number = 0; number >> 8 * length == 0; number++) {
            const uint8_t bytes[] = {(uint8_t)number, (uint8_t)(number >> 8), (uint8_t)(number >> 16)};
            struct verdict due = verdict_of(bytes, length);
            CHECK(decides_at_once(due, bytes, length), "%s", hex(bytes, length));
        }
}

/* Both ends of every range of the grammar, and the numbers next to them. */
static const uint8_t utf8_edges[] = {
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2,
    0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5,
};

TEST(utf8_of_four_bytes_is_what_the_grammar_says_wherever_they_stand)
{
    static const size_t places[] = {0, 1, 4, 5, 7, 8, 13, 15, 16, 29, 30, 31, 32, 61, 63, 64, 92};
    enum { EDGES = sizeof utf8_edges, TEXT_LENGTH = 96 };
    uint8_t text[TEXT_LENGTH];
    memset(text, 'a', sizeof text);
    for (unsigned number = 0; number < EDGES * EDGES * EDGES * EDGES; number++) {
        const uint8_t four[] = {utf8_edges[number % EDGES], utf8_edges[number / EDGES % EDGES],
                                utf8_edges[number / EDGES / EDGES % EDGES],
                                utf8_edges[number / EDGES / EDGES / EDGES]};
        struct verdict inside = verdict_of((const uint8_t[]){four[0], four[1], four[2], four[3], 'a'}, 5);
        struct verdict at_end = verdict_of(four, sizeof four);
        for (size_t i = 0; i < COUNT_OF(places); i++) {
            bool last = places[i] + sizeof four == TEXT_LENGTH;
            struct verdict due = last ? at_end : inside;
            if (due.first_wrong < (last ? 4 : 5))
                due.first_wrong += places[i];
            else
                due.first_wrong = TEXT_LENGTH;
            memcpy(text + places[i], four, sizeof four);
            CHECK(decides_at_once(due, text, sizeof text), "%s at %zu of %d", hex(four, sizeof four),
                  places[i], TEXT_LENGTH);
            memset(text + places[i], 'a', sizeof four);
        }
    }
}

TEST(utf8_is_refused_at_the_first_wrong_byte_of_a_text_of_any_length_and_alignment)
{
    static const uint8_t wrong[] = {0xff, 0x80, 0xc0, 0xed, 0x20, 0xf4};
    static uint8_t memory[LONG_ENOUGH + 2 * ALIGNMENTS] __attribute__((aligned(ALIGNMENTS)));
    uint8_t text[LONG_ENOUGH];
    for (size_t length = 0; length <= LONG_ENOUGH; length++)
        for (size_t place = 0; place <= length; place++) { /* place == length: no byte is wrong */
            fill(text, length, utf8_patterns[(length + place) % COUNT_OF(utf8_patterns)]);
            if (place < length)
                text[place] = wrong[(length + 5 * place) % sizeof wrong];
            struct verdict due = verdict_of(text, length);
            for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
                memcpy(memory + alignment, text, length);
                CHECK(decides_at_once(due, memory + alignment, length),
                      "%zu bytes, alignment %zu, byte %zu is %02x, first wrong byte %zu", length, alignment,
                      place, text[place % LONG_ENOUGH], due.first_wrong);
            }
        }
}

TEST(utf8_is_accepted_up_to_the_first_wrong_byte_and_no_further)
{
    uint8_t text[LONG_ENOUGH];
    for (size_t pattern = 0; pattern < COUNT_OF(utf8_patterns); pattern++)
        for (size_t place = 0; place < LONG_ENOUGH; place++) {
            fill(text, sizeof text, utf8_patterns[pattern]);
            text[place] = 0xff;
            uint8_t state = UTF8_WHOLE;
            CHECK(utf8_accepts(&state, text, place), "pattern %zu up to %zu", pattern, place);
            CHECK(!utf8_accepts(&state, text + place, 1), "pattern %zu, byte %zu is ff", pattern, place);
            CHECK(!utf8_accepts(&(uint8_t){UTF8_WHOLE}, text, place + 1),
                  "pattern %zu up to byte %zu, which is ff", pattern, place);
        }
}

/* Checks that a text gets the same result in three pieces, wherever it is split. */
static void check_two_cuts(const uint8_t *text, size_t length)
{
    struct verdict due = verdict_of(text, length);
    for (size_t first = 0; first <= length; first++) {
        struct verdict due_first = verdict_of(text, first);
        for (size_t second = first; second <= length; second++) {
            uint8_t state = UTF8_WHOLE;
            bool right = decides(&state, due_first, text, 0, first);
            if (right && due.first_wrong >= first) {
                bool accepted = utf8_accepts(&state, text + first, second - first);
                right = accepted == (due.first_wrong >= second) &&
                        (!accepted || decides(&state, due, text + second, second, length - second));
            }
            CHECK(right, "%s(%zu bytes) cut at %zu and %zu, first wrong byte %zu", hex(text, length), length,
                  first, second, due.first_wrong);
        }
    }
}

TEST(utf8_gets_the_same_verdict_wherever_it_is_cut)
{
    enum { TEXT_LENGTH = 80 };
    uint8_t text[TEXT_LENGTH];
    for (size_t pattern = 0; pattern < COUNT_OF(utf8_patterns); pattern++)
        for (size_t place = 0; place <= TEXT_LENGTH; place += pattern == 4 ? 1 : 7) {
            fill(text, sizeof text, utf8_patterns[pattern]);
            if (place < TEXT_LENGTH)
                text[place] ^= 0x80;
            check_two_cuts(text, sizeof text);
        }
}

/*
 * Makes a text of random characters, of which one byte is changed in one text of four.  Returns its length.
 */
static size_t random_text(uint8_t text[static LONG_ENOUGH])
{
    static const uint32_t limits[] = {0x80, 0x80, 0x800, 0x10000, 0x110000};
    size_t wanted = random_below(LONG_ENOUGH + 1), used = 0;
    size_t kinds = 1 + random_below(COUNT_OF(limits));
    while (used < wanted) {
        uint32_t number = (uint32_t)random_below(limits[random_below(kinds)]);
        uint8_t bytes[4];
        if (number >= 0xd800 && number <= 0xdfff)
            continue;
        encode(number, least_length(number), bytes);
        for (size_t i = 0; i < least_length(number) && used < wanted; i++)
            text[used++] = bytes[i];
    }
    if (used > 0 && random_below(4) == 0)
        text[random_below(used)] = (uint8_t)random_number();
    return used;
}

TEST(utf8_of_random_characters_gets_the_same_verdict_byte_by_byte_and_in_random_pieces)
{
    uint8_t text[LONG_ENOUGH];
    for (int round = 0; round < 30000; round++) {
        size_t length = random_text(text);
        struct verdict due = verdict_of(text, length);
        size_t step = round % 2 ? 1 : 1 + random_below(length + 1);
        uint8_t state = UTF8_WHOLE;
        size_t taken = 0, piece = 0;
        bool accepted = true;
        CHECK(decides_at_once(due, text, length), "%s(%zu bytes)", hex(text, length), length);
        for (; accepted && taken < length; taken += piece) {
            piece = length - taken < step ? length - taken : step;
            accepted = utf8_accepts(&state, text + taken, piece);
        }
        CHECK_NUMBER(due.first_wrong == length, accepted, "%s(%zu bytes) in pieces of %zu", hex(text, length),
                     length, step);
        CHECK(accepted || (due.first_wrong >= taken - piece && due.first_wrong < taken),
              "%s(%zu bytes) refused between %zu and %zu, first wrong byte %zu", hex(text, length), length,
              taken - piece, taken, due.first_wrong);
    }
}

TEST(utf8_is_not_read_beyond_its_end)
{
    uint8_t *end = guarded(LONG_ENOUGH) + LONG_ENOUGH;
    for (size_t pattern = 0; pattern < COUNT_OF(utf8_patterns); pattern++)
        for (size_t length = 0; length <= LONG_ENOUGH; length++) {
            fill(end - length, length, utf8_patterns[pattern]);
            struct verdict due = verdict_of(end - length, length);
            CHECK(decides_at_once(due, end - length, length), "pattern %zu, %zu bytes", pattern, length);
        }
}
