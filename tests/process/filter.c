/* SPDX-License-Identifier: MIT */
/*
 * Asks the system call filter of the program, which is included, which calls it allows, without making them.
 *
 *     filter CHANNEL VALUE...    enters the sandbox for a log channel and prints each allowed call, its
 *                                number and three arguments, for all numbers and all combinations of
 *                                three VALUEs
 *     filter CHANNEL             makes a harmless call of i386; succeeds if it is forbidden
 *
 * An additional filter returns SECCOMP_RET_TRACE for each call whose last argument is MARK.  There is no
 * tracer, so an allowed call fails with ENOSYS.  SECCOMP_RET_ERRNO of ws-echo's filter takes precedence, so
 * a forbidden call fails with EPERM.
 */
#define main ws_echo_main
#include "../build/ws-echo.c"
#undef main

#define MARK UINT64_C(0x77732d6563686f21)

enum {
    NUMBERS = 1024,       /* more than there are */
    X32_BIT = 0x40000000, /* set in the numbers of x86-64's x32 calls */
};

static void answer_marked_calls(void)
{
    const uint32_t mark = offsetof(struct seccomp_data, args[5]);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, mark),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)MARK, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, mark + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(MARK >> 32), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT_OF(filter), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        perror("cannot install a filter");
        exit(1);
    }
}

/* If the call is allowed, writes its line to `text`; returns the length written. */
static int ask(char *text, size_t size, long number, const long *arguments)
{
    long result = syscall(number, arguments[0], arguments[1], arguments[2], 0L, 0L, MARK);
    if (result == 0 || (errno != EPERM && errno != ENOSYS))
        _exit(1); /* the call was made */
    if (errno == EPERM)
        return 0;
    return snprintf(text, size, "%ld %ld %ld %ld\n", number, arguments[0], arguments[1], arguments[2]);
}

/* The kernel handles these two before any filter: only its trampolines may call them, others get SIGILL. */
static bool is_uprobe(long number)
{
#ifdef __x86_64__
    return number == 335 || number == 336;
#else
    (void)number;
    return false;
#endif
}

static long call_of_i386(void)
{
    long result = -EPERM;
#ifdef __x86_64__
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L /* getpid; writev of x86-64 */) : "memory");
#endif
    return result;
}

static enum channel channel_of(const char *name)
{
    return strcmp(name, "journal") == 0 ? JOURNAL : strcmp(name, "syslog") == 0 ? SYSLOG : STANDARD_ERROR;
}

int main(int argc, char **argv)
{
    static char allowed[1 << 23];
    static long values[16];
    struct log log = {.channel = channel_of(argc > 1 ? argv[1] : "")};
    size_t length = 0;
    int count = 0;
    for (int i = 2; i < argc && count < (int)COUNT_OF(values); i++)
        values[count++] = atol(argv[i]);
    answer_marked_calls();
    enter_sandbox(&log, false);
    if (count == 0)
        return call_of_i386() == -EPERM ? 0 : 1;
    for (int i = 0; i < 2 * NUMBERS; i++)
        for (int j = 0; !is_uprobe(i) && j < count * count * count; j++) {
            const long arguments[] = {values[j % count], values[j / count % count],
                                      values[j / count / count]};
            length += (size_t)ask(allowed + length, sizeof allowed - length,
                                  i < NUMBERS ? i : X32_BIT | (i - NUMBERS), arguments);
        }
    /* Passes all six arguments: after a shorter call, the last register might still contain MARK. */
    for (long written = 0, part = 1; part > 0; written += part)
        part = syscall(SYS_write, STDOUT_FILENO, allowed + written, length - (size_t)written, 0L, 0L, 0L);
    syscall(SYS_exit_group, 0L, 0L, 0L, 0L, 0L, 0L);
}
