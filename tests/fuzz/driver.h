/* SPDX-License-Identifier: MIT */
/*
 * Shared by the fuzzers
 *
 * A fuzzer includes the program to call its functions, and lists its targets at the end with TARGETS.  The
 * environment variable TARGET selects a target; its inputs are in corpora/TARGET.txt.
 *
 *     clang -fsanitize=fuzzer,address,undefined    libFuzzer searches for inputs until it is stopped
 *     cc -DSTANDALONE                              runs all files in the directory named by the argument,
 *                                                  and CHANGES (an environment variable; 0) copies of each
 *                                                  with pseudo-random changes, the same in every run
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t *running; /* the input */
static size_t running_length;

/* Aborts unless a condition holds, as a sanitizer does. */
#define HOLDS(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            does_not_hold(__FILE__, __LINE__, #condition);                                                   \
    } while (0)

static _Noreturn void does_not_hold(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\ninput:", file, line, condition);
    for (size_t i = 0; i < running_length; i++)
        fprintf(stderr, " %02x", running[i]);
    fputc('\n', stderr);
    abort();
}

struct target {
    const char *name;
    void (*fuzz)(const uint8_t *input, size_t length);
};

static void (*fuzz_chosen)(const uint8_t *input, size_t length);

/* Selects the target.  Ends the program if there is no target of that name. */
static void choose_target(const struct target *targets, size_t count)
{
    const char *name = getenv("TARGET");
    for (size_t i = 0; i < count; i++)
        if (name && strcmp(name, targets[i].name) == 0)
            fuzz_chosen = targets[i].fuzz;
    for (size_t i = 0; i < count && !fuzz_chosen; i++)
        fprintf(stderr, "%s%s%s", i > 0 ? " or " : "set TARGET to ", targets[i].name,
                i + 1 < count ? "" : "\n");
    if (!fuzz_chosen)
        exit(EXIT_FAILURE);
}

/* libFuzzer calls the first function once, the second for every input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    running = input;
    running_length = length;
    fuzz_chosen(input, length);
    return 0;
}

/* Defines the targets, each {name, function}. */
#define TARGETS(...)                                                                                         \
    static const struct target targets[] = {__VA_ARGS__};                                                    \
    int LLVMFuzzerInitialize(int *argc, char ***argv)                                                        \
    {                                                                                                        \
        (void)argc;                                                                                          \
        (void)argv;                                                                                          \
        choose_target(targets, sizeof targets / sizeof *targets);                                            \
        return 0;                                                                                            \
    }

#ifdef STANDALONE
enum {
    INPUT_MAX = 1 << 17,
    CHANGES_MAX = 4, /* in one copy */
};

/* Returns a pseudo-random number below `limit`, the same in every run: xorshift64*. */
static size_t random_below(size_t limit)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * 0x2545f4914f6cdd1d >> 20) % limit);
}

/* Changes an input at a random place.  Returns its new length. */
static size_t change(uint8_t *input, size_t length)
{
    static const uint8_t bytes[] = "\0\r\n\t :,/?#%%-=0A\x7f\x80\xbf\xc2\xe0\xed\xf0\xf4\xff";
    size_t place = random_below(length + 1), count = 1 + random_below(random_below(8) ? 4 : 64);
    uint8_t byte = random_below(2) ? bytes[random_below(sizeof bytes)] : (uint8_t)random_below(256);
    if (count > length - place)
        count = length - place;
    switch (random_below(5)) {
    case 0: /* insert */
        if (length == INPUT_MAX)
            break;
        memmove(input + place + 1, input + place, length - place);
        input[place] = byte;
        return length + 1;
    case 1: /* remove */
        memmove(input + place, input + place + count, length - place - count);
        return length - count;
    case 2: /* repeat */
        if (length + count > INPUT_MAX)
            break;
        memmove(input + place + count, input + place, length - place);
        return length + count;
    case 3: /* flip */
        if (count > 0)
            input[place] ^= (uint8_t)(1 << random_below(8));
        break;
    case 4: /* replace */
        if (count > 0)
            input[place] = byte;
        break;
    }
    return length;
}

/* Runs a file and changed copies of it. */
static void run_file(const char *directory, const char *name, unsigned copies)
{
    static uint8_t input[INPUT_MAX], changed[INPUT_MAX];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    size_t length = fread(input, 1, sizeof input, file);
    fclose(file);
    LLVMFuzzerTestOneInput(input, length);
    for (; copies > 0; copies--) {
        size_t changed_length = length;
        memcpy(changed, input, length);
        for (size_t changes = 1 + random_below(CHANGES_MAX); changes > 0; changes--)
            changed_length = change(changed, changed_length);
        LLVMFuzzerTestOneInput(changed, changed_length);
    }
}

/* The files are sorted, so that the changes are the same on every machine. */
int main(int argc, char **argv)
{
    struct dirent **entries;
    const char *changes = getenv("CHANGES");
    int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1, files = 0;
    if (count < 0) {
        fprintf(stderr, "Usage: TARGET=NAME %s DIRECTORY\n", argv[0]);
        return EXIT_FAILURE;
    }
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            run_file(argv[1], entries[i]->d_name, changes ? (unsigned)atoi(changes) : 0);
            files++;
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs\n", files);
    return EXIT_SUCCESS;
}
#endif
