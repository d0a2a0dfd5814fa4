/*
 * Tests of the functions of ws-echo.c and its rooms, which are included as one unit to call them
 *
 * One small function per rule, named after it and listed at the end.  Arguments choose tests by name.  A
 * failed check prints where it stands, what was expected and what was received; the last line counts the
 * tests, and the exit status is 0 if none failed.
 */
#define main ws_echo_main
#include "../build/ws-echo.c"
#undef main

enum { CLIENT_HEADER_MAX = 14 }; /* section 5.2: two bytes, eight of length, four of masking key */

/* ---- Checks ----------------------------------------------------------------------------------------- */

enum { SHOWN_MAX = 5 /* failures that are printed of one test */ };

static struct {
    const char *name;
    unsigned long failures;
} test;

/* Prints a failure, printf-like; `what` is the expression that was checked. */
__attribute__((format(printf, 3, 4))) static void failed(int line, const char *what, const char *format, ...)
{
    va_list arguments;
    if (++test.failures > SHOWN_MAX)
        return;
    printf("unit.c:%d: %s: %s: ", line, test.name, what);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* Prints bytes in hexadecimal from `start` on, as many as fit a line. */
static void print_bytes(const char *what, const uint8_t *bytes, size_t length, size_t start)
{
    enum { ON_A_LINE = 24 };
    printf("  %s %zu bytes, from %zu on:", what, length, start);
    for (size_t i = start; i < length && i < start + ON_A_LINE; i++)
        printf(" %02x", bytes[i]);
    puts(start + ON_A_LINE < length ? " ..." : "");
}

static void bytes_differ(int line, const char *what, const void *expected, size_t expected_length,
                         const void *received, size_t received_length, const char *about)
{
    const uint8_t *one = expected, *other = received;
    size_t same = 0;
    while (same < expected_length && same < received_length && one[same] == other[same])
        same++;
    failed(line, what, "%s: they differ from byte %zu on", about, same);
    if (test.failures > SHOWN_MAX)
        return;
    print_bytes("expected", one, expected_length, same > 8 ? same - 8 : 0);
    print_bytes("received", other, received_length, same > 8 ? same - 8 : 0);
}

/* Formats, printf-like, what a failure is about.  The next call overwrites the result. */
__attribute__((format(printf, 1, 2))) static const char *about(const char *format, ...)
{
    static char string[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(string, sizeof string, format, arguments);
    va_end(arguments);
    return string;
}

/*
 * The last arguments say, printf-like, what a failure is about; they are only evaluated if the check fails.
 */
#define CHECK(condition, ...)                                                                                \
    ((condition) ? (void)0                                                                                   \
                 : failed(__LINE__, #condition, "%s: expected true, received false", about(__VA_ARGS__)))

#define CHECK_NUMBER(expected, received, ...)                                                                \
    do {                                                                                                     \
        long long expected_ = (long long)(expected), received_ = (long long)(received);                      \
        if (expected_ != received_)                                                                          \
            failed(__LINE__, #received, "%s: expected %lld, received %lld", about(__VA_ARGS__), expected_,   \
                   received_);                                                                               \
    } while (0)

#define CHECK_BYTES(expected, expected_length, received, received_length, ...)                               \
    do {                                                                                                     \
        size_t expected_length_ = (expected_length), received_length_ = (received_length);                   \
        if (expected_length_ != received_length_ || memcmp((expected), (received), expected_length_) != 0)   \
            bytes_differ(__LINE__, #received, (expected), expected_length_, (received), received_length_,    \
                         about(__VA_ARGS__));                                                                \
    } while (0)

#define CHECK_STRING(expected, received, ...)                                                                \
    CHECK_BYTES((expected), strlen(expected), (received), strlen(received), __VA_ARGS__)

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Returns bytes in hexadecimal, for about().  The next call but one overwrites them. */
static const char *hex(const void *bytes, size_t length)
{
    static char strings[2][3 * 64 + sizeof "..."];
    static unsigned turn;
    char *string = strings[++turn % 2], *end = string;
    *end = '\0';
    for (size_t i = 0; i < length && i < 64; i++)
        end += sprintf(end, "%02x ", ((const uint8_t *)bytes)[i]);
    if (length > 64)
        strcpy(end, "...");
    return string;
}

/* Returns bytes as the program would log them, for about().  The next call overwrites them. */
static const char *shown(const char *bytes, size_t length)
{
    static char string[4 * LOGGED_MAX + sizeof "..."];
    return escaped((struct slice){bytes, length}, string);
}

/* A pseudo-random sequence, the same in every run: xorshift64*. */
static uint64_t random_number(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}

/* Returns a number below `limit`. */
static size_t random_below(size_t limit)
{
    return (size_t)((random_number() >> 20) % limit);
}

/* Returns memory followed by a page that cannot be accessed; it is never freed. */
static uint8_t *guarded(size_t length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (length + page - 1) / page * page;
    uint8_t *memory = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + size, page, PROT_NONE) < 0) {
        perror("mmap");
        exit(EXIT_FAILURE);
    }
    return memory + size - length;
}

/* ---- Variants --------------------------------------------------------------------------------------- */

enum {
    LONG_ENOUGH = 300, /* bytes: several of the widest vectors, and a rest */
    ALIGNMENTS = 64,
};

/* Validates the next bytes of a text.  Returns false at the first byte that makes it invalid. */
static bool utf8_accepts(uint8_t *state, const uint8_t *bytes, size_t length)
{
    *state = utf8_state_after(*state, bytes, length);
    return *state != UTF8_WRONG;
}

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

/* ---- UTF-8 ------------------------------------------------------------------------------------------ */

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

static struct verdict verdict_of(const uint8_t *bytes, size_t length)
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

static void utf8_is_every_scalar_value_in_its_shortest_form(void)
{
    for (uint32_t number = 0; number < 0x200000; number++)
        check_encodings(number);
    for (uint32_t number = 0x200000; number < 0x80000000; number += 0xfff1)
        check_encodings(number);
    check_encodings(0x3ffffff);
    check_encodings(0x4000000);
    check_encodings(0x7fffffff);
}

static void utf8_of_up_to_three_bytes_is_what_the_grammar_says(void)
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

static void utf8_of_four_bytes_is_what_the_grammar_says_wherever_they_stand(void)
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
static void fill(uint8_t *to, size_t length, const char *pattern)
{
    for (size_t i = 0, period = strlen(pattern); i < length; i++)
        to[i] = (uint8_t)pattern[i % period];
}

static void utf8_is_refused_at_the_first_wrong_byte_of_a_text_of_any_length_and_alignment(void)
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

static void utf8_is_accepted_up_to_the_first_wrong_byte_and_no_further(void)
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

static void utf8_gets_the_same_verdict_wherever_it_is_cut(void)
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

static void utf8_of_random_characters_gets_the_same_verdict_byte_by_byte_and_in_random_pieces(void)
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

static void utf8_is_not_read_beyond_its_end(void)
{
    uint8_t *end = guarded(LONG_ENOUGH) + LONG_ENOUGH;
    for (size_t pattern = 0; pattern < COUNT_OF(utf8_patterns); pattern++)
        for (size_t length = 0; length <= LONG_ENOUGH; length++) {
            fill(end - length, length, utf8_patterns[pattern]);
            struct verdict due = verdict_of(end - length, length);
            CHECK(decides_at_once(due, end - length, length), "pattern %zu, %zu bytes", pattern, length);
        }
}

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

static void payload_of_any_length_and_alignment_is_unmasked_in_place(void)
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

static void payload_of_any_length_and_alignment_is_unmasked_to_another_place(void)
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

static void the_masking_key_goes_on_across_any_two_cuts(void)
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

static void every_byte_of_a_masking_key_counts(void)
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

static void payload_beyond_ascii_is_noticed_wherever_it_stands(void)
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

static void masked_payload_is_not_touched_beyond_its_end(void)
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

static void payload_is_unmasked_and_validated_around_every_block(void)
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

static void text_payload_with_a_wrong_byte_around_a_block_is_refused(void)
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

static void text_payload_of_ascii_is_refused_inside_a_character(void)
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

static void binary_payload_is_not_validated(void)
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

static void payload_goes_on_across_any_cut(void)
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

static void text_that_is_not_masked_is_validated_as_masked_text_is(void)
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

static void the_first_two_bytes_of_a_frame_are_judged_as_the_rfc_says(void)
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

static void a_wrong_frame_is_refused_at_its_first_wrong_byte(void)
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

static void a_payload_length_of_sixteen_bits_is_minimal_from_126_on(void)
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

static void a_payload_length_of_sixty_four_bits_is_minimal_from_65536_on_and_has_no_top_bit(void)
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

static void every_prefix_of_a_frame_header_is_incomplete_or_gets_the_same_verdict(void)
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

static void the_top_bit_of_a_length_is_refused_as_soon_as_it_is_there(void)
{
    const uint8_t bytes[] = {0x82, 0xff, 0x80};
    struct frame frame;
    CHECK_NUMBER(NEED_MORE, decode(bytes, 2, false, false, &frame), "before it");
    CHECK_NUMBER(LENGTH_TOP_BIT, decode(bytes, 3, false, false, &frame), "with it");
}

static void a_header_that_is_encoded_decodes_to_the_same(void)
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

static void a_reply_begins_with_its_header_and_for_text_the_prefix(void)
{
    static const size_t lengths[] = {0, 116, 117, 118, 125, 126, 65526, 65527, 65528, 65535, 65536};
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        for (uint8_t opcode = TEXT; opcode <= BINARY; opcode++) {
            uint8_t reply[REPLY_ROOM], expected[REPLY_ROOM];
            size_t prefix = opcode == TEXT ? defaults.prefix.length : 0;
            size_t length = frame_encode_header(expected, opcode, lengths[i] + prefix);
            memcpy(expected + length, "server: ", prefix);
            CHECK_BYTES(expected, length + prefix, reply,
                        reply_begin(reply, opcode, lengths[i], &defaults.prefix), "opcode %d, %zu bytes",
                        opcode, lengths[i]);
        }
}

static void a_prefix_is_put_before_text_only(void)
{
    static const struct prefix prefix = {3, "ab:"};
    for (unsigned opcode = 0; opcode < 16; opcode++)
        CHECK_NUMBER(opcode == TEXT ? 3 : 0, prefix_length(&prefix, (uint8_t)opcode), "opcode %u", opcode);
    CHECK_NUMBER(0, prefix_length(&(struct prefix){0}, TEXT), "an empty prefix");
}

static void the_reply_to_a_gathered_message_is_made_around_it_and_tells_its_lengths(void)
{
    static const struct {
        size_t length, header;
    } rows[] = {
        {0, 2},
        {1, 2},
        {125, 2},
        {126, 4},
        {127, 4},
        {255, 4},
        {256, 4},
        {65534, 4},
        {65535, 4},
        {65536, 10},
        {65537, 10},
        {1 << 24, 10},
        {(1 << 24) + 1, 10},
    };
    struct message message = {.limit = 1 << 25};
    CHECK(message_map(&message), "memory for a message");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (uint8_t opcode = TEXT; opcode <= BINARY; opcode++) {
            size_t prefix = opcode == TEXT ? 8 : 0;
            if (rows[i].length < prefix)
                continue;
            uint8_t expected[REPLY_ROOM], *payload = message.memory + REPLY_ROOM;
            message.opcode = opcode;
            message.length =
                rows[i].length - prefix; /* so that the payload of the reply has the length of the row */
            memset(payload, 'a', 16);
            struct reply reply = message_reply(&message, &defaults.prefix);
            size_t begun = reply_begin(expected, opcode, message.length, &defaults.prefix);
            CHECK_NUMBER(rows[i].header + prefix, begun, "opcode %d, %zu bytes", opcode, rows[i].length);
            CHECK(reply.bytes == payload - begun, "opcode %d, %zu bytes", opcode, rows[i].length);
            CHECK_BYTES(expected, begun, reply.bytes, begun, "opcode %d, %zu bytes", opcode, rows[i].length);
            CHECK_NUMBER(rows[i].header + rows[i].length, reply.length, "opcode %d", opcode);
            CHECK_NUMBER(rows[i].length, reply.payload_length, "opcode %d", opcode);
            CHECK_NUMBER('a', payload[0], "the payload stays");
        }
    munmap(message.memory, memory_size(&message));
}

static void a_short_copy_has_all_bytes_and_touches_no_other(void)
{
    for (size_t length = 0; length <= SHORT_COPY_MAX; length++) {
        uint8_t *from = malloc(length), *to = malloc(length + 1); /* sanitizers check both ends of each */
        for (size_t i = 0; i < length; i++)
            from[i] = (uint8_t)(i + 1);
        memset(to, 0xee, length + 1);
        copy_short(to, from, length);
        CHECK_BYTES(from, length, to, length, "%zu bytes", length);
        CHECK_NUMBER(0xee, to[length], "the byte after %zu", length);
        free(from);
        free(to);
    }
}

/* ---- Close ------------------------------------------------------------------------------------------ */

static void only_the_close_codes_that_section_7_4_allows_may_be_sent(void)
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

static void a_close_body_is_empty_or_has_two_bytes_at_least(void)
{
    const uint8_t byte = 0x03;
    CHECK_NUMBER(DONE, check_close_body(&byte, 0, 0), "empty");
    CHECK_NUMBER(CLOSE_TRUNCATED, check_close_body(&byte, 1, 1), "one byte");
    CHECK_NUMBER(CLOSE_TRUNCATED, check_close_body(&byte, 0, 1), "one byte, before it has come");
    CHECK_NUMBER(NEED_MORE, check_close_body(&byte, 0, 2), "two bytes, before they have come");
}

static void a_close_reason_is_utf8_and_refused_at_its_first_wrong_byte(void)
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

/* ---- Request head ----------------------------------------------------------------------------------- */

#define BYTES(literal) (literal), sizeof(literal) - 1
#define GET "GET /socket HTTP/1.1\r\n"
#define HOST "Host: h\r\n"

/* Heads of every kind, to be split; tests/test_head.py says how each one is answered. */
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

static void a_head_is_read_in_the_same_way_wherever_it_is_cut(void)
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

static void what_stands_behind_the_head_is_not_read(void)
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

static void the_fields_of_a_head_are_found_without_the_white_space_around_them(void)
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

static void the_query_of_a_target_is_what_follows_its_first_question_mark(void)
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

static void a_request_line_has_16384_bytes_at_most(void)
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

static void a_head_has_32768_bytes_at_most(void)
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

static void a_head_has_100_fields_at_most(void)
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

static void every_byte_of_a_head_is_judged_by_the_place_where_it_stands(void)
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

static void a_host_or_a_target_is_not_read_beyond_its_end(void)
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
static void a_host_has_no_nul(void)
{
    CHECK(!is_host((struct slice){BYTES("[::1\0]")}), "in an address");
    CHECK(!is_host((struct slice){BYTES("a\0b")}), "in a name");
}

/* ---- Handshake -------------------------------------------------------------------------------------- */

static void a_key_is_22_characters_of_base64_and_two_equals_signs(void)
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

/* ---- Extensions ------------------------------------------------------------------------------------- */

#define DEFLATE "permessage-deflate"
#define MALFORMED NULL /* is answered so */

/* What a field with this value is answered with; "": with no extension. */
static const struct {
    const char *value, *answer;
} offers[] = {
    {DEFLATE, DEFLATE},
    {" \t" DEFLATE "\t ", DEFLATE},
    {"," DEFLATE " ,,", DEFLATE},
    {DEFLATE "; client_max_window_bits", DEFLATE},
    {DEFLATE ";client_max_window_bits=8", DEFLATE "; client_max_window_bits=8"},
    {DEFLATE "\t;\tclient_max_window_bits = 9", DEFLATE "; client_max_window_bits=9"},
    {DEFLATE "; client_max_window_bits=15", DEFLATE "; client_max_window_bits=15"},
    {DEFLATE "; server_max_window_bits=9", DEFLATE "; server_max_window_bits=9"},
    {DEFLATE "; server_max_window_bits=15", DEFLATE "; server_max_window_bits=15"},
    {DEFLATE "; server_max_window_bits=\"10\"", DEFLATE "; server_max_window_bits=10"},
    {DEFLATE "; server_max_window_bits=\"\\1\\0\"", DEFLATE "; server_max_window_bits=10"},
    {DEFLATE "; server_no_context_takeover", DEFLATE "; server_no_context_takeover"},
    {DEFLATE "; client_no_context_takeover", DEFLATE "; client_no_context_takeover"},
    {DEFLATE "; client_max_window_bits=12; server_max_window_bits=11; client_no_context_takeover"
             "; server_no_context_takeover",
     DEFLATE "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11"
             "; client_max_window_bits=12"},
    /* The first acceptable one of several. */
    {DEFLATE "; server_no_context_takeover, " DEFLATE, DEFLATE "; server_no_context_takeover"},
    {DEFLATE "; server_max_window_bits=8, " DEFLATE "; server_max_window_bits=9",
     DEFLATE "; server_max_window_bits=9"},
    {DEFLATE "; x, " DEFLATE "; client_max_window_bits=16, " DEFLATE, DEFLATE},
    {"x-webkit-deflate-frame; no_context_takeover; a=\"b\", " DEFLATE, DEFLATE},
    /* Declined. */
    {DEFLATE "; server_max_window_bits", ""},
    {DEFLATE "; server_max_window_bits=8", ""},
    {DEFLATE "; server_max_window_bits=7", ""},
    {DEFLATE "; server_max_window_bits=16", ""},
    {DEFLATE "; server_max_window_bits=0", ""},
    {DEFLATE "; server_max_window_bits=1", ""},
    {DEFLATE "; server_max_window_bits=010", ""},
    {DEFLATE "; server_max_window_bits=09", ""},
    {DEFLATE "; server_max_window_bits=10x", ""},
    {DEFLATE "; server_max_window_bits=+9", ""},
    {DEFLATE "; server_max_window_bits=-9", ""},
    {DEFLATE "; server_max_window_bits=9.0", ""},
    {DEFLATE "; server_max_window_bits=100", ""},
    {DEFLATE "; server_max_window_bits=265", ""},
    {DEFLATE "; server_max_window_bits=4294967305", ""},
    {DEFLATE "; client_max_window_bits=7", ""},
    {DEFLATE "; client_max_window_bits=16", ""},
    {DEFLATE "; client_max_window_bits=1", ""},
    {DEFLATE "; client_max_window_bits=0", ""},
    {DEFLATE "; client_max_window_bits=08", ""},
    {DEFLATE "; server_no_context_takeover=1", ""},
    {DEFLATE "; server_no_context_takeover=true", ""},
    {DEFLATE "; client_no_context_takeover=16", ""},
    {DEFLATE "; client_no_context_takeover=\"15\"", ""},
    {DEFLATE "; server_no_context_takeover; server_no_context_takeover", ""},
    {DEFLATE "; client_no_context_takeover; client_no_context_takeover", ""},
    {DEFLATE "; client_max_window_bits; client_max_window_bits", ""},
    {DEFLATE "; client_max_window_bits; client_max_window_bits=10", ""},
    {DEFLATE "; server_max_window_bits=10; server_max_window_bits=10", ""},
    {DEFLATE "; unknown", ""},
    {DEFLATE "; Server_No_Context_Takeover", ""},
    {DEFLATE "; server_max_window_bits=10; unknown=\"x\"", ""},
    {"Permessage-Deflate", ""},
    {DEFLATE "d", ""},
    {"permessage-bzip2; x=\"y\\z\"", ""},
    {"x", ""},
    /* Nothing is offered. */
    {"", ""},
    {" \t ", ""},
    {" , ,", ""},
    /* Malformed, also after an acceptable offer. */
    {";", MALFORMED},
    {", ;", MALFORMED},
    {DEFLATE ";", MALFORMED},
    {DEFLATE "; ;client_max_window_bits", MALFORMED},
    {DEFLATE "; client_max_window_bits=", MALFORMED},
    {DEFLATE "; =10", MALFORMED},
    {DEFLATE "; a b", MALFORMED},
    {DEFLATE "; a=b c", MALFORMED},
    {DEFLATE "; a=b=c", MALFORMED},
    {DEFLATE " client_max_window_bits", MALFORMED},
    {DEFLATE "=1", MALFORMED},
    {"permessage deflate", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"10", MALFORMED},
    {DEFLATE "; server_max_window_bits=10\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\" 10\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"10\"x", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"1\"\"0\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"10\\\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"\\\\10\"", MALFORMED},
    {DEFLATE "; server_max_window_bits='10'; \xe4", MALFORMED},
    {DEFLATE "; \"client_max_window_bits\"", MALFORMED},
    {DEFLATE "; a=\"b,c\"", MALFORMED},
    {DEFLATE "; a=\"b;c\"", MALFORMED},
    {DEFLATE ", \"", MALFORMED},
    {DEFLATE ", x;", MALFORMED},
    {"x; a=(b)", MALFORMED},
};

/* Returns what a head with only these fields is answered with, or MALFORMED. */
static const char *negotiate(const char *const *values, size_t count, bool wanted)
{
    static char answer[EXTENSION_SIZE];
    struct head head = {.field_count = count};
    struct compression chosen;
    for (size_t i = 0; i < count; i++)
        head.fields[i] =
            (struct field){SLICE_OF("sec-websocket-extensions"), slice_trimmed(SLICE_OF(values[i]))};
    if (choose_compression(&head, wanted, &chosen) != DONE)
        return MALFORMED;
    memset(answer, 0xee, sizeof answer);
    describe_compression(&chosen, answer);
    return answer;
}

static void check_answer(const char *expected, const char *received, const char *value)
{
    if (expected && received)
        CHECK_STRING(expected, received, "%s", value);
    else
        CHECK(expected == received, "%s: %s", value, received ? received : "malformed");
}

static void an_offer_of_compression_is_answered_as_the_table_says(void)
{
    check_answer("", negotiate(NULL, 0, true), "no field");
    for (size_t i = 0; i < COUNT_OF(offers); i++)
        check_answer(offers[i].answer, negotiate(&offers[i].value, 1, true), offers[i].value);
}

static void without_the_option_an_offer_is_declined_and_malformed_all_the_same(void)
{
    for (size_t i = 0; i < COUNT_OF(offers); i++)
        check_answer(offers[i].answer ? "" : MALFORMED, negotiate(&offers[i].value, 1, false),
                     offers[i].value);
}

static void several_fields_of_offers_are_one_list(void)
{
    for (size_t i = 0; i < COUNT_OF(offers); i++)
        for (size_t j = 0; j < COUNT_OF(offers); j++) {
            const char *values[] = {offers[i].value, offers[j].value};
            bool malformed = !offers[i].answer || !offers[j].answer;
            const char *first = offers[i].answer ? offers[i].answer : "";
            const char *other = offers[j].answer ? offers[j].answer : "";
            check_answer(malformed ? MALFORMED
                         : *first  ? first
                                   : other,
                         negotiate(values, 2, true), about("%s, and %s", values[0], values[1]));
        }
}

/* ---- PROXY header ----------------------------------------------------------------------------------- */

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

static void a_proxy_header_gives_the_address_of_the_peer(void)
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

static void the_port_of_a_peer_is_that_of_its_address(void)
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

static void a_malformed_proxy_header_leaves_the_address_as_it_was(void)
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

static void a_proxy_header_is_read_in_the_same_way_wherever_it_is_cut(void)
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

static void what_stands_behind_a_proxy_header_is_not_read(void)
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

static void a_proxy_line_has_107_bytes_at_most(void)
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

static void a_binary_proxy_header_may_be_as_long_as_its_length_says(void)
{
    static char bytes[PROXY_BINARY_MAX] = V2_TCP4;
    struct address peer;
    memset(bytes + 14, 0xff, 2);
    CHECK_NUMBER(0, parse_proxy(bytes, sizeof bytes - 1, &peer), "one byte less");
    CHECK_NUMBER(PROXY_BINARY_MAX, parse_proxy(bytes, sizeof bytes, &peer), "whole");
    CHECK_STRING("192.0.2.1", peer.host, "whole");
}

static void an_address_is_kept_in_its_usual_form_and_a_mapped_one_as_ipv4(void)
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

static void the_bytes_of_an_address_are_4_or_16_and_a_mapped_one_is_ipv4(void)
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

static void a_port_is_a_decimal_number_of_at_most_65535(void)
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

/* ---- Bytes ------------------------------------------------------------------------------------------ */

static void each_byte_is_of_the_classes_that_the_rfcs_name(void)
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

static void the_smaller_of_two_sizes_is_the_smaller(void)
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

static void what_fits_is_appended_to_a_string_and_what_does_not_leaves_it_as_it_was(void)
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

static void what_is_percent_encoded_is_decoded_and_plus_too_if_that_is_wanted(void)
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

/* The digits behind the text are no part of it. */
static void an_encoded_byte_is_not_read_beyond_the_text(void)
{
    char into[4];
    CHECK_NUMBER(-1, percent_decode((struct slice){"%41", 1}, false, into, sizeof into), "a percent sign");
    CHECK_NUMBER(-1, percent_decode((struct slice){"%41", 2}, false, into, sizeof into),
                 "a percent sign and a digit");
    CHECK_NUMBER(1, percent_decode((struct slice){"%41", 3}, false, into, sizeof into), "all of it");
}

static void what_is_decoded_fits_its_buffer_or_is_refused(void)
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

static void seconds_are_at_most_what_the_caller_allows(void)
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

static void a_name_of_a_host_may_have_whole_percent_encoded_bytes(void)
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

static void a_number_of_window_bits_has_no_leading_zero_and_two_digits_at_most(void)
{
    char string[4];
    for (int length = 0; length <= 3; length++)
        for (int number = 0; number < 13 * 13 * 13; number++) {
            static const char bytes[] = "/0123456789:a";
            int digits[] = {number % 13, number / 13 % 13, number / 169}, due = 0;
            bool right = length > 0 && length < 3;
            for (int i = 0; i < length; i++) {
                string[i] = bytes[digits[i]];
                right = right && digits[i] >= (i ? 1 : 2) && digits[i] <= 10;
                due = 10 * due + digits[i] - 1;
            }
            CHECK_NUMBER(right ? due : 0, parse_window_bits((struct slice){string, (size_t)length}), "%.*s",
                         length, string);
        }
    CHECK_NUMBER(15, parse_window_bits((struct slice){"\\1\\5", 4}), "escaped");
}

/* ---- Limits ------------------------------------------------------------------------------------------ */

/* To change one of these is to change what the manual promises, how much memory is used, or the speed. */
static void each_limit_has_its_value(void)
{
    static const struct {
        const char *name;
        long long due, value;
    } rows[] = {
#define LIMIT(name, due) {#name, due, name}
        LIMIT(REQUEST_LINE_MAX, 16384),
        LIMIT(HEAD_MAX, 32768),
        LIMIT(SERVED_PATH_MAX, 4095),
        LIMIT(CONTENT_DIGITS_MAX, 18),
        LIMIT(FIELDS_MAX, 100),
        LIMIT(CHOICES_MAX, 64),
        LIMIT(PREFIX_MAX, 256),
        LIMIT(SUBPROTOCOLS_MAX, 64),
        LIMIT(HELLO_MAX, 1024),
        LIMIT(RAW_MAX, 512),
        LIMIT(REASON_MAX, 123),
        LIMIT(WORDS_SHOWN_SIZE, 258),
        LIMIT(WAIT_MAX, 60000000),
        LIMIT(SCHEDULE_MAX, INT64_C(3600000000)),
        LIMIT(REPEAT_MIN, 100000),
        LIMIT(NUMBER_MAX, 1000000000),
        LIMIT(STATUS_MIN, 200),
        LIMIT(STATUS_MAX, 599),
        LIMIT(ORIGIN_MAX, 300),
        LIMIT(INPUT_SIZE, 256 << 10),
        LIMIT(OUTPUT_SIZE, 512 << 10),
        LIMIT(COPY_REPLY_MAX, 64 << 10),
        LIMIT(SHORT_COPY_MAX, 256),
        LIMIT(RESIDENT_MAX, 64 << 10),
        LIMIT(HUGE_PAGE, 2 << 20),
        LIMIT(PAGE_MAX, 64 << 10),
        LIMIT(BLOCK_SIZE, 4096),
        LIMIT(CONTROL_PAYLOAD_MAX, 125),
        LIMIT(REPLY_HEADER_MAX, 10),
        LIMIT(REPLY_ROOM, 266),
        LIMIT(EXTENSION_SIZE, 160),
        LIMIT(OUTCOME_NAME_SIZE, 32),
        LIMIT(SENTENCE_TEMPLATE_SIZE, 128),
        LIMIT(SENTENCE_SIZE, 4223),
        LIMIT(PAGE_HEAD_MAX, 4096),
        LIMIT(COMPLAINT_SIZE, 256),
        LIMIT(LOGGED_MAX, 256),
        LIMIT(ESCAPED_SIZE, 1028),
        LIMIT(TLS_HANDSHAKE, 0x16),
        LIMIT(PROXY_LINE_MAX, 107),
        LIMIT(PROXY_BINARY_MAX, 65551),
        LIMIT(ADDRESS_SIZE, 109),
        LIMIT(CLOSING_MAX, 64 << 20),
        LIMIT(DEFLATE_LEVEL, 6),
        LIMIT(DEFLATE_MEMORY_LEVEL, 8),
        LIMIT(CODEC_MEMORY, 512 << 10),
        LIMIT(INFLATE_BLOCK_SIZE, 64 << 10),
        LIMIT(WINDOW_BITS_MAX, 15),
        LIMIT(WINDOW_SIZE, 32768),
        LIMIT(KEY_LENGTH, 24),
        LIMIT(ACCEPT_LENGTH, 28),
        LIMIT(SECOND, 1000000),
        LIMIT(CLOSING_TIME, 2000000),
        LIMIT(CLOSING_QUIET, 100000),
        LIMIT(STOP_TIME, 2000000),
        LIMIT(LOG_TIME, 2000000),
        LIMIT(QUIET_TIME, 100000),
        LIMIT(PING_INTERVAL, 20000000),
        LIMIT(TICK, 20000),
        LIMIT(NEVER, 0x7fffffffffffffff),
        LIMIT(DURATION_MAX, 366LL * 86400 * 1000000),
        LIMIT(MESSAGE_MAX, 1 << 30),
        LIMIT(sizeof(((struct stream *)0)->input), 256 << 10),
        LIMIT(sizeof(((struct stream *)0)->output), 512 << 10),
        LIMIT(sizeof(((struct kept_value *)0)->bytes), 258),
        LIMIT(sizeof(((struct record *)0)->line), PIPE_BUF - 64),
        LIMIT(sizeof(((struct record *)0)->text), 12288),
        LIMIT(COUNT_OF(((struct record *)0)->fields), 24),
#undef LIMIT
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_NUMBER(rows[i].due, rows[i].value, "%s", rows[i].name);
}

/* ---- Memory ------------------------------------------------------------------------------------------ */

/* Tells whether the mapping that contains an address has a flag, according to /proc/self/smaps. */
static bool is_flagged(const void *address, const char *flag)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    char line[1024];
    bool here = false, found = false;
    while (maps && fgets(line, sizeof line, maps)) {
        uintptr_t first, end;
        char after;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR "%c", &first, &end, &after) == 3 && after == ' ')
            here = first <= (uintptr_t)address && (uintptr_t)address < end;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    if (maps)
        fclose(maps);
    return found;
}

static void only_what_is_between_two_addresses_is_given_back_and_all_of_it_but_at_the_edges(void)
{
    static const size_t more[] = {0, 1, 4096, PAGE_MAX - 1};
    size_t size = 8 * PAGE_MAX;
    for (size_t i = 0; i < COUNT_OF(more) * COUNT_OF(more); i++) {
        uint8_t *memory = memory_map(size);
        size_t begin = PAGE_MAX + more[i % COUNT_OF(more)], end = 6 * PAGE_MAX + more[i / COUNT_OF(more)];
        memset(memory, 1, size);
        memory_release(memory + begin, memory + end);
        size_t first = 0, last = size; /* of the released part */
        while (first < size && memory[first] == 1)
            first++;
        while (last > first && memory[last - 1] == 1)
            last--;
        CHECK(begin <= first && first < begin + PAGE_MAX, "from %zu: %zu", begin, first);
        CHECK(last <= end && end < last + PAGE_MAX, "up to %zu: %zu", end, last);
        memory_release(memory + 100, memory + 200);
        memory_release(memory + 200, memory + 100);
        memory_release(memory + PAGE_MAX, memory + PAGE_MAX);
        CHECK_NUMBER(1, memory[150], "no whole page");
        munmap(memory, size);
    }
}

static void both_buffers_go_back_but_for_what_waits_in_them(void)
{
    struct connection *c =
        (void *)memory_map(sizeof *c); /* a mapping, since emulators release pages only there */
    struct stream *stream = &c->stream;
    const struct {
        const uint8_t *bytes;
        size_t size, used;
    } rows[] = {{stream->input, sizeof stream->input, 100000},
                {stream->output, sizeof stream->output, 150000}};
    c->message.limit = 1 << 20;
    CHECK(message_map(&c->message), "memory for a message");
    memset(payload_end(&c->message), 1, 1 << 20);
    stream->input_start = 100;
    stream->input_end = rows[0].used;
    stream->output_used = rows[1].used;
    memset(stream->input, 1, sizeof stream->input);
    memset(stream->output, 1, sizeof stream->output);
    release_idle_memory(c);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t kept = strnlen((const char *)rows[i].bytes, rows[i].size);
        CHECK(rows[i].used <= kept && kept < rows[i].used + PAGE_MAX, "buffer %zu: %zu bytes", i, kept);
        CHECK_NUMBER(0, rows[i].bytes[rows[i].size - PAGE_MAX], "the end of buffer %zu", i);
    }
    CHECK_NUMBER(0, c->message.memory[PAGE_MAX], "the memory of the message, beyond what is kept");
    CHECK_NUMBER(NEVER, c->message.release_at, "nothing more is to be given back");
    munmap(c->message.memory, memory_size(&c->message));
    munmap(c, sizeof *c);
}

/*
 * Returns how many bytes of a mapping use small pages: those in front of the second huge page that begins in
 * it.  The kernel's mapping begins up to PAGE_MAX bytes before ours.
 */
static size_t small_size(const uint8_t *memory)
{
    size_t inside = (uintptr_t)memory % HUGE_PAGE;
    bool begins_before =
        inside == 0 && is_flagged(memory - 1, " nh ") && is_flagged(memory + HUGE_PAGE, " hg ");
    return (begins_before ? 1 : 2) * (size_t)HUGE_PAGE - inside;
}

static void the_first_four_mebibytes_at_most_are_small_pages_and_what_follows_huge_ones(void)
{
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0 || !is_flagged(&test, " wr "))
        return; /* this kernel, or an emulator, has no huge pages */
    /* The kernel may align a mapping of whole huge pages to a huge page. */
    static const size_t sizes[] = {4096,    1 << 18,           (3 << 20) + 4096,        (5 << 20) + 4096,
                                   1 << 24, (1 << 24) + 12288, (1 << 24) - 2 * PAGE_MAX};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t size = sizes[i];
        uint8_t *memory = memory_map(size);
        size_t small = small_size(memory);
        CHECK_NUMBER(0, (uintptr_t)memory % PAGE_MAX, "%zu bytes begin a page, whatever its size", size);
        CHECK(is_flagged(memory, " nr ") && is_flagged(memory, " wr ") && !is_flagged(memory, " ex "), "%zu",
              size);
        CHECK(is_flagged(memory, " nh ") && is_flagged(memory + (size < small ? size : small) - 1, " nh "),
              "the first of %zu bytes", size);
        CHECK(size <= small || (is_flagged(memory + small, " hg ") && is_flagged(memory + size - 1, " hg ")),
              "the last of %zu bytes", size);
        CHECK(is_flagged(memory + (size + PAGE_MAX - 1) / PAGE_MAX * PAGE_MAX - 1, " wr "),
              "up to the end of the last page of %zu bytes", size);
        munmap(memory, size);
    }
    errno = 0;
    CHECK(!memory_map(SIZE_MAX - 3 * (size_t)PAGE_MAX) && errno == ENOMEM, "more than there is");
}

static void the_memory_of_a_message_goes_back_but_for_what_is_kept_and_what_is_in_use(void)
{
    static const struct {
        uint64_t length;
        size_t kept;
    } rows[] = {
        {0, 65536},
        {1, 65536},
        {65536 - 266, 65536},
        {65536 - 265, 131072},
        {131072 - 266, 131072},
        {131072 - 265, 196608},
    };
    struct message message = {.limit = 1 << 20};
    CHECK(message_map(&message), "memory for a message");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t kept = 0, size = memory_size(&message);
        memset(message.memory, 1, size);
        message.length = rows[i].length;
        message_release(&message);
        while (kept < size && message.memory[kept])
            kept++;
        CHECK_NUMBER(rows[i].kept, kept, "a message of %zu bytes so far", (size_t)rows[i].length);
        CHECK(message.memory[size - 1] == 0, "up to the last page");
    }
    munmap(message.memory, memory_size(&message));
}

static void there_is_address_space_for_the_largest_message_and_the_largest_compressed_reply(void)
{
    struct message message = {0};
    for (message.limit = 1; message.limit <= MESSAGE_MAX; message.limit <<= 10) {
        size_t limit = (size_t)message.limit, prefixed = 256 + limit;
        CHECK_NUMBER(10 + 256 + limit + 1, memory_size(&message), "a message of %zu bytes", limit);
        CHECK_NUMBER(10 + prefixed + prefixed / 8 + prefixed / 64 + 64, deflated_size(&message),
                     "a message of %zu bytes", limit);
    }
}

static void zlib_gets_its_memory_in_whole_cache_lines_as_long_as_there_is_some(void)
{
    static const struct {
        unsigned items, size, taken;
    } rows[] = {{1, 1, 64}, {1, 64, 64}, {1, 65, 128}, {3, 43, 192}, {2, 32, 64}, {1, 0, 0}};
    static uint8_t memory[CODEC_MEMORY];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena = {.memory = memory, .used = 640};
        void *piece = arena_allocate(&arena, rows[i].items, rows[i].size);
        CHECK(piece == memory + 640, "%u times %u bytes", rows[i].items, rows[i].size);
        CHECK_NUMBER(640 + rows[i].taken, arena.used, "%u times %u bytes", rows[i].items, rows[i].size);
    }
    struct arena arena = {.memory = memory, .used = 64};
    errno = 0;
    CHECK(!arena_allocate(&arena, 1, CODEC_MEMORY - 63) && errno == ENOMEM && arena.used == 64, "too much");
    CHECK(arena_allocate(&arena, 1, CODEC_MEMORY - 64) == memory + 64, "all that is left");
    CHECK(!arena_allocate(&arena, 1, 1), "one byte more");
}

/* ---- Words of the lab ------------------------------------------------------------------------------- */

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

static void each_word_of_the_lab_sets_what_it_asks_for(void)
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

static void without_a_query_or_with_an_empty_one_nothing_is_asked_for(void)
{
    static const struct words nothing;
    static const struct slice queries[] = {{NULL, 0}, {NULL, 7}, {"", 0}, {"status", 0}};
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        memset(&asked, 0, sizeof asked);
        CHECK_NUMBER(DONE, words_parse(queries[i], 0, true, &asked), "query %zu", i);
        CHECK(memcmp(&asked, &nothing, sizeof asked) == 0, "query %zu", i);
    }
}

static void a_word_that_is_unknown_empty_or_repeated_is_refused(void)
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

static void each_word_of_the_lab_is_refused_when_it_is_repeated(void)
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

static void a_value_that_is_wrong_missing_or_of_no_use_is_refused(void)
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
static void the_first_wrong_word_of_a_query_says_why_it_is_refused(void)
{
    CHECK_NUMBER(LAB_VALUE_WRONG, parse_query("delay=x&nothing"), "a value before a word");
    CHECK_NUMBER(LAB_WORD_UNKNOWN, parse_query("nothing&delay=x"), "a word before a value");
    CHECK_NUMBER(LAB_WORD_UNKNOWN, parse_query("status=404&close&nothing"), "a word and a combination");
    CHECK_NUMBER(LAB_STATUS_NOT_ALONE, parse_query("after=1&status=404&reason=a"), "three combinations");
    CHECK_NUMBER(LAB_TRIGGERS_NOTHING, parse_query("reason=a&after=1"), "two combinations");
}

static void each_number_in_a_query_has_its_limits(void)
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

static void a_single_wait_is_at_most_60_s_and_less_than_the_timeout(void)
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

static void a_wait_of_nothing_is_one(void)
{
    ASKS("delay=0", asked.delay == 0);
    ASKS("latency=0.000", asked.latency == 0);
    ASKS("stall=0", asked.stall == 0);
    CHECK_NUMBER(DONE, parse_query_of(BYTES("delay=0"), 1, true), "with the shortest timeout");
}

static void a_stall_without_a_value_is_as_long_as_a_wait_may_be(void)
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

static void texts_and_bytes_in_a_query_have_a_greatest_length(void)
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

static void the_longest_texts_and_bytes_stand_beside_one_another(void)
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

static void a_value_is_percent_decoded_and_plus_is_a_space_but_no_name_is(void)
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

static void names_in_a_value_stand_at_most_once_each(void)
{
    static const char *const queries[] = {
        "bad=accept,accept",    "bad=,",       "bad=accept,",       "bad=,accept",    "bad=accept,,extension",
        "bad=accept extension", "bad=echo",    "mute=accept",       "mute=echo,echo", "mute=echo,ping,echo",
        "mute=close,",          "mute=,close", "mute=echo,nothing", "mute=echoping",  "mute=ech",
    };
    for (size_t i = 0; i < COUNT_OF(queries); i++)
        CHECK_NUMBER(LAB_VALUE_WRONG, parse_query(queries[i]), "%s", queries[i]);
}

static void words_that_do_not_go_together_are_refused(void)
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

static void a_reset_is_refused_where_the_connection_is_not_tcp(void)
{
    static const char *const others[] = {"close",      "close=eof", "close=1000", "stall", "raw=00",
                                         "status=404", ""};
    CHECK_NUMBER(LAB_RESET_WITHOUT_TCP, parse_query_of(BYTES("close=reset"), 0, false), "a reset");
    CHECK_NUMBER(LAB_RESET_WITHOUT_TCP, parse_query_of(BYTES("raw=00&close=reset&count=2"), 0, false),
                 "a reset");
    for (size_t i = 0; i < COUNT_OF(others); i++)
        CHECK_NUMBER(DONE, parse_query_of(others[i], strlen(others[i]), 0, false), "%s", others[i]);
}

static void words_may_stand_in_any_order(void)
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

static void the_record_shows_words_in_their_order_and_texts_and_bytes_by_their_number(void)
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

static void a_word_that_is_refused_is_not_shown(void)
{
    static const char *const queries[] = {"stall&delay", "stall&delay=x",   "stall&nothing",
                                          "stall&stall", "stall&headers=1", "stall&hello=%ff"};
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        CHECK(parse_query(queries[i]) != DONE, "%s", queries[i]);
        CHECK_BYTES("stall", 5, asked.shown, asked.shown_length, "%s", queries[i]);
    }
}

static void the_words_are_cut_in_the_record_after_258_bytes(void)
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
static void the_list_of_words_has_each_with_its_value(void)
{
    char list[WORDS_LIST_SIZE];
    memset(list, 'x', sizeof list);
    words_list(list);
    CHECK_STRING("delay=S status=CODE bad=NAMES headers hello=TEXT repeat=S latency=S fragment=N slice=N "
                 "mute=NAMES after=S count=N raw=HEX stall[=S] close[=CODE] reason=TEXT",
                 list, "the list");
}

/* ---- Options ---------------------------------------------------------------------------------------- */

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

static void options_that_are_not_given_have_their_defaults(void)
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

static void every_option_is_taken_in_its_long_and_short_form(void)
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

static void the_last_one_of_an_option_that_is_not_repeatable_counts(void)
{
    struct options into;
    CHECK(PARSE("-P", "longer", "-P", "a", "-m1K", "-m2K", "--timeout=5", "--timeout=90"), "%s", complaint);
    CHECK_BYTES("a", 1, into.prefix.bytes, into.prefix.length, "prefix");
    CHECK_NUMBER(2048, into.max_message, "bytes");
    CHECK_NUMBER(90000000, into.timeout, "microseconds");
}

static void a_ping_interval_that_is_not_given_is_a_third_of_a_shorter_timeout(void)
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
static void a_third_of_the_timeout_is_rounded_up_to_the_microsecond(void)
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

static void a_wrong_command_line_is_answered_with_what_is_wrong_and_what_would_be_right(void)
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

static void a_short_option_outside_of_ascii_is_unknown_too(void)
{
    struct options into;
    CHECK(!PARSE("-\xc3\xb6"), "-\xc3\xb6");
    CHECK(strstr(complaint, "unknown"), "'%s' says unknown", complaint);
    CHECK(!PARSE("-q\xc3\xb6q"), "-q\xc3\xb6q");
    CHECK(strstr(complaint, "unknown"), "'%s' says unknown", complaint);
}

static void a_complaint_says_what_would_be_right_however_long_the_value_is(void)
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

static void a_repeatable_option_is_taken_64_times(void)
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

static void options_can_be_parsed_again(void)
{
    struct options into;
    CHECK(!PARSE("-qx", "-p", "/a"), "an unknown option ends the parsing in the middle of a word");
    CHECK(PARSE("-p", "/b") && !into.quiet && into.paths.count == 1, "%s", complaint);
    CHECK_STRING("/b", into.paths.names[0], "path");
}

static void a_size_is_1_byte_to_1g(void)
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

static void a_duration_is_seconds_with_an_optional_fraction(void)
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

static void a_prefix_is_percent_decoded_and_utf8(void)
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

static void a_prefix_has_256_bytes_at_most_when_it_is_decoded(void)
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

static void an_origin_is_a_scheme_and_a_host_or_null(void)
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

/* ---- The record and the clock ------------------------------------------------------------------------ */

static void what_is_logged_is_printable_ascii_without_quotes(void)
{
    static char into[4 * LOGGED_MAX + sizeof "..."];
    for (int byte = 0; byte < 256; byte++) {
        const char text[] = {'a', (char)byte, 'z'};
        char due[16];
        if (byte == '"' || byte == '\\')
            sprintf(due, "a\\%cz", byte);
        else if (byte >= 0x20 && byte < 0x7f)
            sprintf(due, "a%cz", byte);
        else
            sprintf(due, "a\\x%02xz", (unsigned)byte);
        CHECK_STRING(due, escaped((struct slice){text, sizeof text}, into), "byte %02x", (unsigned)byte);
    }
    CHECK_STRING("", escaped((struct slice){NULL, 0}, into), "nothing");
}

static void what_is_logged_is_cut_after_256_bytes(void)
{
    for (int byte = 1; byte < 256; byte += 0x21) /* printable, escaped and quoted bytes */
        for (size_t length = LOGGED_MAX - 1; length <= LOGGED_MAX + 2; length++) {
            char text[LOGGED_MAX + 2], due[4 * LOGGED_MAX + sizeof "..."], *end = due;
            char *into = malloc(sizeof due); /* so that a sanitizer reports a write beyond it */
            memset(text, byte, sizeof text);
            for (size_t i = 0; i < length && i < LOGGED_MAX; i++)
                end += byte >= ' ' && byte <= '~'
                           ? sprintf(end, byte == '"' || byte == '\\' ? "\\%c" : "%c", byte)
                           : sprintf(end, "\\x%02x", (unsigned)byte);
            if (length > LOGGED_MAX)
                strcpy(end, "...");
            CHECK_STRING(due, escaped((struct slice){text, length}, into), "%zu times %02x", length,
                         (unsigned)byte);
            free(into);
        }
}

/* All sentences, word for word: peers and readers of the log rely on them. */
static void each_end_has_its_status_or_close_code_and_its_sentence(void)
{
    static const struct {
        enum outcome end;
        const char *identity;
        int code;
        const char *sentence;
    } rows[] = {
        {SILENCE, "SILENCE", 0, "nothing was sent"},
        {STOPPED_IN_HEAD, "STOPPED_IN_HEAD", 0, "stopped by a signal"},
        {RESET, "RESET", 0, "reset by the peer"},
        {NETWORK_LOST, "NETWORK_LOST", 0, "the network lost the connection"},
        {NOT_READ, "NOT_READ", 0, "the peer does not read"},
        {END_OF_INPUT, "END_OF_INPUT", 0, "the peer ended the connection without a Close frame"},
        {READ_FAILED, "READ_FAILED", 0, "cannot read"},
        {WRITE_FAILED, "WRITE_FAILED", 0, "cannot write"},
        {CLOCK_FAILED, "CLOCK_FAILED", 0, "cannot set the timer"},
        {LINGER_FAILED, "LINGER_FAILED", 0, "cannot discard unread output"},
        {PAGE_SERVED, "PAGE_SERVED", 200, "page served"},
        {PATH_TOLD, "PATH_TOLD", 200, "Connect a WebSocket to %s."},
        {METHODS_TOLD, "METHODS_TOLD", 204, "allowed methods listed"},
        {HEAD_TIMEOUT, "HEAD_TIMEOUT", 408,
         "The request head did not arrive in time; send it at once and whole."},
        {LINE_TOO_LONG, "LINE_TOO_LONG", 414, "The request line is longer than 16384 bytes; shorten it."},
        {HEAD_TOO_LARGE, "HEAD_TOO_LARGE", 431,
         "The request head is larger than 32768 bytes; send fewer or shorter fields."},
        {TOO_MANY_FIELDS, "TOO_MANY_FIELDS", 431, "The request head has more than 100 fields; send fewer."},
        {VERSION_UNSUPPORTED, "VERSION_UNSUPPORTED", 505,
         "This HTTP version is not spoken here; use HTTP/1.1."},
        {CUT_OFF, "CUT_OFF", 400, "The request ended before the empty line that completes its head."},
        {TLS_HELLO, "TLS_HELLO", 400,
         "This is TLS, but plain HTTP is spoken here; use ws: or a TLS proxy in front."},
        {PROXY_UNEXPECTED, "PROXY_UNEXPECTED", 400,
         "A PROXY protocol header came, but none is expected; see --proxy-protocol."},
        {PROXY_MALFORMED, "PROXY_MALFORMED", 400,
         "A well-formed PROXY protocol header must come before the request."},
        {BARE_LF, "BARE_LF", 400, "A line of the request head ends with LF alone; end it with CRLF."},
        {BARE_CR, "BARE_CR", 400, "A CR in the request head is not followed by LF; end lines with CRLF."},
        {CONTROL_BYTE, "CONTROL_BYTE", 400, "The request head contains a control byte; remove it."},
        {LINE_MALFORMED, "LINE_MALFORMED", 400,
         "The request line is not a method, a target and HTTP/1.1 with single spaces; a space in the target "
         "is %20."},
        {TARGET_MALFORMED, "TARGET_MALFORMED", 400,
         "The request target must begin with /, or be an http or ws URI with a host, an optional port and no "
         "user name."},
        {TARGET_FRAGMENT, "TARGET_FRAGMENT", 400,
         "The request target contains #; leave the fragment out, or write # as %23."},
        {TARGET_NOT_ASCII, "TARGET_NOT_ASCII", 400,
         "The request target contains a byte above 0x7F; percent-encode the UTF-8, as in %C3%A4."},
        {TARGET_TAB, "TARGET_TAB", 400, "The request target contains a tab; write it as %09."},
        {FIELD_FOLDED, "FIELD_FOLDED", 400, "A field is folded over several lines; send it on one."},
        {FIELD_SPACE, "FIELD_SPACE", 400, "There is white space before the colon of a field; remove it."},
        {FIELD_MALFORMED, "FIELD_MALFORMED", 400, "A field is not a name, a colon and a value."},
        {HOST_COUNT, "HOST_COUNT", 400, "The request must have exactly one Host field."},
        {HOST_MALFORMED, "HOST_MALFORMED", 400,
         "The Host field must be an ASCII host name (xn-- for other letters) or an address, with an optional "
         "port."},
        {HOST_UNBRACKETED, "HOST_UNBRACKETED", 400,
         "The host is an IPv6 address without brackets; write it as in [::1] or [::1]:8888."},
        {HOST_ZONE, "HOST_ZONE", 400,
         "The host is an IPv6 address with a zone; leave out % and the zone, as in [fe80::1]."},
        {CONTENT, "CONTENT", 400,
         "Content-Length must be one number of at most 18 digits, and 0 in GET, HEAD and OPTIONS."},
        {TRANSFER_ENCODING, "TRANSFER_ENCODING", 400,
         "Transfer-Encoding must be chunked alone, in HTTP/1.1, without Content-Length, and not in GET, HEAD "
         "or OPTIONS."},
        {PATH_UNKNOWN, "PATH_UNKNOWN", 404, "Nothing is served at this path."},
        {SOCKET_ELSEWHERE, "SOCKET_ELSEWHERE", 404,
         "There is no WebSocket at this path; connect to %s instead."},
        {METHOD_UNKNOWN, "METHOD_UNKNOWN", 501, "This method is not known here; use GET."},
        {METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", 405, "This method is not allowed here; use GET."},
        {UPGRADE_REQUIRED, "UPGRADE_REQUIRED", 426,
         "This is a WebSocket; send Upgrade: websocket over HTTP/1.1%s."},
        {CONNECTION_NOT_UPGRADE, "CONNECTION_NOT_UPGRADE", 400,
         "The Connection field does not list upgrade; send Connection: Upgrade."},
        {KEY_ABSENT, "KEY_ABSENT", 400, "Sec-WebSocket-Key is missing; send 16 random bytes in Base64."},
        {KEY_TWICE, "KEY_TWICE", 400, "Sec-WebSocket-Key is there twice; send it once."},
        {KEY_MALFORMED, "KEY_MALFORMED", 400,
         "Sec-WebSocket-Key must be 22 characters of Base64 (A-Z, a-z, 0-9, + and /) and then ==."},
        {VERSION_TWICE, "VERSION_TWICE", 400, "Sec-WebSocket-Version is there twice; send it once."},
        {ORIGIN_TWICE, "ORIGIN_TWICE", 400, "Origin is there twice; send it once."},
        {SUBPROTOCOL_MALFORMED, "SUBPROTOCOL_MALFORMED", 400,
         "Sec-WebSocket-Protocol must be a list of tokens, separated by commas."},
        {SUBPROTOCOL_TWICE, "SUBPROTOCOL_TWICE", 400,
         "Sec-WebSocket-Protocol lists a subprotocol twice; list each once."},
        {TOO_MANY_SUBPROTOCOLS, "TOO_MANY_SUBPROTOCOLS", 400,
         "Sec-WebSocket-Protocol lists over 64 names; list fewer."},
        {VERSION_NOT_13, "VERSION_NOT_13", 426, "Sec-WebSocket-Version must be 13."},
        {EXTENSION_MALFORMED, "EXTENSION_MALFORMED", 400,
         "Sec-WebSocket-Extensions must be a list of names with parameters; see RFC 6455 section 9.1."},
        {ORIGIN_FORBIDDEN, "ORIGIN_FORBIDDEN", 403, "Pages of this origin may not connect here."},
        {LAB_WORD_UNKNOWN, "LAB_WORD_UNKNOWN", 400,
         "A word in the query is unknown, empty or repeated; the lab knows %s."},
        {LAB_VALUE_WRONG, "LAB_VALUE_WRONG", 400,
         "A word in the query has a wrong value, none, or one where none belongs; the lab knows %s."},
        {LAB_STATUS_NOT_ALONE, "LAB_STATUS_NOT_ALONE", 400,
         "In the query, status goes with no other word but delay; the lab knows %s."},
        {LAB_TRIGGERS_NOTHING, "LAB_TRIGGERS_NOTHING", 400,
         "In the query, after and count need raw, stall or close; the lab knows %s."},
        {LAB_REASON_WITHOUT_CODE, "LAB_REASON_WITHOUT_CODE", 400,
         "In the query, reason needs close=CODE; the lab knows %s."},
        {LAB_RESET_WITHOUT_TCP, "LAB_RESET_WITHOUT_TCP", 400,
         "In the query, close=reset needs a TCP connection, which this is not; the lab knows %s."},
        {LAB_HEADERS_FORBIDDEN, "LAB_HEADERS_FORBIDDEN", 403,
         "The lab shows headers to a page only if --origin names its origin."},
        {LAB, "LAB", 0, "ended as the query asked the lab to"},
        {CLOSED_BY_PEER, "CLOSED_BY_PEER", 1005, "closed by the peer"},
        {STOPPED, "STOPPED", 1001, "server is stopping"},
        {IDLE, "IDLE", 1001, "nothing received in time"},
        {UNMASKED, "UNMASKED", 1002, "frame is not masked"},
        {RSV_SET, "RSV_SET", 1002, "RSV bit set where no extension defines it"},
        {OPCODE_RESERVED, "OPCODE_RESERVED", 1002, "reserved opcode"},
        {LENGTH_NOT_MINIMAL, "LENGTH_NOT_MINIMAL", 1002, "payload length is not minimal"},
        {LENGTH_TOP_BIT, "LENGTH_TOP_BIT", 1002, "top bit of the payload length is set"},
        {CONTROL_FRAGMENTED, "CONTROL_FRAGMENTED", 1002, "control frame is fragmented"},
        {CONTROL_TOO_LONG, "CONTROL_TOO_LONG", 1002, "control frame is over 125 bytes"},
        {NO_MESSAGE, "NO_MESSAGE", 1002, "continuation without a message"},
        {MESSAGE_UNFINISHED, "MESSAGE_UNFINISHED", 1002, "new message inside a fragmented one"},
        {CLOSE_TRUNCATED, "CLOSE_TRUNCATED", 1002, "Close body of one byte"},
        {CLOSE_CODE_INVALID, "CLOSE_CODE_INVALID", 1002, "Close code not allowed on the wire"},
        {CLOSE_NOT_UTF8, "CLOSE_NOT_UTF8", 1007, "Close reason is not UTF-8"},
        {TEXT_NOT_UTF8, "TEXT_NOT_UTF8", 1007, "text is not UTF-8"},
        {INFLATE_FAILED, "INFLATE_FAILED", 1007, "compressed message is not DEFLATE"},
        {INFLATE_UNFINISHED, "INFLATE_UNFINISHED", 1007, "compressed message ends inside a block"},
        {MESSAGE_TOO_BIG, "MESSAGE_TOO_BIG", 1009, "message is larger than the limit"},
        {NO_MEMORY, "NO_MEMORY", 1011, "no memory for the message"},
    };
    CHECK_NUMBER(OUTCOME_COUNT - 2, COUNT_OF(rows), "outcomes, but for NEED_MORE and DONE");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_STRING(rows[i].identity, outcomes[rows[i].end].identity, "identity");
        CHECK_NUMBER(rows[i].code, outcomes[rows[i].end].code, "%s", rows[i].identity);
        CHECK_STRING(rows[i].sentence, outcomes[rows[i].end].sentence, "%s", rows[i].identity);
    }
}

static void the_time_is_that_of_the_monotonic_clock_in_microseconds(void)
{
    for (int i = 0; i < 1000; i++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        int64_t time = clock_now();
        clock_gettime(CLOCK_MONOTONIC, &after);
        CHECK((int64_t)before.tv_sec * 1000000 + before.tv_nsec / 1000 <= time &&
                  time <= (int64_t)after.tv_sec * 1000000 + after.tv_nsec / 1000,
              "%lld microseconds", (long long)time);
    }
}

/* Checks the timer.  It is running, so the remaining time may be shorter than what was set. */
static void check_timer(int64_t most, int64_t least, int64_t interval, const char *what)
{
    struct itimerval timer;
    getitimer(ITIMER_REAL, &timer);
    int64_t left = (int64_t)timer.it_value.tv_sec * 1000000 + timer.it_value.tv_usec;
    CHECK(least <= left && left <= most, "%s: %lld microseconds are left", what, (long long)left);
    CHECK_NUMBER(interval, timer.it_interval.tv_sec * 1000000 + timer.it_interval.tv_usec, "%s", what);
}

static void the_timer_expires_after_its_delay_and_then_every_fiftieth_of_a_second(void)
{
    CHECK_NUMBER(0, set_timer(3600999999), "an hour");
    check_timer(3600999999, 3600000000, 20000, "an hour and almost a second");
    CHECK_NUMBER(0, set_timer(0), "off");
    check_timer(0, 0, 0, "off");
}

static void a_signal_that_stops_it_arms_the_timer_unless_that_bounds_the_log(void)
{
    signal(SIGALRM, note_expiry);
    for (timer_bounds_log = 0; timer_bounds_log < 2; timer_bounds_log++) {
        stopping = expired = 0;
        set_timer(3600000000);
        errno = EDOM;
        request_stop(SIGTERM);
        CHECK_NUMBER(EDOM, errno, "what is interrupted does not notice");
        CHECK_NUMBER(1, stopping, "the flag");
        if (timer_bounds_log)
            check_timer(3600000000, 3500000000, 20000, "the log's bound stays");
        else
            check_timer(20000, 0, 20000, "at once, and then every fiftieth of a second");
        set_timer(1);
        while (!expired)
            pause();
        CHECK_NUMBER(1, expired, "the other flag");
        set_timer(0);
    }
    timer_bounds_log = stopping = expired = 0;
    signal(SIGALRM, SIG_DFL);
}

static void the_timer_is_set_for_an_earlier_deadline_only_or_when_it_has_run_out(void)
{
    static struct stream stream;
    const int64_t hour = 3600 * SECOND, begin = clock_now();
    signal(SIGALRM, note_expiry);
    armed_for = NEVER;
    expired = 0;
    CHECK(clock_arm(begin + 2 * hour), "the first deadline");
    check_timer(2 * hour, 2 * hour - 60 * SECOND, 20000, "two hours");
    CHECK(clock_arm(begin + 3 * hour) && armed_for == begin + 2 * hour, "a later deadline");
    CHECK(clock_arm(begin + hour) && armed_for == begin + hour, "an earlier one");
    check_timer(hour, hour - 60 * SECOND, 20000, "an hour");
    set_timer(2 * hour);
    CHECK(clock_arm(begin + hour), "the same one");
    check_timer(2 * hour, 2 * hour - 60 * SECOND, 20000, "it is not set anew");
    expired = 1;
    CHECK(clock_arm(begin + 3 * hour) && armed_for == begin + 3 * hour && !expired, "when it has expired");
    check_timer(3 * hour, 3 * hour - 60 * SECOND, 20000, "three hours");
    expired = 1;
    CHECK(clock_arm(NEVER) && armed_for == NEVER && !expired, "no deadline");
    check_timer(0, 0, 0, "off");
    for (int64_t ago = 0; ago < 2; ago++) {
        expired = 0;
        CHECK(clock_arm(clock_now() - ago), "a deadline that has passed");
        check_timer(20000, 0, 20000, "at once");
        armed_for = NEVER;
    }
    set_timer(0);
    expired = 0;
    signal(SIGALRM, SIG_DFL);
    CHECK(arm_or_lose(&stream, NEVER) && !stream.lost, "nothing was lost");
}

static void an_end_for_each_error_of_a_read_or_write(void)
{
    static const int network[] = {ETIMEDOUT,   EACCES, ECONNREFUSED, EHOSTDOWN,  EHOSTUNREACH, ENETDOWN,
                                  ENETUNREACH, ENONET, ENOPROTOOPT,  EOPNOTSUPP, EPROTO};
    for (int error = 0; error < 200; error++) {
        enum outcome due = error == ECONNRESET || error == EPIPE ? RESET : WRITE_FAILED;
        for (size_t i = 0; i < COUNT_OF(network); i++)
            due = error == network[i] ? NETWORK_LOST : due;
        CHECK_NUMBER(due, outcome_of_error(error, WRITE_FAILED), "%s", strerror(error));
    }
}

static void five_ends_are_local_faults(void)
{
    for (enum outcome end = 0; end < OUTCOME_COUNT; end++)
        CHECK_NUMBER(end == NO_MEMORY || end == READ_FAILED || end == WRITE_FAILED || end == CLOCK_FAILED ||
                         end == LINGER_FAILED,
                     outcomes[end].local_fault, "%s", outcomes[end].identity);
}

static void what_has_been_written_and_empty_parts_are_removed_from_the_front(void)
{
    static const struct {
        size_t lengths[3], written;
        int left;
        size_t first, offset;
    } rows[] = {
        {{3, 4, 5}, 0, 3, 0, 0}, {{3, 4, 5}, 2, 3, 0, 2},  {{3, 4, 5}, 3, 2, 1, 0},  {{3, 4, 5}, 4, 2, 1, 1},
        {{3, 4, 5}, 7, 1, 2, 0}, {{3, 4, 5}, 11, 1, 2, 4}, {{3, 4, 5}, 12, 0, 0, 0}, {{0, 4, 5}, 0, 2, 1, 0},
        {{3, 0, 5}, 3, 1, 2, 0}, {{3, 0, 0}, 3, 0, 0, 0},  {{0, 0, 0}, 0, 0, 0, 0},
    };
    static uint8_t bytes[16];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct iovec parts[3], *rest = parts;
        int count = 3;
        for (size_t part = 0; part < 3; part++)
            parts[part] = (struct iovec){bytes + 5 * part, rows[i].lengths[part]};
        CHECK_NUMBER(rows[i].left > 0, skip_written(&rest, &count, rows[i].written), "row %zu", i);
        CHECK_NUMBER(rows[i].left, count, "row %zu", i);
        if (count == 0)
            continue;
        CHECK(rest == parts + rows[i].first, "row %zu", i);
        CHECK(rest->iov_base == bytes + 5 * rows[i].first + rows[i].offset, "row %zu", i);
        CHECK_NUMBER(rows[i].lengths[rows[i].first] - rows[i].offset, rest->iov_len, "row %zu", i);
    }
}

static void what_does_not_fit_is_left_out_of_a_record_as_a_whole(void)
{
    struct record *record = malloc(sizeof *record); /* so that a sanitizer reports a write beyond it */
    static char filler[sizeof record->text], line[sizeof record->line - 4];
    memset(filler, 'x', sizeof filler);
    memset(line, 'x', sizeof line - 1);
    filler[sizeof record->text - 8] = '\0';
    for (size_t over = 0; over < 2; over++) {
        record_begin(record);
        CHECK(record->line_length == 0 && record->used == 0 && record->field_count == 0, "an empty record");
        ADD_TO_LINE(record, line);
        ADD_TO_LINE(record, over ? "abcde" : "abcd");
        CHECK_NUMBER(sizeof record->line - (over ? 5 : 1), record->line_length, "a NUL has to fit as well");
        CHECK_STRING(over ? "xxxx" : "abcd", record->line + record->line_length - 4, "the end of the line");
        ADD_TO_LINE(record, "");
        CHECK_NUMBER(strlen(record->line), record->line_length, "the line");

        add_field(record, "A", filler);
        add_field(record, "ab", over ? "cd" : "c");
        CHECK_NUMBER(over ? 1 : 2, record->field_count, "fields");
        CHECK_NUMBER(sizeof record->text - 6, record->fields[0].iov_len, "0");
        CHECK_STRING(filler, (char *)record->fields[0].iov_base + 2, "0");
        if (!over)
            CHECK_BYTES("ab=c", 4, record->fields[1].iov_base, record->fields[1].iov_len, "1");
        CHECK_NUMBER(sizeof record->text - (over ? 5 : 0), record->used, "each field has a NUL after it");
        add_field(record, "", over ? "abcd" : "");
        CHECK_NUMBER(over ? 1 : 2, record->field_count, "nothing fits any more");
    }
    record_begin(record);
    for (size_t i = 0; i < COUNT_OF(record->fields) + 2; i++)
        add_field(record, "N", about("%zu", i));
    CHECK_NUMBER(COUNT_OF(record->fields), record->field_count, "fields");
    CHECK_STRING("N=23", record->fields[23].iov_base, "the last one");
    free(record);
}

static void a_value_or_a_number_goes_into_the_line_and_the_fields(void)
{
    static struct record record;
    record_begin(&record);
    record_text(&record, "key", "NAME", (struct slice){"a\"b", 3});
    record_text(&record, "none", "NONE", (struct slice){"", 0});
    record_number(&record, "count", "COUNT", UINT64_MAX);
    record_word(&record, "word", "WORD", "end-of-input");
    CHECK_STRING(" key=\"a\\\"b\" count=18446744073709551615 word=end-of-input", record.line, "the line");
    CHECK_NUMBER(3, record.field_count, "fields");
    CHECK_BYTES("NAME=a\\\"b", 9, record.fields[0].iov_base, record.fields[0].iov_len, "the value");
    CHECK_BYTES("COUNT=18446744073709551615", 26, record.fields[1].iov_base, record.fields[1].iov_len,
                "the number");
    CHECK_BYTES("WORD=end-of-input", 17, record.fields[2].iov_base, record.fields[2].iov_len, "the word");
}

static void a_record_begins_with_the_peer_and_its_port_if_it_has_one(void)
{
    static const struct {
        struct address peer;
        const char *line;
    } rows[] = {
        {{"192.0.2.1", "7"}, "peer=192.0.2.1:7"},
        {{"192.0.2.1", ""}, "peer=192.0.2.1"},
        {{"2001:db8::1", "65535"}, "peer=[2001:db8::1]:65535"},
        {{"::1", ""}, "peer=[::1]"},
        {{"/run/a", ""}, "peer=/run/a"},
        {{"-", ""}, "peer=-"},
    };
    static struct record record;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct address *peer = &rows[i].peer;
        record_begin(&record);
        record_peer(&record, peer);
        CHECK_STRING(rows[i].line, record.line, "row %zu", i);
        CHECK_NUMBER(*peer->port ? 2 : 1, record.field_count, "%s", rows[i].line);
        CHECK(strncmp(record.fields[0].iov_base, "REMOTE_ADDR=", 12) == 0, "%s", rows[i].line);
        CHECK_STRING(peer->host, (char *)record.fields[0].iov_base + 12, "%s", rows[i].line);
        if (*peer->port)
            CHECK_STRING(peer->port, (char *)record.fields[1].iov_base + strlen("REMOTE_PORT="), "%s",
                         rows[i].line);
    }
}

static void a_duration_is_recorded_in_seconds_and_for_the_journal_in_microseconds(void)
{
    static const struct {
        int64_t duration;
        const char *line, *field;
    } rows[] = {
        {0, " seconds=0.000000", "WS_DURATION_USEC=0"},
        {1, " seconds=0.000001", "WS_DURATION_USEC=1"},
        {1234567, " seconds=1.234567", "WS_DURATION_USEC=1234567"},
        {INT64_MAX, " seconds=9223372036854.775807", "WS_DURATION_USEC=9223372036854775807"},
    };
    static struct record record;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        record_begin(&record);
        record_duration(&record, rows[i].duration);
        CHECK_STRING(rows[i].line, record.line, "row %zu", i);
        CHECK_NUMBER(strlen(rows[i].line), record.line_length, "row %zu", i);
        CHECK_NUMBER(1, record.field_count, "row %zu", i);
        CHECK_BYTES(rows[i].field, strlen(rows[i].field), record.fields[0].iov_base, record.fields[0].iov_len,
                    "row %zu", i);
    }
}

static void a_write_is_interrupted_after_a_quarter_of_the_timeout_or_when_the_time_to_stop_is_over(void)
{
    static struct stream stream;
    signal(SIGALRM, note_expiry);
    for (int64_t timeout = 0; timeout <= 4000; timeout += 1000)
        for (stopping = 0; stopping < 2; stopping++) {
            stream = (struct stream){
                .cached_now = clock_now(), .stop_deadline = NEVER, .timeout = timeout * SECOND};
            armed_for = NEVER;
            expired = 1;
            int64_t begin = clock_now();
            CHECK(arm_for_write(&stream), "timeout %d", (int)timeout);
            if (stopping) {
                CHECK(begin + 2 * SECOND <= armed_for && armed_for <= clock_now() + 2 * SECOND,
                      "two seconds");
                CHECK_NUMBER(armed_for, stream.stop_deadline, "when it is over");
                CHECK(arm_for_write(&stream) && stream.stop_deadline == armed_for, "no later one");
            } else {
                CHECK_NUMBER(timeout ? stream.cached_now + timeout * SECOND / 4 : NEVER, armed_for,
                             "timeout %d", (int)timeout);
                CHECK_NUMBER(NEVER, stream.stop_deadline, "nothing stops it");
            }
            stream.lost = true;
            CHECK(!arm_for_write(&stream), "a connection that is lost");
        }
    stopping = expired = 0;
    set_timer(0);
    armed_for = NEVER;
    signal(SIGALRM, SIG_DFL);
}

static void a_peer_that_takes_nothing_has_the_timeout_from_when_it_last_took_something(void)
{
    static const struct {
        const char *what;
        int64_t timeout, checked, progress, stop; /* seconds ago; stop: seconds from now */
        size_t written;
        bool waits;
        int64_t progress_after;
    } rows[] = {
        {"it takes something", 60, 15, 200, 1000, 1, true, 0},
        {"the first look", 60, 15, -1, 1000, 0, true, 0},
        {"it took something a while ago", 60, 15, 59, 1000, 0, true, 59},
        {"it has had its time", 60, 15, 60, 1000, 0, false, 60},
        {"this process was stopped for a while", 60, 32, 90, 1000, 0, true, 0},
        {"the look comes late, but not by so much", 59, 30, 90, 1000, 0, false, 90},
        {"without a timeout", 0, 0, 100000, 1000, 0, true, 100000},
        {"it stops", 60, 15, 15, 0, 1, false, 0},
        {"it stops soon", 60, 15, 15, 1, 1, true, 0},
    };
    static struct stream stream;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t begin = clock_now(),
                last_progress = rows[i].progress < 0 ? NEVER : begin - rows[i].progress * SECOND;
        stream.timeout = rows[i].timeout * SECOND;
        stream.cached_now = begin - rows[i].checked * SECOND;
        stream.stop_deadline = begin + rows[i].stop * SECOND;
        CHECK_NUMBER(rows[i].waits, may_continue(&stream, rows[i].written, &last_progress), "%s",
                     rows[i].what);
        CHECK(begin <= stream.cached_now && stream.cached_now <= clock_now(), "%s: the time", rows[i].what);
        CHECK(rows[i].progress_after ? last_progress == begin - rows[i].progress_after * SECOND
                                     : last_progress == stream.cached_now,
              "%s: when it took something", rows[i].what);
    }
}

static void what_does_not_fit_into_the_output_leaves_first(void)
{
    static struct stream stream = {.lost = true, .lost_how = RESET}; /* so nothing is written */
    for (size_t length = 0; length < 3; length++) {
        stream.output_used = OUTPUT_SIZE - 1;
        CHECK(stream_reserve(&stream, length) == stream.output + (length < 2 ? OUTPUT_SIZE - 1 : 0),
              "%zu bytes", length);
    }
}

static void what_is_left_of_the_input_moves_to_its_front(void)
{
    static struct stream stream;
    static uint8_t expected[INPUT_SIZE];
    static const size_t places[] = {0, 1, 2, 1000, INPUT_SIZE / 2, INPUT_SIZE - 1, INPUT_SIZE};
    for (size_t i = 0; i < COUNT_OF(places); i++)
        for (size_t j = i; j < COUNT_OF(places); j++) {
            size_t start = places[i], end = places[j];
            fill(stream.input, INPUT_SIZE, utf8_patterns[5]);
            memcpy(expected, stream.input + start, end - start);
            stream.input_start = start;
            stream.input_end = end;
            stream_move_to_front(&stream);
            CHECK_NUMBER(0, stream.input_start, "from %zu to %zu", start, end);
            CHECK_BYTES(expected, end - start, stream.input, stream.input_end, "from %zu to %zu", start, end);
        }
}

static void an_answer_is_never_written_beyond_the_output(void)
{
    static struct connection c = {.options = &defaults, .stream = {.lost = true, .lost_how = RESET}};
    static uint8_t payload[CONTROL_PAYLOAD_MAX];
    for (size_t left = 0; left <= 2 * REPLY_ROOM; left++) {
        c.stream.output_used = OUTPUT_SIZE - left;
        put_control(&c, PONG, payload, sizeof payload);
        CHECK(c.stream.output_used <= OUTPUT_SIZE, "a Pong, %zu bytes left", left);
        c.stream.output_used = OUTPUT_SIZE - left;
        CHECK_NUMBER(DONE, echo_frame(&c, &(struct frame){.opcode = TEXT, .length = sizeof payload}, payload),
                     "an echo, %zu bytes left", left);
        CHECK(c.stream.output_used <= OUTPUT_SIZE, "an echo, %zu bytes left", left);
    }
}

static void a_name_is_kept_up_to_its_size_and_shown_without_what_could_spoil_a_line(void)
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

static void an_end_has_the_name_of_its_identity_in_lower_case_with_hyphens(void)
{
    char name[OUTCOME_NAME_SIZE];
    name_outcome(END_OF_INPUT, name);
    CHECK_STRING("end-of-input", name, "END_OF_INPUT");
    name_outcome(VERSION_NOT_13, name);
    CHECK_STRING("version-not-13", name, "VERSION_NOT_13");
}

static void what_a_sentence_leaves_open_is_filled_in(void)
{
    static const struct options any = {.paths = {.any = true}},
                                no_page = {.paths = {.any = true}, .no_page = true},
                                two = {.paths = {.count = 2, .names = {"/a", "/%s"}}},
                                other = {.paths = {.count = 2, .names = {"/%s%n%", "/b"}}};
    static const struct {
        enum outcome outcome;
        const struct options *options;
        const char *sentence, *what;
    } rows[] = {
        {SOCKET_ELSEWHERE, &two, "There is no WebSocket at this path; connect to /a instead.", "two paths"},
        {PATH_TOLD, &any, "Connect a WebSocket to /.", "any path"},
        {SOCKET_ELSEWHERE, &other, "There is no WebSocket at this path; connect to /%s%n% instead.",
         "a percent sign in a path"},
        {UPGRADE_REQUIRED, &two,
         "This is a WebSocket; send Upgrade: websocket over HTTP/1.1, or open the test page at / in a "
         "browser.",
         "with the page"},
        {UPGRADE_REQUIRED, &no_page, "This is a WebSocket; send Upgrade: websocket over HTTP/1.1.",
         "without the page"},
        {TARGET_FRAGMENT, &two, "The request target contains #; leave the fragment out, or write # as %23.",
         "a percent sign in a sentence"},
        {IDLE, &two, "nothing received in time", "nothing is left open"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char sentence[SENTENCE_SIZE];
        describe_outcome(rows[i].outcome, rows[i].options, sentence);
        CHECK_STRING(rows[i].sentence, sentence, "%s", rows[i].what);
    }
    CHECK_STRING(outcomes[TARGET_FRAGMENT].sentence, rows[5].sentence, "as in the table");
}

static void the_path_that_is_named_is_the_first_one_or_what_stands_for_any(void)
{
    static const struct options any = {.paths = {.any = true}},
                                two = {.paths = {.count = 2, .names = {"/a", "/b"}}};
    CHECK_STRING("/", first_path(&any, "/"), "any path");
    CHECK_STRING("/socket", first_path(&any, "/socket"), "any path");
    CHECK_STRING("/a", first_path(&two, "/"), "two paths");
    CHECK_STRING(", or open the test page at / in a browser", page_hint(&two), "with the page");
    CHECK_STRING("", page_hint(&(struct options){.no_page = true}), "without the page");
}

static int64_t jumped; /* microseconds by which clock_gettime below is ahead */

/* Replaces the C library's. */
int clock_gettime(clockid_t which, struct timespec *time)
{
    int result = (int)syscall(SYS_clock_gettime, which, time);
    time->tv_sec += (time_t)(jumped / SECOND);
    return result;
}

static void a_log_that_took_too_long_is_noticed(void)
{
    signal(SIGALRM, note_expiry);
    for (int64_t took = LOG_TIME - SECOND; took <= LOG_TIME; took += SECOND) {
        armed_for = 5;
        int64_t began = limit_log_time();
        CHECK_NUMBER(1, timer_bounds_log, "the timer is the log's");
        check_timer(2000000, 1000000, 20000, "the limit");
        CHECK_NUMBER(took == LOG_TIME, end_log_limit(began - took), "%lld microseconds", (long long)took);
        CHECK(!timer_bounds_log && armed_for == NEVER, "the timer is free");
        check_timer(0, 0, 0, "off");
    }
    signal(SIGALRM, SIG_DFL);
}

static int64_t log_takes; /* microseconds that a call of the log takes */
static unsigned notified;

/* Replaces sd_journal_sendv. */
static int slow_journal(const struct iovec *fields, int count)
{
    (void)fields;
    jumped += log_takes;
    return count > 0 ? 0 : -1;
}

/* Replaces sd_notify. */
static int slow_manager(int unset, const char *status)
{
    CHECK(unset == 0 && strcmp(status, "STATUS=a") == 0, "%s", status);
    notified++;
    jumped += log_takes;
    return 1;
}

static void a_log_that_took_too_long_is_blocked_for_good(void)
{
    static struct record record;
    signal(SIGALRM, note_expiry);
    for (log_takes = LOG_TIME - SECOND; log_takes <= LOG_TIME; log_takes += SECOND)
        for (int blocked = 0; blocked < 2; blocked++) {
            struct log log = {.channel = JOURNAL,
                              .under_systemd = true,
                              .blocked = blocked,
                              .journal_sendv = slow_journal,
                              .notify = slow_manager};
            record_begin(&record);
            log_record(&log, &record, LOG_NOTICE);
            CHECK_NUMBER(blocked || log_takes == LOG_TIME, log.blocked, "a record in %lld microseconds",
                         (long long)log_takes);
            CHECK_NUMBER(!log.blocked, has_manager(&log), "whom a blocked log tells nothing");
            log.blocked = blocked;
            notified = 0;
            log_status(&log, "STATUS=a");
            CHECK_NUMBER(!blocked, notified, "a blocked log is told nothing");
            CHECK_NUMBER(blocked || log_takes == LOG_TIME, log.blocked, "a status in %lld microseconds",
                         (long long)log_takes);
            CHECK(!timer_bounds_log && armed_for == NEVER, "the timer is free");
        }
    jumped = 0;
    signal(SIGALRM, SIG_DFL);
}

static void a_manager_is_told_in_the_journal_of_what_it_has_started_only(void)
{
    for (int row = 0; row < 8; row++)
        for (enum channel channel = AUTO; channel <= SYSLOG; channel++) {
            struct log log = {.channel = channel,
                              .under_systemd = row & 1,
                              .blocked = row & 2,
                              .verbose = row & 4,
                              .notify = slow_manager};
            bool due = channel == JOURNAL && row & 1 && !(row & 2);
            log_takes = notified = 0;
            CHECK_NUMBER(due, has_manager(&log), "channel %d, row %d", channel, row);
            log_status(&log, "STATUS=a");
            CHECK_NUMBER(due, notified, "channel %d, row %d", channel, row);
        }
}

static void an_address_from_the_environment_is_in_brackets_or_not_and_has_a_port_or_not(void)
{
    static const struct {
        const char *host, *port, *due_host, *due_port;
    } rows[] = {
        {"192.0.2.1", "5", "192.0.2.1", "5"},
        {"[2001:DB8::1]", "65535", "2001:db8::1", "65535"},
        {"[2001:db8::1]:7", "5", "2001:db8::1", "5"},
        {"::ffff:192.0.2.1", "0", "192.0.2.1", "0"},
        {"client.example", "5", "client.example", "5"},
        {"192.0.2.1", "65536", "192.0.2.1", ""},
        {"192.0.2.1", NULL, "192.0.2.1", ""},
        {"a]b", "5", "a", "5"},
        {"", "5", "-", ""},
    };
    static const char *const others[] = {"REMOTE_ADDR", "TCPREMOTEIP", "SOCAT_PEERADDR", "REMOTE_HOST"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        unsetenv(others[i]);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address peer;
        setenv("TCPREMOTEIP", rows[i].host, 1);
        rows[i].port ? setenv("TCPREMOTEPORT", rows[i].port, 1) : unsetenv("TCPREMOTEPORT");
        find_peer(&peer);
        CHECK_STRING(rows[i].due_host, peer.host, "%s", rows[i].host);
        CHECK_STRING(rows[i].due_port, peer.port, "%s", rows[i].host);
    }
}

static void two_descriptors_are_one_stream_if_device_and_number_say_so(void)
{
    const int proc = open("/proc", O_RDONLY), terminals = open("/dev/pts", O_RDONLY), copy = dup(proc);
    struct stat one = {0}, other = {0};
    fstat(proc, &one);
    fstat(terminals, &other);
    CHECK(is_same_stream(proc, copy), "a copy");
    CHECK(one.st_ino != other.st_ino || !is_same_stream(proc, terminals), "two with one number");
    close(copy);
    CHECK(!is_same_stream(proc, copy), "the other one is closed");
    CHECK(is_same_stream(copy, proc), "nobody knows");
    close(proc);
    close(terminals);
}

/* What getpeername returns here; the function below replaces the C library's. */
static union {
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_vm vm;
} kernels_peer;
static socklen_t kernels_length; /* 0: getpeername fails */

int getpeername(int descriptor, __SOCKADDR_ARG address, socklen_t *restrict length)
{
    (void)descriptor;
    *length = kernels_length;
    memcpy(*(struct sockaddr **)&address, &kernels_peer, kernels_length);
    return kernels_length > 0 ? 0 : -1;
}

static void check_kernels_peer(socklen_t length, const char *host, const char *port)
{
    struct address peer;
    kernels_length = length;
    find_peer(&peer);
    CHECK_STRING(host, peer.host, "family %d, %u bytes", kernels_peer.un.sun_family, length);
    CHECK_STRING(port, peer.port, "%s", host);
    kernels_length = 0;
}

static void without_an_environment_the_peer_is_what_the_kernel_says(void)
{
    const socklen_t nameless = offsetof(struct sockaddr_un, sun_path);
    char longest[sizeof kernels_peer.un.sun_path + 1] = "";
    unsetenv("TCPREMOTEIP");
    check_kernels_peer(0, "-", "");
    kernels_peer.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(258)};
    inet_pton(AF_INET, "192.0.2.1", &kernels_peer.in.sin_addr);
    check_kernels_peer(sizeof kernels_peer.in, "192.0.2.1", "258");
    kernels_peer.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(65535)};
    inet_pton(AF_INET6, "2001:db8::1", &kernels_peer.in6.sin6_addr);
    check_kernels_peer(sizeof kernels_peer.in6, "2001:db8::1", "65535");
    inet_pton(AF_INET6, "::ffff:192.0.2.1", &kernels_peer.in6.sin6_addr);
    check_kernels_peer(sizeof kernels_peer.in6, "192.0.2.1", "65535");
    kernels_peer.vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = 3, .svm_port = UINT32_MAX};
    check_kernels_peer(sizeof kernels_peer.vm, "vsock-3", "4294967295");
    kernels_peer.un = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "/run/a"};
    check_kernels_peer(nameless + sizeof "/run/a", "/run/a", "");
    check_kernels_peer(nameless, "-", "");
    memset(longest, 'a', sizeof longest - 1);
    memcpy(kernels_peer.un.sun_path, longest, sizeof longest - 1);
    check_kernels_peer(sizeof kernels_peer.un, longest, "");
    kernels_peer.un.sun_path[0] = '\0'; /* an abstract name */
    check_kernels_peer(sizeof kernels_peer.un, "-", "");
}

static char journal[1024]; /* the names of the fields received, each with a space after it */

/* Replaces sd_journal_sendv. */
static int journal_takes(const struct iovec *fields, int count)
{
    char *end = journal;
    for (int i = 0; i < count; i++)
        end += sprintf(end, "%.*s ", (int)strcspn(fields[i].iov_base, "="), (char *)fields[i].iov_base);
    return 0;
}

static void check_journal(struct connection *c, const char *names)
{
    c->options = &defaults;
    c->log = (struct log){.channel = JOURNAL, .journal_sendv = journal_takes};
    log_connection(c, IDLE, LOG_NOTICE);
    CHECK(strcmp(journal, names) == 0, "%s", journal);
}

static void the_journal_gets_every_field_of_the_longest_record(void)
{
    static char bytes[LOGGED_MAX + 1];
    const struct slice longest = {memset(bytes, 0xff, sizeof bytes), sizeof bytes};
    static struct connection c;
    c.peer = (struct address){.host = "2001:db8::1", .port = "65535"};
    keep_value(&c.path, longest);
    c.subprotocol = c.origin = c.user_agent = c.forwarded = c.path;
    c.close_reason = longest;
    c.status = 101;
    c.has_close_code = true;
    c.close_code = 1000;
    memset(c.words.shown, 'a', sizeof c.words.shown);
    c.words.shown_length = sizeof c.words.shown;
    strcpy(c.extension, "permessage-deflate");
    check_journal(
        &c, "REMOTE_ADDR REMOTE_PORT WS_PATH WS_STATUS WS_CLOSE_CODE WS_CLOSE_REASON WS_END WS_END_ID "
            "WS_MESSAGES WS_BYTES_IN WS_BYTES_OUT WS_DURATION_USEC WS_ORIGIN WS_SUBPROTOCOL WS_EXTENSIONS "
            "WS_USER_AGENT WS_LAB WS_FORWARDED WS_SANDBOX SYSLOG_IDENTIFIER PRIORITY MESSAGE ");
}

static void the_journal_gets_no_field_without_a_value(void)
{
    static struct connection c;
    strcpy(c.peer.host, "-");
    c.sandboxed = true;
    check_journal(&c, "REMOTE_ADDR WS_END WS_END_ID WS_MESSAGES WS_BYTES_IN WS_BYTES_OUT WS_DURATION_USEC "
                      "SYSLOG_IDENTIFIER PRIORITY MESSAGE ");
}

static void a_value_is_kept_with_one_byte_more_than_is_logged(void)
{
    char bytes[LOGGED_MAX + 8], safe[2][ESCAPED_SIZE];
    fill((uint8_t *)bytes, sizeof bytes, utf8_patterns[4]);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        struct kept_value *value =
            calloc(1, sizeof *value); /* so that a sanitizer reports a write beyond it */
        keep_value(value, (struct slice){bytes, length});
        CHECK_BYTES(bytes, length < LOGGED_MAX + 1 ? length : LOGGED_MAX + 1, value->bytes, value->length,
                    "%zu bytes", length);
        CHECK_STRING(escaped((struct slice){bytes, length}, safe[0]), escaped(slice_of(value), safe[1]),
                     "%zu bytes, as they are logged", length);
        free(value);
    }
    struct kept_value value = {0};
    keep_value(&value, (struct slice){NULL, 0});
    CHECK_NUMBER(0, value.length, "there was no request line");
}

static void several_forwarded_fields_are_kept_as_one_list_and_win_over_the_older_ones(void)
{
    static const struct {
        const char *fields[3][2], *due;
    } rows[] = {
        {{{"X", "y"}}, ""},
        {{{"Forwarded", "for=a"}}, "for=a"},
        {{{"X-Forwarded-For", "b"}}, "b"},
        {{{"X-Forwarded-For", "b"}, {"forwarded", "for=a"}}, "for=a"},
        {{{"Forwarded", "for=a"}, {"X", "y"}, {"FORWARDED", "for=c"}}, "for=a, for=c"},
        {{{"X-Forwarded-For", "b"}, {"X-Forwarded-For", "c, d"}}, "b, c, d"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct head head;
        struct kept_value value = {0};
        for (head.field_count = 0; head.field_count < 3 && rows[i].fields[head.field_count][0];
             head.field_count++)
            head.fields[head.field_count] = (struct field){SLICE_OF(rows[i].fields[head.field_count][0]),
                                                           SLICE_OF(rows[i].fields[head.field_count][1])};
        keep_forwarded(&value, &head);
        CHECK_BYTES(rows[i].due, strlen(rows[i].due), value.bytes, value.length, "row %zu", i);
    }
    char bytes[LOGGED_MAX + 8];
    memset(bytes, 'a', sizeof bytes);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        struct head head = {.field_count = 2};
        struct kept_value *value = calloc(1, sizeof *value);
        head.fields[0] = (struct field){SLICE_OF("Forwarded"), {bytes, length}};
        head.fields[1] = (struct field){SLICE_OF("Forwarded"), SLICE_OF("b")};
        keep_forwarded(value, &head);
        size_t due = length + (length > 0 ? strlen(", b") : strlen("b"));
        CHECK_NUMBER(due < LOGGED_MAX + 1 ? due : LOGGED_MAX + 1, value->length, "%zu bytes, and b", length);
        free(value);
    }
}

static void our_close_has_to_be_answered_over_sockets_if_the_peers_has_not_come(void)
{
    static struct connection c;
    for (int row = 0; row < 8; row++) {
        c.stream.sockets = row & 1;
        c.close_sent = row & 2;
        c.close_received = row & 4;
        CHECK_NUMBER(row == 3, expects_close(&c), "row %d", row);
    }
}

static void what_is_due_for_memory_brings_no_ping_where_none_are_wanted(void)
{
    static struct options options = {.ping_interval = 0};
    static struct connection c;
    c.options = &options;
    for (options.timeout = 0; options.timeout <= 60 * SECOND; options.timeout += 60 * SECOND) {
        c.stream.cached_now = SECOND / 10;
        CHECK_NUMBER(DONE, note_silence(&c, SECOND / 10), "a tenth of a second");
        CHECK_NUMBER(0, c.stream.output_used, "bytes of Pings");
    }
}

/* Prepares a connection for compressed messages. */
static void prepare_inflating(struct connection *c)
{
    c->options = &defaults;
    c->message.limit = defaults.max_message;
    CHECK(message_map(&c->message) && begin_inflating(&c->codec, &c->message, &c->agreed), "memory");
}

static void memory_is_due_a_tenth_of_a_second_after_the_last_compressed_message(void)
{
    static struct connection c = {.message.release_at = NEVER};
    prepare_inflating(&c);
    c.message.utf8 = UTF8_WHOLE;
    c.message.opcode = BINARY;
    c.message.length = RESIDENT_MAX - REPLY_ROOM;
    CHECK_NUMBER(DONE, echo_message(&c), "a message that fits what is kept");
    CHECK_NUMBER(NEVER, c.message.release_at, "nothing is due after it");
    for (unsigned count = 1; count <= 2; count++) {
        c.stream.cached_now = 1000 * count;
        c.message.opcode = TEXT;
        c.message.compressed = true;
        c.message.utf8 = UTF8_WHOLE;
        CHECK_NUMBER(DONE, echo_message(&c), "an empty message");
        CHECK_NUMBER(c.stream.cached_now + 100000, c.message.release_at, "microseconds");
        CHECK(c.messages == 1 + count && c.message.opcode == CONTINUATION && c.message.length == 0,
              "it is done");
    }
}

static void a_text_is_inflated_no_further_than_the_block_that_has_its_first_wrong_byte(void)
{
    static struct connection c;
    static uint8_t text[1 << 20] = {0xff}, deflated[1 << 12];
    z_stream deflater = {0};
    CHECK(deflateInit2(&deflater, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) == Z_OK, "a deflater");
    deflater.next_in = text;
    deflater.avail_in = sizeof text;
    deflater.next_out = deflated;
    deflater.avail_out = sizeof deflated;
    CHECK_NUMBER(Z_STREAM_END, deflate(&deflater, Z_FINISH), "it fits");
    deflateEnd(&deflater);
    prepare_inflating(&c);
    c.message.opcode = TEXT;
    c.message.utf8 = UTF8_WHOLE;
    CHECK_NUMBER(TEXT_NOT_UTF8, inflate_bytes(&c.codec, &c.message, deflated, deflater.total_out),
                 "the text");
    CHECK_NUMBER(INFLATE_BLOCK_SIZE, c.message.length, "bytes that were inflated");
}

static void the_state_of_zlib_goes_back_where_no_later_message_needs_it(void)
{
    static struct connection c;
    for (int row = 0; row < 16; row++) {
        bool server = row & 1, client = row & 2, unfinished = row & 4, compressed = row & 8;
        bool inside = unfinished && compressed;
        prepare_inflating(&c);
        c.agreed.given[SERVER_NO_CONTEXT_TAKEOVER] = server;
        c.agreed.given[CLIENT_NO_CONTEXT_TAKEOVER] = client;
        c.message.opcode = unfinished ? TEXT : CONTINUATION;
        c.message.compressed = compressed;
        c.codec.inflater_memory.used = c.codec.deflater_memory.used = 64;
        memset(c.codec.inflater_memory.memory, 1, 64);
        memset(c.codec.deflater_memory.memory, 1, 64);
        memset(c.codec.reply, 1, deflated_size(&c.message));
        codec_release(&c.codec, &c.message, &c.agreed);
        CHECK_NUMBER(server ? 0 : 64, c.codec.deflater_memory.used, "server %d", server);
        CHECK_NUMBER(!server, c.codec.deflater_memory.memory[0], "server %d", server);
        CHECK_NUMBER(client && !inside ? 0 : 64, c.codec.inflater_memory.used, "client %d, inside %d", client,
                     inside);
        CHECK_NUMBER(!client || inside, c.codec.inflater_memory.memory[0], "client %d, inside %d", client,
                     inside);
        CHECK(!c.codec.reply[0] && !c.codec.reply[deflated_size(&c.message) - 1], "the reply");
        c.codec.inflater_memory.used = 0; /* initialise zlib again */
    }
}

static void a_ping_or_the_end_is_due_whichever_is_first(void)
{
    static const struct {
        int64_t timeout, ping_interval;
        unsigned pings;
        int64_t due;
    } rows[] = {
        {60, 20, 0, 20}, {60, 20, 1, 40}, {60, 20, 2, 60}, {60, 25, 0, 25}, {60, 25, 1, 50},
        {60, 25, 2, 60}, {60, 0, 0, 60},  {0, 20, 0, 20},  {0, 20, 1, 40},  {60, 59, 0, 59},
        {60, 59, 1, 60}, {2, 1, 1, 2},    {60, 30, 1, 60}, {1, 0, 0, 1},    {60, 45, 1, 60},
    };
    static struct options options;
    static struct connection c = {
        .options = &options, .silent_since = 1000 * SECOND, .message.release_at = NEVER};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        options.timeout = rows[i].timeout * SECOND;
        options.ping_interval = rows[i].ping_interval * SECOND;
        c.pings = rows[i].pings;
        CHECK_NUMBER((1000 + rows[i].due) * SECOND, next_deadline(&c, c.message.release_at),
                     "timeout %d, ping interval %d, %u Pings", (int)rows[i].timeout,
                     (int)rows[i].ping_interval, rows[i].pings);
    }
    options.timeout = options.ping_interval = 0;
    CHECK_NUMBER(NEVER, next_deadline(&c, c.message.release_at), "nothing is due where there is neither");
    c.message.release_at = 1001 * SECOND;
    CHECK_NUMBER(1001 * SECOND, next_deadline(&c, c.message.release_at), "memory is to be given back");
    options.timeout = SECOND / 2;
    CHECK_NUMBER(1000 * SECOND + SECOND / 2, next_deadline(&c, c.message.release_at),
                 "the end is before that");
}

/*
 * Lets the peer of a connection be silent until the connection ends, or for `rounds` deadlines, each of which
 * is noticed `late` units late.
 */
static enum outcome be_silent(struct connection *c, const struct options *options, int rounds, int64_t late)
{
    enum outcome ending = DONE;
    *c = (struct connection){.options = options, .message.release_at = NEVER};
    for (; ending == DONE && rounds > 0; rounds--) {
        int64_t deadline = next_deadline(c, c->message.release_at);
        c->stream.cached_now = deadline + late;
        ending = note_silence(c, deadline);
    }
    return ending;
}

static void silence_brings_a_ping_every_interval_and_ends_at_the_timeout(void)
{
    static struct connection c;
    struct options options;
    for (int64_t late = 0; late <= 100; late += 50) /* as late as after SIGSTOP */
        for (options.timeout = 1; options.timeout <= 40; options.timeout++)
            for (options.ping_interval = 0; options.ping_interval < options.timeout;
                 options.ping_interval++) {
                int64_t pings = options.ping_interval ? (options.timeout - 1) / options.ping_interval : 0;
                CHECK_NUMBER(IDLE, be_silent(&c, &options, 100, late), "timeout %d, ping interval %d",
                             (int)options.timeout, (int)options.ping_interval);
                CHECK_NUMBER(options.timeout, c.stream.cached_now - c.silent_since, "ping interval %d",
                             (int)options.ping_interval);
                CHECK_NUMBER(2 * pings, c.stream.output_used, "bytes of Pings, timeout %d, ping interval %d",
                             (int)options.timeout, (int)options.ping_interval);
                for (size_t i = 0; i + 1 < c.stream.output_used; i += 2)
                    CHECK_BYTES("\x89\0", 2, c.stream.output + i, 2, "Ping %zu", i / 2);
            }
}

static void without_a_timeout_pings_go_on_for_ever(void)
{
    static struct connection c;
    static const struct options options = {.timeout = 0, .ping_interval = 20 * SECOND};
    CHECK_NUMBER(DONE, be_silent(&c, &options, 1000, 0), "after 1000 deadlines");
    CHECK_NUMBER(2 * 1000, c.stream.output_used, "bytes of Pings");
    CHECK_NUMBER(1000 * 20 * SECOND, c.stream.cached_now, "time");
}

static void a_silence_begins_anew_when_the_peer_was_heard_since(void)
{
    static struct connection c = {
        .pings = 2, .counted_activity = 5, .silent_since = 7, .stream.last_activity = 5};
    note_activity(&c);
    CHECK(c.pings == 2 && c.counted_activity == 5 && c.silent_since == 7, "it was not heard");
    c.stream.last_activity = 9;
    note_activity(&c);
    CHECK(c.pings == 0 && c.counted_activity == 9 && c.silent_since == 9, "it was heard");
}

/* ---- The lab ---------------------------------------------------------------------------------------- */

static void the_hello_is_repeated_1000_times_at_most(void)
{
    static const struct options options;
    static struct connection c = {
        .options = &options, .words.repeat = SECOND, .lab = {.trigger_at = NEVER, .repeat_at = 10 * SECOND}};
    for (int second = 9; second <= 1500; second++) {
        c.stream.cached_now = second * SECOND;
        CHECK_NUMBER(DONE, lab_act(&c), "second %d", second);
        size_t times = second < 10 ? 0 : second < 1009 ? (size_t)(second - 9) : 1000;
        CHECK_NUMBER(2 * times, c.stream.output_used, "bytes, second %d", second);
        CHECK_NUMBER(times == 1000 ? NEVER : (second < 10 ? 10 : second + 1) * SECOND, c.lab.repeat_at,
                     "second %d", second);
    }
    CHECK_NUMBER(NEVER, c.lab.due_at, "nothing is due");
}

static void repetitions_that_were_missed_are_left_out(void)
{
    static const struct options options;
    static const struct {
        int64_t time, next;
    } rows[] = {{10, 20}, {29, 30},  {30, 40},   {45, 50},  {59, 60},
                {70, 80}, {90, 100}, {127, 137}, {137, 147}};
    static struct connection c = {
        .options = &options, .words.repeat = 10, .lab = {.trigger_at = NEVER, .repeat_at = 10}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        c.stream.cached_now = rows[i].time;
        CHECK_NUMBER(DONE, lab_act(&c), "row %zu", i);
        CHECK_NUMBER(rows[i].next, c.lab.repeat_at, "row %zu", i);
        CHECK_NUMBER(rows[i].next, c.lab.due_at, "row %zu", i);
        CHECK_NUMBER(2 * (i + 1), c.stream.output_used, "row %zu", i);
    }
}

/* ---- All tests -------------------------------------------------------------------------------------- */

#define TESTS(X)                                                                                             \
    X(utf8_is_every_scalar_value_in_its_shortest_form)                                                       \
    X(utf8_of_up_to_three_bytes_is_what_the_grammar_says)                                                    \
    X(utf8_of_four_bytes_is_what_the_grammar_says_wherever_they_stand)                                       \
    X(utf8_is_refused_at_the_first_wrong_byte_of_a_text_of_any_length_and_alignment)                         \
    X(utf8_is_accepted_up_to_the_first_wrong_byte_and_no_further)                                            \
    X(utf8_gets_the_same_verdict_wherever_it_is_cut)                                                         \
    X(utf8_of_random_characters_gets_the_same_verdict_byte_by_byte_and_in_random_pieces)                     \
    X(utf8_is_not_read_beyond_its_end)                                                                       \
    X(payload_of_any_length_and_alignment_is_unmasked_in_place)                                              \
    X(payload_of_any_length_and_alignment_is_unmasked_to_another_place)                                      \
    X(the_masking_key_goes_on_across_any_two_cuts)                                                           \
    X(every_byte_of_a_masking_key_counts)                                                                    \
    X(payload_beyond_ascii_is_noticed_wherever_it_stands)                                                    \
    X(masked_payload_is_not_touched_beyond_its_end)                                                          \
    X(payload_is_unmasked_and_validated_around_every_block)                                                  \
    X(text_payload_with_a_wrong_byte_around_a_block_is_refused)                                              \
    X(text_payload_of_ascii_is_refused_inside_a_character)                                                   \
    X(binary_payload_is_not_validated)                                                                       \
    X(payload_goes_on_across_any_cut)                                                                        \
    X(text_that_is_not_masked_is_validated_as_masked_text_is)                                                \
    X(the_first_two_bytes_of_a_frame_are_judged_as_the_rfc_says)                                             \
    X(a_wrong_frame_is_refused_at_its_first_wrong_byte)                                                      \
    X(a_payload_length_of_sixteen_bits_is_minimal_from_126_on)                                               \
    X(a_payload_length_of_sixty_four_bits_is_minimal_from_65536_on_and_has_no_top_bit)                       \
    X(every_prefix_of_a_frame_header_is_incomplete_or_gets_the_same_verdict)                                 \
    X(the_top_bit_of_a_length_is_refused_as_soon_as_it_is_there)                                             \
    X(a_header_that_is_encoded_decodes_to_the_same)                                                          \
    X(a_reply_begins_with_its_header_and_for_text_the_prefix)                                                \
    X(a_prefix_is_put_before_text_only)                                                                      \
    X(the_reply_to_a_gathered_message_is_made_around_it_and_tells_its_lengths)                               \
    X(a_short_copy_has_all_bytes_and_touches_no_other)                                                       \
    X(only_the_close_codes_that_section_7_4_allows_may_be_sent)                                              \
    X(a_close_body_is_empty_or_has_two_bytes_at_least)                                                       \
    X(a_close_reason_is_utf8_and_refused_at_its_first_wrong_byte)                                            \
    X(a_head_is_read_in_the_same_way_wherever_it_is_cut)                                                     \
    X(what_stands_behind_the_head_is_not_read)                                                               \
    X(the_fields_of_a_head_are_found_without_the_white_space_around_them)                                    \
    X(the_query_of_a_target_is_what_follows_its_first_question_mark)                                         \
    X(a_request_line_has_16384_bytes_at_most)                                                                \
    X(a_head_has_32768_bytes_at_most)                                                                        \
    X(a_head_has_100_fields_at_most)                                                                         \
    X(every_byte_of_a_head_is_judged_by_the_place_where_it_stands)                                           \
    X(a_host_or_a_target_is_not_read_beyond_its_end)                                                         \
    X(a_host_has_no_nul)                                                                                     \
    X(a_key_is_22_characters_of_base64_and_two_equals_signs)                                                 \
    X(an_offer_of_compression_is_answered_as_the_table_says)                                                 \
    X(without_the_option_an_offer_is_declined_and_malformed_all_the_same)                                    \
    X(several_fields_of_offers_are_one_list)                                                                 \
    X(a_proxy_header_gives_the_address_of_the_peer)                                                          \
    X(the_port_of_a_peer_is_that_of_its_address)                                                             \
    X(a_malformed_proxy_header_leaves_the_address_as_it_was)                                                 \
    X(a_proxy_header_is_read_in_the_same_way_wherever_it_is_cut)                                             \
    X(what_stands_behind_a_proxy_header_is_not_read)                                                         \
    X(a_proxy_line_has_107_bytes_at_most)                                                                    \
    X(a_binary_proxy_header_may_be_as_long_as_its_length_says)                                               \
    X(an_address_is_kept_in_its_usual_form_and_a_mapped_one_as_ipv4)                                         \
    X(the_bytes_of_an_address_are_4_or_16_and_a_mapped_one_is_ipv4)                                          \
    X(a_port_is_a_decimal_number_of_at_most_65535)                                                           \
    X(each_word_of_the_lab_sets_what_it_asks_for)                                                            \
    X(without_a_query_or_with_an_empty_one_nothing_is_asked_for)                                             \
    X(a_word_that_is_unknown_empty_or_repeated_is_refused)                                                   \
    X(each_word_of_the_lab_is_refused_when_it_is_repeated)                                                   \
    X(a_value_that_is_wrong_missing_or_of_no_use_is_refused)                                                 \
    X(the_first_wrong_word_of_a_query_says_why_it_is_refused)                                                \
    X(each_number_in_a_query_has_its_limits)                                                                 \
    X(a_single_wait_is_at_most_60_s_and_less_than_the_timeout)                                               \
    X(a_wait_of_nothing_is_one)                                                                              \
    X(a_stall_without_a_value_is_as_long_as_a_wait_may_be)                                                   \
    X(texts_and_bytes_in_a_query_have_a_greatest_length)                                                     \
    X(the_longest_texts_and_bytes_stand_beside_one_another)                                                  \
    X(a_value_is_percent_decoded_and_plus_is_a_space_but_no_name_is)                                         \
    X(names_in_a_value_stand_at_most_once_each)                                                              \
    X(words_that_do_not_go_together_are_refused)                                                             \
    X(a_reset_is_refused_where_the_connection_is_not_tcp)                                                    \
    X(words_may_stand_in_any_order)                                                                          \
    X(the_record_shows_words_in_their_order_and_texts_and_bytes_by_their_number)                             \
    X(a_word_that_is_refused_is_not_shown)                                                                   \
    X(the_words_are_cut_in_the_record_after_258_bytes)                                                       \
    X(the_list_of_words_has_each_with_its_value)                                                             \
    X(options_that_are_not_given_have_their_defaults)                                                        \
    X(every_option_is_taken_in_its_long_and_short_form)                                                      \
    X(the_last_one_of_an_option_that_is_not_repeatable_counts)                                               \
    X(a_ping_interval_that_is_not_given_is_a_third_of_a_shorter_timeout)                                     \
    X(a_third_of_the_timeout_is_rounded_up_to_the_microsecond)                                               \
    X(a_wrong_command_line_is_answered_with_what_is_wrong_and_what_would_be_right)                           \
    X(a_short_option_outside_of_ascii_is_unknown_too)                                                        \
    X(a_complaint_says_what_would_be_right_however_long_the_value_is)                                        \
    X(a_repeatable_option_is_taken_64_times)                                                                 \
    X(options_can_be_parsed_again)                                                                           \
    X(a_size_is_1_byte_to_1g)                                                                                \
    X(a_duration_is_seconds_with_an_optional_fraction)                                                       \
    X(a_prefix_is_percent_decoded_and_utf8)                                                                  \
    X(a_prefix_has_256_bytes_at_most_when_it_is_decoded)                                                     \
    X(an_origin_is_a_scheme_and_a_host_or_null)                                                              \
    X(what_is_logged_is_printable_ascii_without_quotes)                                                      \
    X(what_is_logged_is_cut_after_256_bytes)                                                                 \
    X(each_end_has_its_status_or_close_code_and_its_sentence)                                                \
    X(each_limit_has_its_value)                                                                              \
    X(only_what_is_between_two_addresses_is_given_back_and_all_of_it_but_at_the_edges)                       \
    X(both_buffers_go_back_but_for_what_waits_in_them)                                                       \
    X(the_first_four_mebibytes_at_most_are_small_pages_and_what_follows_huge_ones)                           \
    X(the_memory_of_a_message_goes_back_but_for_what_is_kept_and_what_is_in_use)                             \
    X(there_is_address_space_for_the_largest_message_and_the_largest_compressed_reply)                       \
    X(zlib_gets_its_memory_in_whole_cache_lines_as_long_as_there_is_some)                                    \
    X(the_time_is_that_of_the_monotonic_clock_in_microseconds)                                               \
    X(the_timer_expires_after_its_delay_and_then_every_fiftieth_of_a_second)                                 \
    X(a_signal_that_stops_it_arms_the_timer_unless_that_bounds_the_log)                                      \
    X(the_timer_is_set_for_an_earlier_deadline_only_or_when_it_has_run_out)                                  \
    X(an_end_for_each_error_of_a_read_or_write)                                                              \
    X(five_ends_are_local_faults)                                                                            \
    X(what_has_been_written_and_empty_parts_are_removed_from_the_front)                                      \
    X(what_does_not_fit_is_left_out_of_a_record_as_a_whole)                                                  \
    X(a_value_or_a_number_goes_into_the_line_and_the_fields)                                                 \
    X(a_record_begins_with_the_peer_and_its_port_if_it_has_one)                                              \
    X(a_duration_is_recorded_in_seconds_and_for_the_journal_in_microseconds)                                 \
    X(a_write_is_interrupted_after_a_quarter_of_the_timeout_or_when_the_time_to_stop_is_over)                \
    X(a_peer_that_takes_nothing_has_the_timeout_from_when_it_last_took_something)                            \
    X(what_does_not_fit_into_the_output_leaves_first)                                                        \
    X(what_is_left_of_the_input_moves_to_its_front)                                                          \
    X(an_answer_is_never_written_beyond_the_output)                                                          \
    X(a_name_is_kept_up_to_its_size_and_shown_without_what_could_spoil_a_line)                               \
    X(an_end_has_the_name_of_its_identity_in_lower_case_with_hyphens)                                        \
    X(what_a_sentence_leaves_open_is_filled_in)                                                              \
    X(the_path_that_is_named_is_the_first_one_or_what_stands_for_any)                                        \
    X(a_log_that_took_too_long_is_noticed)                                                                   \
    X(a_log_that_took_too_long_is_blocked_for_good)                                                          \
    X(a_manager_is_told_in_the_journal_of_what_it_has_started_only)                                          \
    X(an_address_from_the_environment_is_in_brackets_or_not_and_has_a_port_or_not)                           \
    X(each_byte_is_of_the_classes_that_the_rfcs_name)                                                        \
    X(the_smaller_of_two_sizes_is_the_smaller)                                                               \
    X(what_fits_is_appended_to_a_string_and_what_does_not_leaves_it_as_it_was)                               \
    X(what_is_percent_encoded_is_decoded_and_plus_too_if_that_is_wanted)                                     \
    X(an_encoded_byte_is_not_read_beyond_the_text)                                                           \
    X(what_is_decoded_fits_its_buffer_or_is_refused)                                                         \
    X(seconds_are_at_most_what_the_caller_allows)                                                            \
    X(a_name_of_a_host_may_have_whole_percent_encoded_bytes)                                                 \
    X(a_number_of_window_bits_has_no_leading_zero_and_two_digits_at_most)                                    \
    X(without_an_environment_the_peer_is_what_the_kernel_says)                                               \
    X(the_journal_gets_no_field_without_a_value)                                                             \
    X(the_journal_gets_every_field_of_the_longest_record)                                                    \
    X(a_value_is_kept_with_one_byte_more_than_is_logged)                                                     \
    X(several_forwarded_fields_are_kept_as_one_list_and_win_over_the_older_ones)                             \
    X(our_close_has_to_be_answered_over_sockets_if_the_peers_has_not_come)                                   \
    X(two_descriptors_are_one_stream_if_device_and_number_say_so)                                            \
    X(what_is_due_for_memory_brings_no_ping_where_none_are_wanted)                                           \
    X(memory_is_due_a_tenth_of_a_second_after_the_last_compressed_message)                                   \
    X(a_text_is_inflated_no_further_than_the_block_that_has_its_first_wrong_byte)                            \
    X(the_state_of_zlib_goes_back_where_no_later_message_needs_it)                                           \
    X(a_ping_or_the_end_is_due_whichever_is_first)                                                           \
    X(silence_brings_a_ping_every_interval_and_ends_at_the_timeout)                                          \
    X(a_silence_begins_anew_when_the_peer_was_heard_since)                                                   \
    X(without_a_timeout_pings_go_on_for_ever)                                                                \
    X(the_hello_is_repeated_1000_times_at_most)                                                              \
    X(repetitions_that_were_missed_are_left_out)

#define TEST_ROW(name) {#name, name},

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {TESTS(TEST_ROW)};
    unsigned passed = 0, not_passed = 0;
    for (size_t i = 0; i < COUNT_OF(tests); i++) {
        bool chosen = argc == 1;
        for (int word = 1; word < argc; word++)
            chosen = chosen || strcmp(argv[word], tests[i].name) == 0;
        if (!chosen)
            continue;
        test.name = tests[i].name;
        test.failures = 0;
        tests[i].run();
        if (test.failures > SHOWN_MAX)
            printf("%s: %lu failures in all\n", test.name, test.failures);
        if (test.failures > 0)
            not_passed++;
        else
            passed++;
    }
    printf("%u passed, %u failed\n", passed, not_passed);
    return not_passed > 0 || passed == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
