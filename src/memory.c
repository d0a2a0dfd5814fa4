/* memory - see memory.h */
#include <sys/mman.h>

#include "memory.h"

void *memory_map(size_t size)
{
    size_t whole = size + 2 * PAGE_MAX; /* so that either end can be moved to where the largest pages begin */
    uint8_t *memory =
        mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    size_t small = HUGE_PAGE + HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE;
    madvise(memory, whole < small ? whole : small, MADV_NOHUGEPAGE);
    if (whole > small)
        madvise(memory + small, whole - small, MADV_HUGEPAGE);
    return memory + -(uintptr_t)memory % PAGE_MAX;
}

void memory_release(uint8_t *begin, uint8_t *end)
{
    begin += -(uintptr_t)begin % PAGE_MAX;
    end -= (uintptr_t)end % PAGE_MAX;
    if (begin < end)
        madvise(begin, (size_t)(end - begin), MADV_DONTNEED);
}
