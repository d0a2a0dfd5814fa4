/* SPDX-License-Identifier: MIT */
/*
 * A library for LD_PRELOAD: holds the program just before one of its calls, in a loop, until the test lets
 * it go on.  The program handles a signal that arrives meanwhile, and stays held.
 *
 * The program and the test map the file that HOLD names.  Its bytes are: the call (r: read from standard
 * input, w: write to standard output, s: setitimer, n: clock_nanosleep; 0: none); which of the next such
 * calls, counted down to it; and 1 while the program is held: the test sets it to 0 to let the program go on.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CALL, NUMBER, HELD, SIZE };

static volatile unsigned char *hold;
static __typeof__(clock_nanosleep) *sleep_until;

__attribute__((constructor)) static void share(void)
{
    int file = open(getenv("HOLD"), O_RDWR);
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        abort();
    close(file);
    hold = memory;
    sleep_until = (__typeof__(clock_nanosleep) *)dlsym(RTLD_NEXT, "clock_nanosleep");
}

static void hold_before(char call)
{
    if (hold[CALL] != call || --hold[NUMBER] > 0)
        return;
    hold[CALL] = 0;
    hold[HELD] = 1;
    while (hold[HELD])
        ;
}

ssize_t read(int descriptor, void *buffer, size_t size)
{
    if (descriptor == STDIN_FILENO)
        hold_before('r');
    return syscall(SYS_read, descriptor, buffer, size);
}

/* The variant that _FORTIFY_SOURCE calls. */
ssize_t __read_chk(int descriptor, void *buffer, size_t size, size_t room)
{
    (void)room;
    return read(descriptor, buffer, size);
}

ssize_t write(int descriptor, const void *buffer, size_t size)
{
    if (descriptor == STDOUT_FILENO)
        hold_before('w');
    return syscall(SYS_write, descriptor, buffer, size);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
    if (descriptor == STDOUT_FILENO)
        hold_before('w');
    return syscall(SYS_writev, descriptor, parts, count);
}

int setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *old)
{
    hold_before('s');
    return (int)syscall(SYS_setitimer, which, value, old);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *rest)
{
    hold_before('n');
    return sleep_until(clock, flags, time, rest);
}
