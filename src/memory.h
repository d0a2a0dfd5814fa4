/* SPDX-License-Identifier: MIT */
/*
 * memory - maps address space for large buffers, and gives pages back to the kernel
 *
 * The kernel adds a page when it is first written to, so memory grows with the bytes that have arrived.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum {
    HUGE_PAGE = 2 * 1024 * 1024, /* bytes; used after the first 2 to 4 MiB of a mapping */
    PAGE_MAX = 64 * 1024,        /* bytes; ordinary pages of x86, ARM, POWER, s390 and RISC-V are no larger */
};

/*
 * Maps address space for `size` bytes.  It begins at a multiple of PAGE_MAX and may be released up to the
 * next multiple after its end.  After the first 2 to 4 MiB the kernel is asked for huge pages, because a page
 * fault for every 4 KiB would take longer than the echo.  Returns NULL with errno if the kernel refuses.
 */
void *memory_map(size_t size);

/*
 * Gives the whole steps of PAGE_MAX between two addresses back to the kernel (MADV_DONTNEED).  Their bytes
 * read as zeros afterwards.
 */
void memory_release(uint8_t *begin, uint8_t *end);

#endif
