/* SPDX-License-Identifier: MIT */
/* Tests of memory.c */
#include <errno.h>

#include "../../src/memory.c"
#include "check.h"

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

TEST(only_what_is_between_two_addresses_is_given_back_and_all_of_it_but_at_the_edges)
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

TEST(the_first_four_mebibytes_at_most_are_small_pages_and_what_follows_huge_ones)
{
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0 || !is_flagged(&running, " wr "))
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

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(HUGE_PAGE, 2 << 20);
    CHECK_LIMIT(PAGE_MAX, 64 << 10);
}
