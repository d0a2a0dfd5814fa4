/* SPDX-License-Identifier: MIT */
/* container-init - process 1 of the container image
 *
 *     container-init LAUNCHER [ARGUMENT...]
 *
 * Starts the launcher in a process group of its own.  SIGTERM and SIGINT go to the whole group: the launcher
 * ends, and each ws-echo closes its connection with 1001.  container-init ends only when all processes have
 * ended, because the kernel kills all other processes of a container together with its process 1.  If the
 * launcher ends unasked, the connections are closed in the same way, and the container ends with the
 * launcher's status.
 */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    NOT_STARTED = 127, /* exit status: the launcher cannot be started, as in a shell */
    BY_SIGNAL = 128,   /* added to the number of the signal that ended the launcher */
};

/* Starts `command` as the leader of a new process group, with this signal mask.  Returns its process number,
 * or -1. */
static pid_t start(char *command[], const sigset_t *mask)
{
    pid_t child = fork();

    if (child == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_SETMASK, mask, NULL);
        execv(command[0], command);
        fprintf(stderr, "container-init: %s: %s\n", command[0], strerror(errno));
        _exit(NOT_STARTED);
    }
    if (child > 0)
        setpgid(child, child); /* both do it, so that the group exists whoever runs first */
    return child;
}

/* Takes away the children that have ended.  Sets *launcher_status if the launcher is among them.  Returns
 * whether there are others. */
static bool children_remain(pid_t launcher, int *launcher_status)
{
    pid_t ended;
    int status;

    while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
        if (ended == launcher)
            *launcher_status = WIFEXITED(status) ? WEXITSTATUS(status) : BY_SIGNAL + WTERMSIG(status);
    return ended == 0;
}

int main(int argc, char *argv[])
{
    sigset_t awaited, before;
    int received, status = -1; /* -1: the launcher runs */
    bool stopping = false;

    sigemptyset(&awaited);
    sigaddset(&awaited, SIGTERM);
    sigaddset(&awaited, SIGINT);
    sigaddset(&awaited, SIGCHLD);
    sigprocmask(SIG_BLOCK, &awaited, &before);
    /* Connections become children of this process when the launcher ends, even if it is not process 1. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (argc < 2) {
        fputs("usage: container-init LAUNCHER [ARGUMENT...]\n", stderr);
        return EXIT_FAILURE;
    }
    pid_t launcher = start(argv + 1, &before);

    if (launcher < 0) {
        perror("container-init: fork");
        return EXIT_FAILURE;
    }
    do {
        bool running = status < 0;

        sigwait(&awaited, &received);
        if (received != SIGCHLD) {
            stopping = true;
            kill(-launcher, received);
        } else if (!children_remain(launcher, &status)) {
            return stopping ? EXIT_SUCCESS : status;
        } else if (running && status >= 0 && !stopping) {
            kill(-launcher, SIGTERM);
        }
    } while (true);
}
