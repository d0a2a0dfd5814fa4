/* SPDX-License-Identifier: MIT */
/* Tests of frame.c */
#include "../../src/frame.c"
#include "check.h"
#include "utf8_texts.h"

enum { CLIENT_HEADER_MAX = 14 }; /* section 5.2: two bytes, eight of length, four of masking key */

/* ---- Variants --------------------------------------------------------------------------------------- */

/* Implementations that must pass the same tests: add a line for each. */
static const struct unmask_variant {
    const char *name;
    bool (*unmask)(uint8_t *to, const uint8_t *from, size_t length, uint32_t key);
} unmask_variants[] = {
    {"frame_unmask", frame_unmask},
};

#define EACH_UNMASK_VARIANT(variant)                                                                         \
    (const struct unmask_variant *variant = unmask_variants;                                                 \
     variant < unmask_variants + COUNT_OF(unmask_variants); variant++)

/* ---- Masking ---------------------------------------------------------------------------------------- */

static const uint8_t some_key[4] = {0x37, 0xfa, 0x21, 0x3d};

/* Returns a masking key as struct frame has it. */
static uint32_t key_of(const uint8_t bytes[static 4])
{
    uint32_t key;
    memcpy(&key, bytes, sizeof key);
    return key;
}

/* Section 5.3, word for word: transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4). */
static void transform(uint8_t *to, const uint8_t *from, size_t length, const uint8_t key[static 4])
{
    for (size_t i = 0; i < length; i++)
        to[i] = from[i] ^ key[i % 4];
}

static bool is_beyond_ascii(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] > 0x7f)
            return true;
    return false;
}

TEST(payload_of_any_length_and_alignment_is_unmasked_in_place)
{
    static uint8_t memory[LONG_ENOUGH + 3 * ALIGNMENTS] __attribute__((aligned(ALIGNMENTS)));
    static uint8_t expected[sizeof memory];
    for (size_t length = 0; length <= LONG_ENOUGH; length++)
        for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++)
            for
                EACH_UNMASK_VARIANT(variant)
                {
                    uint8_t *payload = memory + ALIGNMENTS + alignment;
                    fill(memory, sizeof memory, utf8_patterns[0]);
                    memcpy(expected, memory, sizeof memory);
                    transform(expected + ALIGNMENTS + alignment, payload, length, some_key);
                    variant->unmask(payload, payload, length, key_of(some_key));
                    CHECK_BYTES(expected, sizeof expected, memory, sizeof memory,
                                "%s: %zu bytes, alignment %zu, with %d bytes around", variant->name, length,
                                alignment, ALIGNMENTS);
                }
}

TEST(payload_of_any_length_and_alignment_is_unmasked_to_another_place)
{
    enum { STEPS = 17 }; /* every alignment of both to a vector of 16 bytes */
    static uint8_t from[LONG_ENOUGH + STEPS] __attribute__((aligned(ALIGNMENTS)));
    static uint8_t to[LONG_ENOUGH + 2 * ALIGNMENTS] __attribute__((aligned(ALIGNMENTS)));
    static uint8_t expected[sizeof to];
    fill(from, sizeof from, utf8_patterns[4]);
    for (size_t length = 0; length <= LONG_ENOUGH; length++)
        for (size_t source = 0; source < STEPS; source++)
            for (size_t target = 0; target < STEPS; target++)
                for
                    EACH_UNMASK_VARIANT(variant)
                    {
                        memset(to, 0xee, sizeof to);
                        memset(expected, 0xee, sizeof expected);
                        transform(expected + target, from + source, length, some_key);
                        variant->unmask(to + target, from + source, length, key_of(some_key));
                        CHECK_BYTES(expected, sizeof expected, to, sizeof to,
                                    "%s: %zu bytes from +%zu to +%zu", variant->name, length, source, target);
                    }
}

TEST(the_masking_key_goes_on_across_any_two_cuts)
{
    enum { PAYLOAD_LENGTH = 150 };
    uint8_t masked[PAYLOAD_LENGTH], expected[PAYLOAD_LENGTH], received[PAYLOAD_LENGTH];
    fill(masked, sizeof masked, utf8_patterns[3]);
    transform(expected, masked, sizeof masked, some_key);
    for (size_t first = 0; first <= PAYLOAD_LENGTH; first++)
        for (size_t second = first; second <= PAYLOAD_LENGTH; second++)
            for
                EACH_UNMASK_VARIANT(variant)
                {
                    uint32_t key = key_of(some_key), rotated = rotate_key(key, first);
                    variant->unmask(received, masked, first, key);
                    variant->unmask(received + first, masked + first, second - first, rotated);
                    rotated = rotate_key(rotated, second - first);
                    variant->unmask(received + second, masked + second, PAYLOAD_LENGTH - second, rotated);
                    CHECK_BYTES(expected, sizeof expected, received, sizeof received,
                                "%s: cut at %zu and %zu", variant->name, first, second);
                }
}

TEST(every_byte_of_a_masking_key_counts)
{
    uint8_t masked[67], expected[67], received[67];
    fill(masked, sizeof masked, utf8_patterns[2]);
    for (unsigned place = 0; place < 4; place++)
        for (unsigned byte = 0; byte < 256; byte++)
            for
                EACH_UNMASK_VARIANT(variant)
                {
                    uint8_t key[4] = {0};
                    key[place] = (uint8_t)byte;
                    transform(expected, masked, sizeof masked, key);
                    variant->unmask(received, masked, sizeof masked, key_of(key));
                    CHECK_BYTES(expected, sizeof expected, received, sizeof received,
                                "%s: byte %u of the key is %02x", variant->name, place, byte);
                }
}

TEST(payload_beyond_ascii_is_noticed_wherever_it_stands)
{
    uint8_t plain[LONG_ENOUGH], masked[LONG_ENOUGH], received[LONG_ENOUGH];
    for (size_t length = 0; length <= LONG_ENOUGH; length++)
        for (size_t place = 0; place <= length; place++) /* place == length: all are ASCII */
            for
                EACH_UNMASK_VARIANT(variant)
                {
                    fill(plain, length, utf8_patterns[0]);
                    if (place < length)
                        plain[place] |= 0x80;
                    transform(masked, plain, length, some_key);
                    CHECK_NUMBER(is_beyond_ascii(plain, length),
                                 variant->unmask(received, masked, length, key_of(some_key)),
                                 "%s: %zu bytes, byte %zu is not ASCII", variant->name, length, place);
                }
}

TEST(masked_payload_is_not_touched_beyond_its_end)
{
    uint8_t *from = guarded(LONG_ENOUGH) + LONG_ENOUGH, *to = guarded(LONG_ENOUGH) + LONG_ENOUGH;
    uint8_t expected[LONG_ENOUGH];
    for (size_t length = 0; length <= LONG_ENOUGH; length++)
        for
            EACH_UNMASK_VARIANT(variant)
            {
                fill(from - length, length, utf8_patterns[1]);
                transform(expected, from - length, length, some_key);
                variant->unmask(to - length, from - length, length, key_of(some_key));
                CHECK_BYTES(expected, length, to - length, length, "%s: %zu bytes", variant->name, length);
            }
}

/* ---- Payload ---------------------------------------------------------------------------------------- */

static const size_t block_edges[] = {
    0,
    1,
    7,
    BLOCK_SIZE - 1,
    BLOCK_SIZE,
    BLOCK_SIZE + 1,
    BLOCK_SIZE + 63,
    2 * BLOCK_SIZE - 1,
    2 * BLOCK_SIZE,
    2 * BLOCK_SIZE + 2,
    3 * BLOCK_SIZE + 100,
};

enum { PAYLOAD_MAX = 3 * BLOCK_SIZE + 100 };

TEST(payload_is_unmasked_and_validated_around_every_block)
{
    static uint8_t expected[PAYLOAD_MAX], masked[PAYLOAD_MAX], received[PAYLOAD_MAX + 1];
    for (size_t pattern = 0; pattern < COUNT_OF(utf8_patterns); pattern++)
        for (size_t i = 0; i < COUNT_OF(block_edges); i++) {
            struct frame frame;
            uint8_t utf8 = UTF8_WHOLE;
            size_t length = block_edges[i];
            fill(expected, length, utf8_patterns[pattern]);
            transform(masked, expected, length, some_key);
            frame.masking_key = key_of(some_key);
            received[length] = 0xee;
            CHECK(unmask_and_validate(&frame, &utf8, true, received, masked, length),
                  "pattern %zu, %zu bytes", pattern, length);
            CHECK_NUMBER(verdict_of(expected, length).whole, utf8 == UTF8_WHOLE, "pattern %zu, %zu bytes",
                         pattern, length);
            CHECK_BYTES(expected, length, received, length, "pattern %zu", pattern);
            CHECK_NUMBER(0xee, received[length], "the byte after %zu", length);
            CHECK_NUMBER(rotate_key(key_of(some_key), length), frame.masking_key, "the key after %zu bytes",
                         length);
        }
}

TEST(text_payload_with_a_wrong_byte_around_a_block_is_refused)
{
    static uint8_t expected[PAYLOAD_MAX], masked[PAYLOAD_MAX], received[PAYLOAD_MAX];
    for (size_t block = 0; block <= 3; block++)
        for (size_t place = block * BLOCK_SIZE < 70 ? 0 : block * BLOCK_SIZE - 70;
             place < block * BLOCK_SIZE + 70; place++) {
            struct frame frame;
            fill(expected, sizeof expected, utf8_patterns[4]);
            expected[place] = 0xff;
            transform(masked, expected, sizeof masked, some_key);
            frame.masking_key = key_of(some_key);
            CHECK(!unmask_and_validate(&frame, &(uint8_t){UTF8_WHOLE}, true, received, masked, sizeof masked),
                  "byte %zu is ff", place);
            frame.masking_key = key_of(some_key);
            CHECK(unmask_and_validate(&frame, &(uint8_t){UTF8_WHOLE}, true, received, masked, place),
                  "up to byte %zu", place);
        }
}

TEST(text_payload_of_ascii_is_refused_inside_a_character)
{
    static const uint8_t first[] = {'a', 0xe2, 0x82}, second[] = "plain ASCII, of some length or other";
    uint8_t masked[sizeof second], received[sizeof second];
    for (size_t length = 1; length <= sizeof first; length++)
        for (size_t goes_on = 1; goes_on < sizeof second; goes_on++) {
            struct frame frame = {.masking_key = key_of(some_key)};
            uint8_t utf8 = UTF8_WHOLE;
            transform(masked, first, length, some_key);
            CHECK(unmask_and_validate(&frame, &utf8, true, received, masked, length), "%zu bytes", length);
            frame.masking_key = key_of(some_key);
            transform(masked, second, goes_on, some_key);
            CHECK_NUMBER(length == 1, unmask_and_validate(&frame, &utf8, true, received, masked, goes_on),
                         "%zu bytes of a character, then %zu of ASCII", length - 1, goes_on);
        }
}

TEST(binary_payload_is_not_validated)
{
    static uint8_t expected[PAYLOAD_MAX], masked[PAYLOAD_MAX], received[PAYLOAD_MAX];
    struct frame frame;
    uint8_t utf8 = UTF8_WHOLE;
    memset(expected, 0xff, sizeof expected);
    transform(masked, expected, sizeof masked, some_key);
    frame.masking_key = key_of(some_key);
    CHECK(unmask_and_validate(&frame, &utf8, false, received, masked, sizeof masked), "ff only");
    CHECK_BYTES(expected, sizeof expected, received, sizeof received, "ff only");
    CHECK_NUMBER(UTF8_WHOLE, utf8, "the validator was not used");
}

TEST(payload_goes_on_across_any_cut)
{
    static uint8_t expected[PAYLOAD_MAX], masked[PAYLOAD_MAX], received[PAYLOAD_MAX];
    fill(expected, sizeof expected, utf8_patterns[4]);
    transform(masked, expected, sizeof masked, some_key);
    for (size_t cut_at = 0; cut_at <= sizeof masked; cut_at += cut_at % BLOCK_SIZE < 70 ? 1 : 13) {
        struct frame frame;
        uint8_t utf8 = UTF8_WHOLE;
        memset(received, 0, sizeof received);
        frame.masking_key = key_of(some_key);
        CHECK(unmask_and_validate(&frame, &utf8, true, received, masked, cut_at), "up to %zu", cut_at);
        CHECK(unmask_and_validate(&frame, &utf8, true, received + cut_at, masked + cut_at,
                                  sizeof masked - cut_at),
              "from %zu on", cut_at);
        CHECK_BYTES(expected, sizeof expected, received, sizeof received, "cut at %zu", cut_at);
    }
}

TEST(text_that_is_not_masked_is_validated_as_masked_text_is)
{
    static uint8_t text[PAYLOAD_MAX], before[PAYLOAD_MAX];
    static const size_t pieces[] = {PAYLOAD_MAX, BLOCK_SIZE + 1, 1009, 1};
    for (size_t pattern = 0; pattern < COUNT_OF(utf8_patterns); pattern++)
        for (size_t i = 0; i < COUNT_OF(block_edges) * COUNT_OF(pieces); i++) {
            size_t length = block_edges[i / COUNT_OF(pieces)], piece = pieces[i % COUNT_OF(pieces)];
            for (int wrong = 0; wrong < (length > 0 ? 3 : 1); wrong++) { /* no byte, the first or the last */
                uint8_t utf8 = UTF8_WHOLE;
                bool accepted = true;
                fill(text, length, utf8_patterns[pattern]);
                if (wrong)
                    text[wrong == 1 ? 0 : length - 1] = 0xff;
                memcpy(before, text, length);
                struct verdict due = verdict_of(text, length);
                for (size_t at = 0; accepted && at < length; at += piece)
                    accepted = validate_text(&utf8, text + at, length - at < piece ? length - at : piece);
                CHECK_NUMBER(due.first_wrong == length, accepted, "pattern %zu, %zu bytes in pieces of %zu",
                             pattern, length, piece);
                CHECK(!accepted || (utf8 == UTF8_WHOLE) == due.whole,
                      "pattern %zu, %zu bytes in pieces of %zu", pattern, length, piece);
                CHECK_BYTES(before, length, text, length, "pattern %zu, as it was", pattern);
            }
        }
}

/* ---- Frame header ----------------------------------------------------------------------------------- */

/* Writes a client's frame header and returns its size; `second` says in how many bytes the length goes. */
static size_t make_header(uint8_t *bytes, unsigned first, unsigned second, uint64_t length)
{
    size_t used = 0;
    bytes[used++] = (uint8_t)first;
    bytes[used++] = (uint8_t)second;
    for (size_t size = (second & 0x7f) == 126 ? 2 : (second & 0x7f) == 127 ? 8 : 0; size > 0; size--)
        bytes[used++] = (uint8_t)(length >> 8 * (size - 1));
    if (second & 0x80)
        for (size_t i = 0; i < 4; i++)
            bytes[used++] = some_key[i];
    return used;
}

/*
 * Checks the first two bytes of a frame as sections 5.1, 5.2, 5.4 and 5.5 say, bit by bit.
 * `deflate_negotiated`: permessage-deflate, which uses RSV1 (RFC 7692 section 6).
 */
static enum outcome due_for(unsigned first, unsigned second, bool in_message, bool deflate_negotiated)
{
    static const char kinds[] = "cdd-----kkk-----"; /* continuation, data, reserved, control */
    char kind = kinds[first % 16];
    bool fin = first / 128;
    if (first / 16 % 8 != 0 && !(deflate_negotiated && first / 16 % 8 == 4 && kind == 'd'))
        return RSV_SET;
    if (kind == '-')
        return OPCODE_RESERVED;
    if (kind == 'k' && !fin)
        return CONTROL_FRAGMENTED;
    if (kind == 'c' && !in_message)
        return NO_MESSAGE;
    if (kind == 'd' && in_message)
        return MESSAGE_UNFINISHED;
    if (second < 128)
        return UNMASKED;
    return kind == 'k' && second - 128 > 125 ? CONTROL_TOO_LONG : DONE;
}

/* Decodes a copy of exactly these bytes, so that a sanitizer reports a read beyond them. */
static enum outcome decode(const uint8_t *bytes, size_t available, bool in_message, bool deflate_negotiated,
                           struct frame *frame)
{
    uint8_t *copy = malloc(available ? available : 1);
    if (available > 0)
        memcpy(copy, bytes, available);
    memset(frame, 0xee, sizeof *frame);
    enum outcome ending = frame_decode_header(copy, available, in_message, deflate_negotiated, frame);
    free(copy);
    return ending;
}

TEST(the_first_two_bytes_of_a_frame_are_judged_as_the_rfc_says)
{
    for (unsigned pair = 0; pair < 0x40000; pair++) {
        unsigned first = pair / 256 % 256, second = pair % 256;
        bool in_message = pair & 0x10000, deflate_negotiated = pair & 0x20000;
        uint8_t bytes[CLIENT_HEADER_MAX + 4] = {0};
        uint64_t length = (second & 0x7f) < 126 ? second & 0x7f : second & 1 ? UINT64_C(0x123456789) : 0x1234;
        size_t size = make_header(bytes, first, second, length);
        enum outcome due = due_for(first, second, in_message, deflate_negotiated);
        struct frame frame = {0};
        CHECK_NUMBER(due, frame_decode_header(bytes, size, in_message, deflate_negotiated, &frame),
                     "%s, in a message: %d, deflate_negotiated: %d", hex(bytes, size), in_message,
                     deflate_negotiated);
        if (due != DONE)
            continue;
        CHECK_NUMBER(size, frame.header_length, "%s", hex(bytes, size));
        CHECK_NUMBER(first / 128, frame.fin, "%s", hex(bytes, size));
        CHECK_NUMBER(first / 64 % 2, frame.compressed, "%s", hex(bytes, size));
        CHECK_NUMBER(first % 16, frame.opcode, "%s", hex(bytes, size));
        CHECK_NUMBER(length, frame.length, "%s", hex(bytes, size));
        CHECK_BYTES(some_key, 4, &frame.masking_key, 4, "%s", hex(bytes, size));
    }
}

TEST(a_wrong_frame_is_refused_at_its_first_wrong_byte)
{
    for (unsigned pair = 0; pair < 0x40000; pair++) {
        unsigned first = pair / 256 % 256, second = pair % 256;
        bool in_message = pair & 0x10000, deflate_negotiated = pair & 0x20000;
        const uint8_t bytes[] = {(uint8_t)first, (uint8_t)second};
        enum outcome of_first = due_for(first, 0x80, in_message, deflate_negotiated);
        enum outcome of_both = due_for(first, second, in_message, deflate_negotiated);
        struct frame frame;
        CHECK_NUMBER(NEED_MORE, frame_decode_header(bytes, 0, in_message, deflate_negotiated, &frame),
                     "no byte");
        CHECK_NUMBER(of_first == DONE ? NEED_MORE : of_first,
                     frame_decode_header(bytes, 1, in_message, deflate_negotiated, &frame), "%02x", first);
        CHECK_NUMBER(of_both == DONE ? NEED_MORE : of_both,
                     frame_decode_header(bytes, 2, in_message, deflate_negotiated, &frame), "%02x %02x",
                     first, second);
    }
}

TEST(a_payload_length_of_sixteen_bits_is_minimal_from_126_on)
{
    for (unsigned length = 0; length <= UINT16_MAX; length++) {
        uint8_t bytes[CLIENT_HEADER_MAX];
        size_t size = make_header(bytes, 0x82, 0xfe, length);
        struct frame frame;
        CHECK_NUMBER(8, size, "two bytes, two of length, four of key");
        CHECK_NUMBER(length < 126 ? LENGTH_NOT_MINIMAL : DONE, decode(bytes, size, false, false, &frame),
                     "%u", length);
        CHECK(length < 126 || (frame.length == length && frame.header_length == size), "%u", length);
    }
}

TEST(a_payload_length_of_sixty_four_bits_is_minimal_from_65536_on_and_has_no_top_bit)
{
    static const struct {
        uint64_t length;
        enum outcome due;
    } rows[] = {
        {0, LENGTH_NOT_MINIMAL},
        {125, LENGTH_NOT_MINIMAL},
        {126, LENGTH_NOT_MINIMAL},
        {65535, LENGTH_NOT_MINIMAL},
        {65536, DONE},
        {65537, DONE},
        {UINT32_MAX, DONE},
        {UINT64_C(1) << 32, DONE},
        {UINT64_C(0x0102030405060708), DONE},
        {UINT64_C(1) << 62, DONE},
        {INT64_MAX, DONE},
        {UINT64_C(1) << 63, LENGTH_TOP_BIT},
        {(UINT64_C(1) << 63) + 1, LENGTH_TOP_BIT},
        {UINT64_MAX, LENGTH_TOP_BIT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t bytes[CLIENT_HEADER_MAX];
        size_t size = make_header(bytes, 0x82, 0xff, rows[i].length);
        struct frame frame;
        CHECK_NUMBER(CLIENT_HEADER_MAX, size, "two bytes, eight of length, four of key");
        CHECK_NUMBER(rows[i].due, decode(bytes, size, false, false, &frame), "%" PRIu64, rows[i].length);
        CHECK(rows[i].due != DONE || (frame.length == rows[i].length && frame.header_length == size),
              "%" PRIu64, rows[i].length);
    }
}

TEST(every_prefix_of_a_frame_header_is_incomplete_or_gets_the_same_verdict)
{
    static const uint64_t lengths[] = {
        0, 1, 125, 126, 127, 65535, 65536, 1u << 31, UINT32_MAX, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    static const unsigned seconds[] = {0x00, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0xfd, 0xfe, 0xff};
    for (unsigned first = 0; first < 0x400; first++)
        for (size_t i = 0; i < COUNT_OF(seconds) * COUNT_OF(lengths); i++) {
            uint8_t bytes[CLIENT_HEADER_MAX + 6] = {0};
            bool in_message = first & 0x100, deflate_negotiated = first & 0x200;
            size_t size = make_header(bytes, first % 256, seconds[i / COUNT_OF(lengths)],
                                      lengths[i % COUNT_OF(lengths)]);
            struct frame whole, part;
            enum outcome due = decode(bytes, size, in_message, deflate_negotiated, &whole);
            bool refused = false;
            for (size_t available = 0; available < size; available++) {
                enum outcome ending = decode(bytes, available, in_message, deflate_negotiated, &part);
                CHECK(ending == NEED_MORE ? !refused : ending == due && due != DONE, "%zu bytes of %s",
                      available, hex(bytes, size));
                refused = ending != NEED_MORE;
            }
            CHECK_NUMBER(due, decode(bytes, sizeof bytes, in_message, deflate_negotiated, &part),
                         "%s and more", hex(bytes, size));
            CHECK(due != DONE || (whole.header_length == size && part.header_length == size), "%s",
                  hex(bytes, size));
        }
}

TEST(the_top_bit_of_a_length_is_refused_as_soon_as_it_is_there)
{
    const uint8_t bytes[] = {0x82, 0xff, 0x80};
    struct frame frame;
    CHECK_NUMBER(NEED_MORE, decode(bytes, 2, false, false, &frame), "before it");
    CHECK_NUMBER(LENGTH_TOP_BIT, decode(bytes, 3, false, false, &frame), "with it");
}

TEST(a_header_that_is_encoded_decodes_to_the_same)
{
    static const uint8_t opcodes[] = {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG};
    static const struct {
        uint64_t length;
        size_t size;
    } rows[] = {
        {0, 2},          {1, 2},        {125, 2},      {126, 4},         {127, 4},
        {255, 4},        {256, 4},      {65534, 4},    {65535, 4},       {65536, 10},
        {65537, 10},     {1 << 24, 10}, {1 << 30, 10}, {UINT32_MAX, 10}, {UINT64_C(1) << 32, 10},
        {INT64_MAX, 10},
    };
    for (size_t i = 0; i < COUNT_OF(opcodes) * COUNT_OF(rows); i++) {
        uint8_t opcode = opcodes[i / COUNT_OF(rows)], bytes[CLIENT_HEADER_MAX];
        uint64_t length = rows[i % COUNT_OF(rows)].length;
        size_t size = rows[i % COUNT_OF(rows)].size;
        struct frame frame;
        if (is_control(opcode) && length > CONTROL_PAYLOAD_MAX)
            continue;
        memset(bytes, 0xee, sizeof bytes);
        CHECK_NUMBER(size, frame_encode_header(bytes, opcode, length), "%" PRIu64, length);
        CHECK_NUMBER(0xee, bytes[size], "the byte after the header for %" PRIu64, length);
        CHECK_NUMBER(UNMASKED, decode(bytes, size, opcode == CONTINUATION, false, &frame), "%" PRIu64,
                     length);
        bytes[1] |= 0x80;
        memcpy(bytes + size, some_key, 4);
        CHECK_NUMBER(DONE, decode(bytes, size + 4, opcode == CONTINUATION, false, &frame), "%" PRIu64,
                     length);
        CHECK(frame.fin, "%" PRIu64, length);
        CHECK_NUMBER(opcode, frame.opcode, "%" PRIu64, length);
        CHECK_NUMBER(length, frame.length, "opcode %d", opcode);
        CHECK_NUMBER(size + 4, frame.header_length, "%" PRIu64, length);
    }
}

/* ---- Close ------------------------------------------------------------------------------------------ */

TEST(only_the_close_codes_that_section_7_4_allows_may_be_sent)
{
    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        const uint8_t body[] = {(uint8_t)(code >> 8), (uint8_t)code, 'o', 'k'};
        bool allowed = (code >= 3000 && code <= 4999) ||
                       (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006);
        enum outcome due = allowed ? DONE : CLOSE_CODE_INVALID;
        CHECK_NUMBER(due, check_close_body(body, 2, 2), "%u without a reason", code);
        CHECK_NUMBER(due, check_close_body(body, 4, 4), "%u with a reason", code);
        CHECK_NUMBER(allowed ? NEED_MORE : CLOSE_CODE_INVALID, check_close_body(body, 2, 4),
                     "%u before its reason has come", code);
        CHECK_NUMBER(NEED_MORE, check_close_body(body, 1, 2), "the first byte of %u", code);
    }
}

TEST(a_close_body_is_empty_or_has_two_bytes_at_least)
{
    const uint8_t byte = 0x03;
    CHECK_NUMBER(DONE, check_close_body(&byte, 0, 0), "empty");
    CHECK_NUMBER(CLOSE_TRUNCATED, check_close_body(&byte, 1, 1), "one byte");
    CHECK_NUMBER(CLOSE_TRUNCATED, check_close_body(&byte, 0, 1), "one byte, before it has come");
    CHECK_NUMBER(NEED_MORE, check_close_body(&byte, 0, 2), "two bytes, before they have come");
}

TEST(a_close_reason_is_utf8_and_refused_at_its_first_wrong_byte)
{
    uint8_t body[CONTROL_PAYLOAD_MAX] = {0x03, 0xe8};
    for (size_t length = 2; length <= sizeof body; length++)
        for (size_t place = 2; place <= length; place++) { /* place == length: no byte is wrong */
            fill(body + 2, length - 2, utf8_patterns[4]);
            if (place < length)
                body[place] = 0xff;
            struct verdict due = verdict_of(body + 2, length - 2);
            for (size_t available = 2; available <= length; available++) {
                bool right = due.first_wrong >= available - 2 && (available < length || due.whole);
                CHECK_NUMBER(!right               ? CLOSE_NOT_UTF8
                             : available < length ? NEED_MORE
                                                  : DONE,
                             check_close_body(body, available, length), "%zu of %zu bytes, byte %zu is ff",
                             available, length, place);
            }
        }
}

/* ---- Limits ------------------------------------------------------------------------------------------ */

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(BLOCK_SIZE, 4096);
    CHECK_LIMIT(CONTROL_PAYLOAD_MAX, 125);
    CHECK_LIMIT(REPLY_HEADER_MAX, 10);
}
