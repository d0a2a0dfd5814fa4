/* SPDX-License-Identifier: MIT */
/*
 * What the tests of all rooms have in common: checks, and the function main
 *
 * A file of tests includes the source of its room, to reach static functions, and this file:
 *
 *     #include "../../src/utf8.c"
 *     #include "check.h"
 *
 *     TEST(a_text_of_ascii_is_utf8)
 *     {
 *         CHECK(validate("a", 1), "one byte");
 *     }
 *
 * Each test is named after a rule and is added to the list by TEST.  Arguments of the program choose tests by
 * name.  A failed check prints where it stands, what was expected and what was received.  The last line
 * counts the tests, and the exit status is 0 if none failed.
 */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef COUNT_OF
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#endif

enum { SHOWN_MAX = 5 /* failures that are printed of one test */ };

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

static struct {
    struct test *first, **end; /* of the list */
    const char *name;          /* of the test that runs */
    unsigned long failures;    /* of that */
} running;

/* Defines a test; its body follows. */
#define TEST(name_)                                                                                          \
    static void name_(void);                                                                                 \
    __attribute__((constructor)) static void add_##name_(void)                                               \
    {                                                                                                        \
        static struct test test = {#name_, name_, NULL};                                                     \
        add_test(&test);                                                                                     \
    }                                                                                                        \
    static void name_(void)

/* Adds a test to the end of the list. */
static inline void add_test(struct test *test)
{
    if (!running.end)
        running.end = &running.first;
    *running.end = test;
    running.end = &test->next;
}

/* ---- Checks ----------------------------------------------------------------------------------------- */

/*
 * The last arguments say, printf-like, what a failure is about; they are only evaluated if the check fails.
 */
#define CHECK(condition, ...)                                                                                \
    ((condition) ? (void)0                                                                                   \
                 : failed(HERE, #condition, "%s: expected true, received false", about(__VA_ARGS__)))

#define CHECK_NUMBER(expected, received, ...)                                                                \
    do {                                                                                                     \
        long long expected_ = (long long)(expected), received_ = (long long)(received);                      \
        if (expected_ != received_)                                                                          \
            failed(HERE, #received, "%s: expected %lld, received %lld", about(__VA_ARGS__), expected_,       \
                   received_);                                                                               \
    } while (0)

/*
 * Checks the value of a constant.  To change one of these is to change what the manual promises, how much
 * memory is used, or the speed.
 */
#define CHECK_LIMIT(constant, expected) CHECK_NUMBER(expected, constant, "%s", #constant)

#define CHECK_BYTES(expected, expected_length, received, received_length, ...)                               \
    do {                                                                                                     \
        size_t expected_length_ = (expected_length), received_length_ = (received_length);                   \
        if (expected_length_ != received_length_ || memcmp((expected), (received), expected_length_) != 0)   \
            bytes_differ(HERE, #received, (expected), expected_length_, (received), received_length_,        \
                         about(__VA_ARGS__));                                                                \
    } while (0)

#define CHECK_STRING(expected, received, ...)                                                                \
    CHECK_BYTES((expected), strlen(expected), (received), strlen(received), __VA_ARGS__)

#define HERE __FILE__, __LINE__

/* Prints a failure, printf-like; `what` is the expression that was checked. */
__attribute__((format(printf, 4, 5))) static inline void failed(const char *file, int line, const char *what,
                                                                const char *format, ...)
{
    va_list arguments;
    if (++running.failures > SHOWN_MAX)
        return;
    printf("%s:%d: %s: %s: ", file, line, running.name, what);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* Prints bytes in hexadecimal from `start` on, as many as fit a line. */
static inline void print_bytes(const char *what, const uint8_t *bytes, size_t length, size_t start)
{
    enum { ON_A_LINE = 24 };
    printf("  %s %zu bytes, from %zu on:", what, length, start);
    for (size_t i = start; i < length && i < start + ON_A_LINE; i++)
        printf(" %02x", bytes[i]);
    puts(start + ON_A_LINE < length ? " ..." : "");
}

static inline void bytes_differ(const char *file, int line, const char *what, const void *expected,
                                size_t expected_length, const void *received, size_t received_length,
                                const char *about)
{
    const uint8_t *one = expected, *other = received;
    size_t same = 0;
    while (same < expected_length && same < received_length && one[same] == other[same])
        same++;
    failed(file, line, what, "%s: they differ from byte %zu on", about, same);
    if (running.failures > SHOWN_MAX)
        return;
    print_bytes("expected", one, expected_length, same > 8 ? same - 8 : 0);
    print_bytes("received", other, received_length, same > 8 ? same - 8 : 0);
}

/* Formats, printf-like, what a failure is about.  The next call overwrites the result. */
__attribute__((format(printf, 1, 2))) static inline const char *about(const char *format, ...)
{
    static char string[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(string, sizeof string, format, arguments);
    va_end(arguments);
    return string;
}

/* Returns bytes in hexadecimal, for about().  The next call but one overwrites them. */
static inline const char *hex(const void *bytes, size_t length)
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

/* Returns bytes as a string in C has them, for about().  The next call overwrites them. */
static inline const char *shown(const char *bytes, size_t length)
{
    static char string[4 * 256 + sizeof "..."];
    char *end = string;
    *end = '\0';
    for (size_t i = 0; i < length && i < 256; i++)
        end += sprintf(end, bytes[i] < ' ' || bytes[i] > '~' ? "\\x%02x" : "%c", (uint8_t)bytes[i]);
    if (length > 256)
        strcpy(end, "...");
    return string;
}

/* ---- Bytes ------------------------------------------------------------------------------------------ */

/* A string with NULs, and its length. */
#define BYTES(literal) (literal), sizeof(literal) - 1

/* A pseudo-random sequence, the same in every run: xorshift64*. */
static inline uint64_t random_number(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}

/* Returns a number below `limit`. */
static inline size_t random_below(size_t limit)
{
    return (size_t)((random_number() >> 20) % limit);
}

/* Returns memory followed by a page that cannot be accessed; it is never freed. */
static inline uint8_t *guarded(size_t length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (length + page - 1) / page * page;
    uint8_t *memory = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + size, page, PROT_NONE) < 0) {
        perror("mmap");
        exit(EXIT_FAILURE);
    }
    return memory + size - length;
}

/* ---- All tests -------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    unsigned passed = 0, not_passed = 0;
    for (const struct test *test = running.first; test; test = test->next) {
        bool chosen = argc == 1;
        for (int word = 1; word < argc; word++)
            chosen = chosen || strcmp(argv[word], test->name) == 0;
        if (!chosen)
            continue;
        running.name = test->name;
        running.failures = 0;
        test->run();
        if (running.failures > SHOWN_MAX)
            printf("%s: %lu failures in all\n", running.name, running.failures);
        if (running.failures > 0)
            not_passed++;
        else
            passed++;
    }
    printf("%u passed, %u failed\n", passed, not_passed);
    return not_passed > 0 || passed == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
