/*
 * memory - address space for large buffers, and giving back what they took
 *
 * The kernel adds pages when they are written to, so memory grows with the bytes that have come.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    HUGE_PAGE = 2 * 1024 * 1024, /* bytes; memory beyond the first 4 MiB is mapped in such pages */
    PAGE_MAX = 64 * 1024,        /* bytes; no ordinary page is larger, whatever the architecture */
};

/*
 * Maps address space for `size` bytes, which begins at a multiple of PAGE_MAX and may be released up to the
 * next multiple behind its end.  The kernel adds pages when they are written to, huge ones beyond the first 4
 * MiB, because a fault for every 4 KiB would take longer than the echo.  Returns NULL with errno if that is
 * refused.
 */
void *map_memory(size_t size);

/*
 * Copies `length` bytes between buffers that do not overlap, without a call and without touching a byte
 * beyond them: in moves of a fixed length, of which the last one ends with the last byte and may repeat some.
 * memcpy is a call where the length varies, and musl's begins "rep movs" on x86-64, which takes longer than a
 * short copy.
 */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t length)
{
    enum { LONG_MOVE = 16, MOVE = 8 };
    if (length >= LONG_MOVE) {
        for (size_t i = 0; i < length - LONG_MOVE; i += LONG_MOVE) {
            memcpy(to + i, from + i, LONG_MOVE);
            __asm__("" : "+r"(i)); /* hides from compilers that the loop is a memcpy, or they call it */
        }
        memcpy(to + length - LONG_MOVE, from + length - LONG_MOVE, LONG_MOVE);
    } else if (length >= MOVE) {
        memcpy(to, from, MOVE);
        memcpy(to + length - MOVE, from + length - MOVE, MOVE);
    } else {
        for (size_t i = 0; i < length; i++) {
            to[i] = from[i];
            __asm__("" : "+r"(i));
        }
    }
}

/*
 * Gives the memory between two addresses back to the kernel, in steps of PAGE_MAX; what is read there is
 * zeros.
 */
void release_between(uint8_t *begin, uint8_t *end);

#endif
