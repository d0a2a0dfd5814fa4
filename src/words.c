/* SPDX-License-Identifier: MIT */
/* words - see words.h */
#include <stdio.h>
#include <string.h>

#include "basics.h"
#include "utf8.h"
#include "words.h"

#define WAIT_MAX (60 * SECOND)       /* of delay, latency and stall */
#define SCHEDULE_MAX (3600 * SECOND) /* of after and repeat */
#define REPEAT_MIN (SECOND / 10)

enum {
    VALUE_MAX = 1024,        /* bytes of a decoded value */
    NUMBER_MAX = 1000000000, /* of count, fragment and slice */
    STATUS_MIN = 200,        /* a 101 that was asked for would open a tunnel through proxies */
    STATUS_MAX = 599,
};

_Static_assert((int)VALUE_MAX == (int)HELLO_MAX && (int)VALUE_MAX == 2 * (int)RAW_MAX,
               "the longest hello and the longest raw are as long as a value may be");

/* A decoded value, followed by a NUL; it may contain NULs too. */
struct value_text {
    size_t length;
    char bytes[VALUE_MAX + 1];
};

enum word {
    DELAY,
    STATUS,
    BAD,
    HEADERS,
    HELLO,
    REPEAT,
    LATENCY,
    FRAGMENT,
    SLICE,
    MUTE,
    AFTER,
    COUNT,
    RAW,
    STALL,
    CLOSE_WORD,
    REASON,
    WORD_COUNT
};

/* Arrays instead of pointers, as in `outcomes`. */
static const struct {
    char name[12];
    char value[16]; /* as the list of words shows it */
} word_rows[WORD_COUNT] = {
    [DELAY] = {"delay", "=S"},      [STATUS] = {"status", "=CODE"},  [BAD] = {"bad", "=NAMES"},
    [HEADERS] = {"headers", ""},    [HELLO] = {"hello", "=TEXT"},    [REPEAT] = {"repeat", "=S"},
    [LATENCY] = {"latency", "=S"},  [FRAGMENT] = {"fragment", "=N"}, [SLICE] = {"slice", "=N"},
    [MUTE] = {"mute", "=NAMES"},    [AFTER] = {"after", "=S"},       [COUNT] = {"count", "=N"},
    [RAW] = {"raw", "=HEX"},        [STALL] = {"stall", "[=S]"},     [CLOSE_WORD] = {"close", "[=CODE]"},
    [REASON] = {"reason", "=TEXT"},
};

#define BIT(word) (1U << (word))

/* Parses a decimal number.  Returns false if the string is no number, or one outside `least` to `most`. */
static bool parse_number(const char *string, uint64_t least, uint64_t most, uint64_t *number)
{
    uint64_t value = 0;
    for (const char *next = string; *next; next++) {
        if (*next < '0' || *next > '9')
            return false;
        value = value * 10 + (uint64_t)(*next - '0');
        if (value > most)
            return false;
    }
    *number = value;
    return *string && value >= least;
}

/*
 * Parses names separated by commas into a set: bit i is names[i].  Returns false if one is not in `names`, or
 * stands twice.
 */
static bool parse_names(const char *string, size_t count, const char names[][12], unsigned *set)
{
    struct slice rest = SLICE_OF(string);
    unsigned found = 0;
    while (rest.bytes) {
        struct slice name = slice_cut(&rest, ',');
        size_t i = 0;
        while (i < count && !slice_is(name, names[i]))
            i++;
        if (i == count || found & BIT(i))
            return false;
        found |= BIT(i);
    }
    *set = found;
    return true;
}

/* Copies a text.  Returns false if it is not UTF-8, or longer than `most` bytes. */
static bool parse_text(const struct value_text *value, size_t most, uint8_t *into, uint16_t *length)
{
    if (value->length > most || !is_utf8((const uint8_t *)value->bytes, value->length))
        return false;
    memcpy(into, value->bytes, value->length);
    *length = (uint16_t)value->length;
    return true;
}

/*
 * Parses bytes, two hexadecimal digits for each.  Returns false if there are none, or if a digit is missing
 * or wrong: the NUL after an odd number of digits is a wrong one.
 */
static bool parse_raw(const struct value_text *value, struct words *words)
{
    for (size_t i = 0; i < value->length; i += 2) {
        int high = hex_digit(value->bytes[i]), low = hex_digit(value->bytes[i + 1]);
        if (high < 0 || low < 0)
            return false;
        words->raw[i / 2] = (uint8_t)(high << 4 | low);
    }
    words->raw_length = (uint16_t)(value->length / 2);
    return value->length > 0;
}

/* Parses the value of `close`.  Returns false if it is wrong. */
static bool parse_close(const char *string, struct words *words)
{
    uint64_t code = 0;
    if (strcmp(string, "eof") == 0 || strcmp(string, "reset") == 0) {
        words->ending = *string == 'e' ? STREAM_END : STREAM_RESET;
        return true;
    }
    if (!parse_number(string, 0, UINT16_MAX, &code))
        return false;
    words->ending = CODED_CLOSE;
    words->close_code = (uint16_t)code;
    return true;
}

/*
 * Parses the value of a word.  `wait_max` is the most for delay, latency and stall.  Returns false if the
 * value is wrong.
 */
static bool parse_value(enum word word, const struct value_text *value, int64_t wait_max, struct words *words)
{
    static const char bad_names[][12] = {"accept", "subprotocol", "extension"};
    static const char mute_names[][12] = {"echo", "ping", "pong", "close"};
    const char *string = value->bytes;
    uint64_t status = 0;
    if (word != HELLO && word != REASON && strlen(string) != value->length)
        return false; /* only texts may contain a NUL */
    switch (word) {
    case HELLO:
        words->hello = true;
        return parse_text(value, HELLO_MAX, words->hello_text, &words->hello_length);
    case REASON: return parse_text(value, REASON_MAX, words->reason, &words->reason_length);
    case DELAY: return parse_seconds(string, wait_max, &words->delay);
    case LATENCY: return parse_seconds(string, wait_max, &words->latency);
    case STALL: return parse_seconds(string, wait_max, &words->stall);
    case REPEAT: return parse_seconds(string, SCHEDULE_MAX, &words->repeat) && words->repeat >= REPEAT_MIN;
    case AFTER: words->has_after = true; return parse_seconds(string, SCHEDULE_MAX, &words->after);
    case STATUS:
        if (!parse_number(string, STATUS_MIN, STATUS_MAX, &status))
            return false;
        words->status = (int)status;
        return true;
    case COUNT: return parse_number(string, 1, NUMBER_MAX, &words->count);
    case FRAGMENT: return parse_number(string, 1, NUMBER_MAX, &words->fragment);
    case SLICE: return parse_number(string, 1, NUMBER_MAX, &words->slice);
    case BAD: return parse_names(string, COUNT_OF(bad_names), bad_names, &words->bad);
    case MUTE: return parse_names(string, COUNT_OF(mute_names), mute_names, &words->mute);
    case RAW: return parse_raw(value, words);
    case CLOSE_WORD: return parse_close(string, words);
    default: return false; /* HEADERS has no value */
    }
}

/* Sets what a word without a value asks for.  Returns false if the word needs one. */
static bool set_without_value(enum word word, int64_t wait_max, struct words *words)
{
    switch (word) {
    case HEADERS: return words->headers = true;
    case STALL: words->stall = wait_max; return wait_max > 0;
    case CLOSE_WORD: words->ending = EMPTY_CLOSE; return true;
    default: return false;
    }
}

/* Appends bytes to what the record shows; leaves out those that do not fit. */
static void show(struct words *words, const char *bytes, size_t length)
{
    size_t fits = smaller(length, sizeof words->shown - words->shown_length);
    memcpy(words->shown + words->shown_length, bytes, fits);
    words->shown_length = (uint16_t)(words->shown_length + fits);
}

/*
 * Appends a word to what the record shows: texts and raw by their number of bytes, other values as they are.
 * `value` is NULL if it has none.
 */
static void show_word(struct words *words, enum word word, const struct value_text *value)
{
    if (words->shown_length > 0)
        show(words, "&", 1);
    show(words, word_rows[word].name, strlen(word_rows[word].name));
    if (!value)
        return;
    show(words, "=", 1);
    if (word == HELLO || word == REASON || word == RAW) {
        char number[sizeof "18446744073709551615"] = "";
        snprintf(number, sizeof number, "%zu", word == RAW ? value->length / 2 : value->length);
        show(words, number, strlen(number));
    } else {
        show(words, value->bytes, value->length);
    }
}

/* Parses one word with its value, and adds its BIT to the set `given`.  Returns DONE or why it is refused. */
static enum outcome parse_word(struct slice text, int64_t wait_max, struct words *words, unsigned *given)
{
    struct slice rest = text, name = slice_cut(&rest, '=');
    struct value_text value;
    size_t i = 0;
    while (i < WORD_COUNT && !slice_is(name, word_rows[i].name))
        i++;
    if (i == WORD_COUNT || *given & BIT(i))
        return LAB_WORD_UNKNOWN;
    *given |= BIT(i);
    if (!rest.bytes) {
        if (!set_without_value((enum word)i, wait_max, words))
            return LAB_VALUE_WRONG;
        show_word(words, (enum word)i, NULL);
        return DONE;
    }
    ptrdiff_t length = percent_decode(rest, true, value.bytes, VALUE_MAX);
    if (length < 0)
        return LAB_VALUE_WRONG;
    value.length = (size_t)length;
    value.bytes[length] = '\0';
    if (!parse_value((enum word)i, &value, wait_max, words))
        return LAB_VALUE_WRONG;
    show_word(words, (enum word)i, &value);
    return DONE;
}

/* Checks whether the words that were given go together.  Returns DONE or why they do not. */
static enum outcome check_combination(const struct words *words, unsigned given, bool tcp)
{
    if (given & BIT(STATUS) && given & ~(BIT(STATUS) | BIT(DELAY)))
        return LAB_STATUS_NOT_ALONE;
    if (given & (BIT(AFTER) | BIT(COUNT)) && !(given & (BIT(RAW) | BIT(STALL) | BIT(CLOSE_WORD))))
        return LAB_TRIGGERS_NOTHING;
    if (given & BIT(REASON) && words->ending != CODED_CLOSE)
        return LAB_REASON_WITHOUT_CODE;
    return words->ending == STREAM_RESET && !tcp ? LAB_RESET_WITHOUT_TCP : DONE;
}

enum outcome words_parse(struct slice query, int64_t timeout, bool tcp, struct words *words)
{
    int64_t wait_max = timeout > 0 && timeout <= WAIT_MAX ? timeout - 1 : WAIT_MAX;
    struct slice rest = query;
    unsigned given = 0;
    while (rest.bytes && query.length > 0) {
        enum outcome outcome = parse_word(slice_cut(&rest, '&'), wait_max, words, &given);
        if (outcome != DONE)
            return outcome;
    }
    return check_combination(words, given, tcp);
}

void words_list(char list[static WORDS_LIST_SIZE])
{
    char *end = list;
    for (size_t i = 0; i < WORD_COUNT; i++)
        end = stpcpy(stpcpy(stpcpy(end, i > 0 ? " " : ""), word_rows[i].name), word_rows[i].value);
}
