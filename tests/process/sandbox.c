/* SPDX-License-Identifier: MIT */
/*
 * Includes the program, enters its sandbox for the log channel named by the argument, and tries system
 * calls.  Prints a line for each: its name, and "forbidden" or "allowed".
 */
#define main ws_echo_main
#include "../build/ws-echo.c"
#undef main

static void report(const char *name, long result)
{
    printf("%s %s\n", name, result < 0 && errno == EPERM ? "forbidden" : "allowed");
}

int main(int argc, char **argv)
{
    struct log log = {.channel = argc > 1 && strcmp(argv[1], "journal") == 0 ? JOURNAL : STANDARD_ERROR};
    char *const nothing[] = {NULL};
    setvbuf(stdout, malloc(BUFSIZ), _IOFBF, BUFSIZ);
    enter_sandbox(&log, false);
    report("internet-socket", socket(AF_INET, SOCK_STREAM, 0));
    report("unix-socket", socket(AF_UNIX, SOCK_DGRAM, 0));
    report("execve", execve("/bin/true", nothing, nothing));
    report("fork", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    report("open", open("/etc/passwd", O_RDONLY));
    report("kill", kill(getppid(), 0));
    report("ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
    report("executable-memory",
           syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L));
    report("making-memory-executable", mprotect(&log, 1, PROT_EXEC));
    report("memory",
           syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L));
    report("clock", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &(struct timespec){0}));
    return fflush(stdout) == 0 ? 0 : 1;
}
