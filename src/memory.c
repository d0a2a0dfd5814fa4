/* SPDX-License-Identifier: MIT */
/* memory - see memory.h */
#include <sys/mman.h>

#include "memory.h"

void *memory_map(size_t size)
{
    size_t mapped = size + 2 * PAGE_MAX; /* both ends may have to be moved to a multiple of PAGE_MAX */
    uint8_t *memory =
        mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    size_t small_pages = HUGE_PAGE + HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE;
    madvise(memory, mapped < small_pages ? mapped : small_pages, MADV_NOHUGEPAGE);
    if (mapped > small_pages)
        madvise(memory + small_pages, mapped - small_pages, MADV_HUGEPAGE);
    return memory + -(uintptr_t)memory % PAGE_MAX;
}

void memory_release(uint8_t *begin, uint8_t *end)
{
    begin += -(uintptr_t)begin % PAGE_MAX;
    end -= (uintptr_t)end % PAGE_MAX;
    if (begin < end)
        madvise(begin, (size_t)(end - begin), MADV_DONTNEED);
}
