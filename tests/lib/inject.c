/* SPDX-License-Identifier: MIT */
/*
 * Runs a program under ptrace and injects faults into its system calls.  Unless root runs it, the program
 * must stay dumpable.
 *
 *     inject REPORT LIMIT BOUND FAULTS PROGRAM [ARGUMENT]...
 *
 * FAULTS are separated by commas; the first that matches a call applies.  Each is CALL:NUMBER:KIND=VALUE.
 * CALL is a number as in <sys/syscall.h>; NUMBER counts the calls with that number from 1.  With a + after
 * NUMBER, all later calls have the fault too; if the first argument of the first one is 0, 1 or 2 (a
 * descriptor or a clock), only those with the same first argument.  The kinds are
 *
 *     error=ERRNO   the call is not made and fails
 *     size=BYTES    the call reads or writes at most so many bytes
 *     signal=NUMBER the process gets a signal when it makes the call
 *     jump=SECONDS  the clock that the call reads has jumped
 *
 * BOUND is empty, or FROM=TO: FROM is then bind-mounted on TO in the mount namespace of the program.  The
 * file REPORT gets a line for each call: its number, its first four arguments, its result, and 1 if it had a
 * fault.  After LIMIT calls the program is killed.  The exit status is the program's.  If SYSTEMD_EXEC_PID is
 * in the environment, it is set to the process number of the program.
 */
#define _GNU_SOURCE

#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FAULTS_MAX = 8 };

struct fault {
    long call, number, value, seen;
    unsigned long first_argument; /* of the first call that had the fault */
    bool onwards;
    char kind; /* e: error, c: size, s: signal, j: jump */
};

static struct fault faults[FAULTS_MAX];
static int fault_count;
static pid_t child;

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    exit(99);
}

static void parse_faults(char *text)
{
    for (char *part = strtok(text, ","); part; part = strtok(NULL, ",")) {
        struct fault *fault = &faults[fault_count++];
        char plus = '\0', kind[8];
        int count = sscanf(part, "%ld:%ld%c", &fault->call, &fault->number, &plus);
        fault->onwards = plus == '+';
        const char *rest = strrchr(part, ':');
        require(count == 3 && fault_count <= FAULTS_MAX &&
                    sscanf(rest, ":%7[a-z]=%ld", kind, &fault->value) == 2,
                "a fault");
        fault->kind = strcmp(kind, "size") == 0 ? 'c' : kind[0];
    }
}

/* Returns the fault of a call, if it has one. */
static const struct fault *find_fault(long call, unsigned long first_argument)
{
    const struct fault *found = NULL;
    for (int i = 0; i < fault_count; i++) {
        struct fault *fault = &faults[i];
        if (fault->call != call)
            continue;
        if (++fault->seen == fault->number)
            fault->first_argument = first_argument;
        bool is_later = fault->onwards && fault->seen > fault->number &&
                        (fault->first_argument > 2 || fault->first_argument == first_argument);
        if (!found && (fault->seen == fault->number || is_later))
            found = fault;
    }
    return found;
}

static unsigned long peek(unsigned long address)
{
    return (unsigned long)ptrace(PTRACE_PEEKDATA, child, address, NULL);
}

static void poke(unsigned long address, unsigned long word)
{
    require(ptrace(PTRACE_POKEDATA, child, address, word) == 0, "PTRACE_POKEDATA");
}

/* Hides the vDSO from the program (AT_SYSINFO_EHDR), so that it reads the time by system calls. */
static void hide_vdso(void)
{
    struct user_regs_struct registers;
    require(ptrace(PTRACE_GETREGS, child, NULL, &registers) == 0, "PTRACE_GETREGS");
    unsigned long at = registers.rsp + 8 * (peek(registers.rsp) + 2); /* skips argc, argv and NULL */
    while (peek(at))
        at += 8; /* skips the environment */
    for (at += 8; peek(at) != AT_NULL; at += 16)
        if (peek(at) == AT_SYSINFO_EHDR)
            poke(at, AT_IGNORE);
}

/* Executes the program in this process. */
static void start(char **command, const char *bound)
{
    char from[256], to[256], pid[16];
    if (*bound) {
        require(sscanf(bound, "%255[^=]=%255s", from, to) == 2, "what is bound");
        require(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                    mount(from, to, NULL, MS_BIND, NULL) == 0,
                "mount");
    }
    if (getenv("SYSTEMD_EXEC_PID")) {
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        setenv("SYSTEMD_EXEC_PID", pid, 1);
    }
    require(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0, "PTRACE_TRACEME");
    execvp(*command, command);
    require(false, *command);
}

/* What to do when the call returns. */
struct pending {
    const struct fault *fault;
    bool is_changed, is_skipped;
    long result; /* of a call that is skipped */
    /* The program's own, to be restored. */
    struct user_regs_struct registers;
    unsigned long address, word;
};

/* Makes writev write less: as a write of the first part, or with the second part shortened. */
static void shorten_parts(struct user_regs_struct *registers, unsigned long size, struct pending *pending)
{
    unsigned long parts = registers->rsi, first = peek(parts + 8);
    if (size <= first) {
        registers->orig_rax = SYS_write;
        registers->rsi = peek(parts);
        registers->rdx = size;
    } else if (size - first < peek(parts + 24)) {
        pending->address = parts + 24;
        pending->word = peek(parts + 24);
        poke(parts + 24, size - first);
    }
}

static void enter(const struct fault *fault, struct pending *pending)
{
    struct user_regs_struct registers;
    require(ptrace(PTRACE_GETREGS, child, NULL, &registers) == 0, "PTRACE_GETREGS");
    long call = (long)registers.orig_rax;
    *pending = (struct pending){.fault = fault, .registers = registers};
    if (fault && fault->kind == 'e' && call == SYS_brk) {
        registers.rdi = 0; /* brk fails by returning the old end */
    } else if (fault && fault->kind == 'e') {
        pending->is_skipped = true;
        pending->result = -fault->value;
    } else if (fault && fault->kind == 'c' && call == SYS_writev) {
        shorten_parts(&registers, (unsigned long)fault->value, pending);
    } else if (fault && fault->kind == 'c' && registers.rdx > (unsigned long)fault->value) {
        registers.rdx = (unsigned long)fault->value;
    } else if (fault && fault->kind == 's') {
        kill(child, (int)fault->value);
    }
    if (pending->is_skipped)
        registers.orig_rax = (unsigned long)-1;
    pending->is_changed = memcmp(&registers, &pending->registers, sizeof registers) != 0;
    if (pending->is_changed)
        require(ptrace(PTRACE_SETREGS, child, NULL, &registers) == 0, "PTRACE_SETREGS");
}

/* Finishes a call and returns its result. */
static long leave(const struct pending *pending)
{
    struct user_regs_struct registers;
    require(ptrace(PTRACE_GETREGS, child, NULL, &registers) == 0, "PTRACE_GETREGS");
    if (pending->is_changed) { /* restore the program's arguments */
        registers.rdi = pending->registers.rdi;
        registers.rsi = pending->registers.rsi;
        registers.rdx = pending->registers.rdx;
        if (pending->is_skipped)
            registers.rax = (unsigned long)pending->result;
        require(ptrace(PTRACE_SETREGS, child, NULL, &registers) == 0, "PTRACE_SETREGS");
    }
    if (pending->address)
        poke(pending->address, pending->word);
    if (pending->fault && pending->fault->kind == 'j')
        poke(registers.rsi, peek(registers.rsi) + (unsigned long)pending->fault->value);
    return (long)registers.rax;
}

/* Ends this process as the program ended. */
static _Noreturn void end_like(int status)
{
    if (WIFEXITED(status))
        exit(WEXITSTATUS(status));
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    abort();
}

int main(int argc, char **argv)
{
    require(argc > 5, "the arguments");
    FILE *report = fopen(argv[1], "we");
    long left = strtol(argv[2], NULL, 10);
    require(report != NULL, argv[1]);
    parse_faults(argv[4]);
    child = fork();
    require(child >= 0, "fork");
    if (child == 0)
        start(argv + 5, argv[3]);

    struct __ptrace_syscall_info info;
    struct pending pending = {0};
    int status, null = open("/dev/null", O_RDWR), signal_number = 0;
    /* Closes this process's copies, so that the connection and the log end with the program. */
    require(waitpid(child, &status, 0) == child && WIFSTOPPED(status), "the program");
    for (int descriptor = 0; descriptor < 3; descriptor++)
        dup2(null, descriptor);
    ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    hide_vdso();
    for (;;) {
        ptrace(PTRACE_SYSCALL, child, NULL, signal_number);
        signal_number = 0;
        require(waitpid(child, &status, 0) == child, "waitpid");
        if (!WIFSTOPPED(status))
            break;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            signal_number = WSTOPSIG(status);
            continue;
        }
        require(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) > 0, "PTRACE_GET_SYSCALL_INFO");
        if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
            fprintf(report, " %ld %d\n", leave(&pending), pending.fault != NULL);
            continue;
        }
        fprintf(report, "%lu %lu %lu %lu %lu", info.entry.nr, info.entry.args[0], info.entry.args[1],
                info.entry.args[2], info.entry.args[3]);
        enter(find_fault((long)info.entry.nr, info.entry.args[0]), &pending);
        if (left-- == 0)
            kill(child, SIGKILL);
    }
    fclose(report);
    end_like(status);
}
