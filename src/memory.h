/*
 * memory - address space for large buffers, and giving back what they took
 *
 * The kernel adds pages when they are written to, so memory grows with the bytes that have come.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum {
    HUGE_PAGE = 2 * 1024 * 1024, /* bytes; memory beyond the first 4 MiB is mapped in such pages */
    PAGE_MAX = 64 * 1024,        /* bytes; ordinary pages of x86, ARM, POWER, s390 and RISC-V are no larger */
};

/*
 * Maps address space for `size` bytes, which begins at a multiple of PAGE_MAX and may be released up to the
 * next multiple behind its end.  The kernel adds pages when they are written to, huge ones beyond the first 4
 * MiB, because a fault for every 4 KiB would take longer than the echo.  Returns NULL with errno if that is
 * refused.
 */
void *memory_map(size_t size);

/*
 * Gives the memory between two addresses back to the kernel, in steps of PAGE_MAX; what is read there is
 * zeros.
 */
void memory_release(uint8_t *begin, uint8_t *end);

#endif
