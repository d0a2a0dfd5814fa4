/* SPDX-License-Identifier: MIT */
/*
 * Tries one action that a unit forbids or limits, for test_sandbox.py and test_crowd.py. It replaces ws-echo:
 * the connection is standard input and output, its first line names the action, and the answer is a number, a
 * text, "ok" or the name of an error. If the kernel kills the process for the action, there is no answer.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void answer(const char *text)
{
    dprintf(STDOUT_FILENO, "%s\n", text);
    _exit(EXIT_SUCCESS);
}

static void result(long value)
{
    answer(value < 0 ? strerrorname_np(errno) : "ok");
}

static void number(long value)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", value);
    answer(text);
}

/* Starts a process that runs until this one ends, so that it is counted. */
static int child(void)
{
    int parent = getpid(), process = fork();
    if (process != 0)
        return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    while (getppid() == parent)
        pause();
    _exit(EXIT_FAILURE);
}

static int memory_file(void)
{
    int file = memfd_create("probe", 0);
    if (file < 0)
        result(-1);
    return file;
}

static void written(int file)
{
    result(file < 0 ? -1 : write(file, "x", 1));
}

/* Returns the text after `label` in a file, up to the end of the line. */
static void contents(const char *path, const char *label)
{
    char text[8192];
    int file = open(path, O_RDONLY);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (length < 0)
        result(-1);
    text[length] = 0;
    char *found = strstr(text, label);
    if (!found)
        answer("no such label");
    found += strlen(label);
    if (*label)
        found[strcspn(found, "\n")] = 0;
    answer(found + strspn(found, " \t"));
}

static void link_target(const char *path)
{
    char target[256] = "";
    if (readlink(path, target, sizeof target - 1) < 0)
        result(-1);
    answer(target);
}

static void datagram_to_loopback(void)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    result(made < 0 ? -1 : sendto(made, "x", 1, 0, (struct sockaddr *)&to, sizeof to));
}

static void call_of_another_architecture(void)
{
#ifdef __x86_64__
    long value = 20; /* getpid of the 32-bit ABI */
    __asm__ volatile("int $0x80" : "+a"(value) : : "memory");
    errno = (int)-value;
    result(value < 0 ? -1 : 0);
#else
    answer("EPERM");
#endif
}

/* Answers how many processes can run beside this one, up to CHILDREN_MAX. */
static void children(void)
{
    enum { CHILDREN_MAX = 1000 };
    long count = 0;
    while (count < CHILDREN_MAX && child() > 0)
        count++;
    number(count);
}

/* Goes on after SIGTERM, for as long as the connection is open. */
static void ignore_sigterm(void)
{
    char byte;
    signal(SIGTERM, SIG_IGN);
    dprintf(STDOUT_FILENO, "ok\n");
    while (read(STDIN_FILENO, &byte, 1) == 1)
        ;
    _exit(EXIT_SUCCESS);
}

static void touch(size_t size)
{
    char *memory = malloc(size);
    if (!memory)
        result(-1);
    for (size_t i = 0; i < size; i += 4096)
        ((volatile char *)memory)[i] = 1;
    answer("ok");
}

int main(void)
{
    char line[256] = "", *argument;
    for (size_t used = 0; used < sizeof line - 1 && !strchr(line, '\n'); used++)
        if (read(STDIN_FILENO, line + used, 1) != 1)
            return EXIT_FAILURE;
    line[strcspn(line, "\n")] = 0;
    argument = line + strcspn(line, " ");
    if (*argument)
        *argument++ = 0;

#define TRY(name, expression)                                                                                \
    if (strcmp(line, name) == 0)                                                                             \
    expression

    TRY("user", number(getuid()));
    TRY("privileges", number(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    TRY("status", contents("/proc/self/status", argument));
    TRY("contents", contents(argument, ""));
    TRY("link", link_target(argument));
    TRY("open", result(open(argument, O_RDONLY)));
    TRY("create", result(open(argument, O_WRONLY | O_CREAT, 0600)));
    TRY("fork", result(child()));
    TRY("children", children());
    TRY("ignore-sigterm", ignore_sigterm());
    TRY("socket", result(socket(AF_INET, SOCK_STREAM, 0)));
    TRY("datagram", datagram_to_loopback());
    TRY("writable-code", result((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -1
                                    ? -1
                                    : 0));
    TRY("suid", result(fchmod(memory_file(), 04755)));
    TRY("write", (signal(SIGXFSZ, SIG_IGN), written(memory_file())));
    TRY("fill", (signal(SIGXFSZ, SIG_IGN), written(open(argument, O_WRONLY | O_CREAT, 0600))));
    TRY("memory", touch((size_t)atoi(argument) << 20));
    TRY("personality", result(personality(PER_LINUX32)));
    TRY("namespace", result(unshare(CLONE_NEWUTS)));
    TRY("real-time",
        result(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1000})));
    TRY("kernel-log", result(klogctl(10, NULL, 0)));
    TRY("architecture", call_of_another_architecture());
    TRY("standard-error", (dprintf(STDERR_FILENO, "leaked\n"), answer("ok")));
    answer("no such probe");
}
