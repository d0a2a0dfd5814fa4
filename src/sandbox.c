/* SPDX-License-Identifier: MIT */
/* sandbox - see sandbox.h */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "sandbox.h"

#if defined WITHOUT_FILTER
/* For valgrind, gcov and the sanitizers, which need forbidden calls; no target that installs defines this. */
#elif defined __x86_64__ && !defined __ILP32__
#define FILTER_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__ && !defined __ILP32__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FILTER_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined __riscv && __riscv_xlen == 64
#define FILTER_ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

#ifdef FILTER_ARCHITECTURE

/*
 * What the filter does with a forbidden call.  A debug build names the call and exits.  Otherwise the call
 * fails with EPERM: after a restart of syslogd, or with a newer libsystemd, logging may need a forbidden
 * call, and losing a log line is better than losing the connection.
 */
#ifdef DEBUG
#define FORBIDDEN SECCOMP_RET_TRAP

/* Handles SIGSYS in a debug build: prints the number of the call and exits. */
static void name_forbidden_call(int number, siginfo_t *info, void *context)
{
    char line[64];
    (void)number;
    (void)context;
    int length = snprintf(line, sizeof line, "ws-echo: system call %d is forbidden\n", info->si_syscall);
    (void)!write(STDERR_FILENO, line, (size_t)length);
    _exit(EX_OSERR);
}
#else
#define FORBIDDEN (SECCOMP_RET_ERRNO | EPERM)
#endif

#define PASS BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, FORBIDDEN)
#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define JUMP(condition, value, if_true, if_false)                                                            \
    BPF_JUMP(BPF_JMP | (condition) | BPF_K, (value), (if_true), (if_false))

/* Check the lower 32 bits of an argument, which is all of an int; these architectures are little-endian. */
#define ARGUMENT_IS(number, value) LOAD(args[number]), JUMP(BPF_JEQ, value, 1, 0), REFUSE
#define ARGUMENT_LACKS(number, bit) LOAD(args[number]), JUMP(BPF_JSET, bit, 0, 1), REFUSE

/* Allow one call if its arguments are right; for any other call, jump to the next instructions. */
#define ALLOW(call) JUMP(BPF_JEQ, __NR_##call, 0, 1), PASS
#define ALLOW_IF(call, three_instructions) JUMP(BPF_JEQ, __NR_##call, 0, 4), three_instructions, PASS
#define ALLOW_IF_BOTH(call, one, other) JUMP(BPF_JEQ, __NR_##call, 0, 7), one, other, PASS

#define FILTER_BEGIN LOAD(arch), JUMP(BPF_JEQ, FILTER_ARCHITECTURE, 1, 0), REFUSE, LOAD(nr)

/*
 * The calls of an echo, the frequent ones first.  read and write are allowed whatever their arguments are, so
 * that the kernel's seccomp cache (Linux 5.11) can skip the filter for them.  mmap cannot make memory
 * executable.
 */
#define ECHO_CALLS                                                                                           \
    ALLOW(read), ALLOW(write), ALLOW(writev), ALLOW(clock_gettime), ALLOW(setitimer), ALLOW(rt_sigreturn),   \
        ALLOW_IF(mmap, ARGUMENT_LACKS(2, PROT_EXEC)), ALLOW(madvise), ALLOW(munmap), ALLOW(brk),             \
        ALLOW(getpid), ALLOW(sendto) /* syslog(3) */, ALLOW(shutdown), ALLOW(close),                         \
        ALLOW_IF(fcntl, ARGUMENT_IS(1, F_SETFL)),                                                            \
        ALLOW_IF_BOTH(setsockopt, ARGUMENT_IS(1, SOL_SOCKET), ARGUMENT_IS(2, SO_LINGER)), ALLOW(exit_group)

/*
 * What sd_journal_sendv and sd_notify need as well.  For a record that is too large for a datagram,
 * sd_journal_sendv creates a memfd, which is forbidden here; but first libsystemd asks for the name of the
 * process (PR_GET_NAME), and aborts if that fails.
 */
#define JOURNAL_CALLS                                                                                        \
    ALLOW(sendmsg), ALLOW_IF(socket, ARGUMENT_IS(0, AF_UNIX)), ALLOW(getsockopt), ALLOW(getuid),             \
        ALLOW(geteuid), ALLOW(getgid), ALLOW(getegid), ALLOW_IF(prctl, ARGUMENT_IS(0, PR_GET_NAME))

/* The sleep of the lab. */
#define LAB_CALLS                                                                                            \
    ALLOW_IF_BOTH(clock_nanosleep, ARGUMENT_IS(0, CLOCK_MONOTONIC), ARGUMENT_IS(1, TIMER_ABSTIME))

static const struct sock_filter echo_filter[] = {FILTER_BEGIN, ECHO_CALLS, LAB_CALLS, REFUSE};
static const struct sock_filter journal_filter[] = {FILTER_BEGIN, ECHO_CALLS, JOURNAL_CALLS, LAB_CALLS,
                                                    REFUSE};

/* Installs the filter, which allows only the calls above.  Returns 0, or -1 with errno. */
static int filter_calls(enum channel channel)
{
    struct sock_fprog program = {COUNT_OF(echo_filter), (struct sock_filter *)echo_filter};
    if (channel == JOURNAL)
        program = (struct sock_fprog){COUNT_OF(journal_filter), (struct sock_filter *)journal_filter};
#ifdef DEBUG
    tzset();                       /* gmtime_r would open a file later, which ends a debug build */
    if (channel == STANDARD_ERROR) /* standard error is not the connection */
        sigaction(SIGSYS, &(struct sigaction){.sa_sigaction = name_forbidden_call, .sa_flags = SA_SIGINFO},
                  NULL);
#endif
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#endif

bool enter_sandbox(struct log *log, bool check)
{
    const struct rlimit none = {0, 0};
    /* DUMPABLE is for tests, which look into the process as any user; no target that installs defines it. */
#if !defined DEBUG && !defined DUMPABLE && !defined WITHOUT_FILTER && !defined __SANITIZE_ADDRESS__
    if (prctl(PR_SET_DUMPABLE, 0) < 0) /* no core dump, and only root can trace the process */
        fail(log, EX_OSERR, "cannot enter the sandbox: %m");
#endif
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        setrlimit(RLIMIT_NPROC, &none) < 0)
        fail(log, EX_OSERR, "cannot enter the sandbox: %m");
#ifdef FILTER_ARCHITECTURE
    if (filter_calls(log->channel) == 0)
        return true;
    /*
     * EINVAL means that the kernel has no seccomp, or that it rejects this filter; PR_GET_SECCOMP fails only
     * in the first case.
     */
    if (errno != EINVAL || prctl(PR_GET_SECCOMP) >= 0)
        fail(log, EX_OSERR, "cannot install the system call filter: %m");
#endif
    if (check || log->verbose)
        log_line(log, LOG_NOTICE, "this kernel or architecture has no system call filter; running without");
    return false;
}
