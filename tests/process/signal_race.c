/*
 * A library for LD_PRELOAD: holds the program just before one of its calls, in a loop, until the test lets
 * it go on.  A signal that arrives in this gap is handled, and does not end the gap.
 *
 * The program and the test map the file that GAP names.  Its bytes are: the call (r: read from standard
 * input, w: write to standard output, s: setitimer, n: clock_nanosleep; 0: none); the number of such calls up
 * to the gap; and 1 while the program is in the gap: the test sets it to 0 to end the gap.
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

enum { CALL, LEFT, INSIDE, SIZE };

static volatile unsigned char *gap;
static __typeof__(clock_nanosleep) *sleep_until;

__attribute__((constructor)) static void share(void)
{
    int file = open(getenv("GAP"), O_RDWR);
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        abort();
    close(file);
    gap = memory;
    sleep_until = (__typeof__(clock_nanosleep) *)dlsym(RTLD_NEXT, "clock_nanosleep");
}

static void wait_before(char call)
{
    if (gap[CALL] != call || --gap[LEFT] > 0)
        return;
    gap[CALL] = 0;
    gap[INSIDE] = 1;
    while (gap[INSIDE])
        ;
}

ssize_t read(int descriptor, void *buffer, size_t size)
{
    if (descriptor == STDIN_FILENO)
        wait_before('r');
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
        wait_before('w');
    return syscall(SYS_write, descriptor, buffer, size);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
    if (descriptor == STDOUT_FILENO)
        wait_before('w');
    return syscall(SYS_writev, descriptor, parts, count);
}

int setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *old)
{
    wait_before('s');
    return (int)syscall(SYS_setitimer, which, value, old);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *rest)
{
    wait_before('n');
    return sleep_until(clock, flags, time, rest);
}
