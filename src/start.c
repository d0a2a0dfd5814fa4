/* SPDX-License-Identifier: MIT */
/* start - see start.h */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/vm_sockets.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>
#ifndef SYS_close_range
#define SYS_close_range 436 /* kernel headers before Linux 5.9 lack it */
#endif

#include "start.h"

bool find_connection(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    bool passed = pid && count && strtol(pid, NULL, 10) == getpid() && strcmp(count, "0") != 0;
    if (fcntl(STDERR_FILENO, F_GETFD) < 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDERR_FILENO);
        if (null >= 0 && null < STDERR_FILENO)
            close(null); /* or it would be taken for the connection */
    }
    /* sd_listen_fds(3): passed descriptors begin at 3, which is STDERR_FILENO + 1. */
    if (passed && (dup2(STDERR_FILENO + 1, STDIN_FILENO) < 0 || dup2(STDERR_FILENO + 1, STDOUT_FILENO) < 0))
        close(STDIN_FILENO);                             /* make_blocking reports that */
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0); /* before Linux 5.9 they stay open, unused */
    return !passed || strcmp(count, "1") == 0;
}

/* Prints what --help shows. */
static void print_help(void)
{
    char names[64];
    fputs("Usage: ws-echo [OPTION]...\n"
          "WebSocket echo server for one connection on standard input and output.\n\n",
          stdout);
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *row = &option_rows[i];
        snprintf(names, sizeof names, "-%c, --%s%s%s", row->letter, row->name, row->argument ? "=" : "",
                 row->argument ? row->argument : "");
        if (row->letter == 0)
            memset(names, ' ', strlen("-x, "));
        printf("  %-26s %s\n", names, row->help);
    }
    fputs("\nIt does not listen: systemd, xinetd, inetd, tcpserver or socat start it.\n"
          "See ws-echo(8), and ws-echo-launchers(7) for how.\n",
          stdout);
}

/* Prints the help or the version, and exits. */
static _Noreturn void print_and_exit(struct log *log, bool help)
{
    if (help)
        print_help();
    else
        puts("ws-echo " VERSION);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail(log, EX_OSERR, "cannot write: %m");
    exit(EXIT_SUCCESS);
}

void read_command_line(struct log *log, int argc, char **argv, struct options *options)
{
    char complaint[COMPLAINT_SIZE];
    bool valid = options_parse(argc, argv, options, complaint);
    log_open(log, valid && !options->check ? options->log : AUTO);
    /*
     * --check reports on standard error: a person sees it there, and under systemd journald assigns such
     * lines to the unit even if the process has ended already.
     */
    if (options->check)
        log->channel = STANDARD_ERROR;
    log->verbose = options->verbose;
    if (!valid)
        fail(log, EX_USAGE, "%s", complaint);
    if (options->help || options->version)
        print_and_exit(log, options->help);
    if (isatty(STDIN_FILENO) && !options->check) {
        fprintf(stderr,
                "ws-echo is a WebSocket echo server for one connection on standard input and output.\n"
                "It does not listen: systemd, xinetd, inetd, tcpserver or socat start it; to try it, run\n"
                "systemd-socket-activate --accept --inetd --listen=8888 %s\n",
                program_invocation_name);
        exit(EX_USAGE);
    }
}

/*
 * Tells whether a descriptor is a connected stream socket.  Ends the program for any other socket; false for
 * a pipe or a file.
 */
static bool is_connected_stream(struct log *log, int descriptor)
{
    int type = 0, listening = 0;
    socklen_t length = sizeof type;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return false;
    if (type != SOCK_STREAM)
        fail(log, EX_USAGE,
             "the connection is not a stream socket; start this program for one TCP connection");
    length = sizeof listening;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening)
        fail(log, EX_USAGE,
             "this is a listening socket, not a connection; set Accept=yes in the socket unit");
    return true;
}

/* Clears O_NONBLOCK, since every wait is a blocking call.  Returns the descriptor's flags without it. */
static int make_blocking(struct log *log, int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0)
        fail(log, EX_USAGE, "standard input and output must be the connection; one of them is closed");
    if (flags & O_NONBLOCK && fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) < 0)
        fail(log, EX_OSERR, "cannot make the connection block: %m");
    return flags & ~O_NONBLOCK;
}

void prepare_stream(struct log *log, struct stream *stream, bool listen_fds_valid)
{
    const int on = 1;
    if (!listen_fds_valid)
        fail(log, EX_USAGE,
             "LISTEN_FDS=%.40s, but one connection is served; set Accept=yes in the socket unit",
             getenv("LISTEN_FDS"));
    stream->input_flags = make_blocking(log, STDIN_FILENO);
    stream->output_flags = make_blocking(log, STDOUT_FILENO);
    bool input_is_socket = is_connected_stream(log, STDIN_FILENO);
    stream->sockets = is_connected_stream(log, STDOUT_FILENO) && input_is_socket;
    if (!stream->sockets)
        return;
    stream->tcp = setsockopt(STDOUT_FILENO, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
    /* Sockets other than TCP do not have this option. */
    if (!stream->tcp && errno != EOPNOTSUPP && errno != ENOPROTOOPT)
        fail(log, EX_OSERR, "cannot set TCP_NODELAY: %m");
}

/* Sets the peer's address from getpeername, if that knows it. */
static void ask_kernel_for_peer(struct address *peer)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_vm vm;
    } address = {0};
    socklen_t length = sizeof address;
    if (getpeername(STDIN_FILENO, &address.any, &length) < 0)
        return;
    switch (address.any.sa_family) {
    case AF_INET:
        set_ip(peer, &address.in.sin_addr, 4);
        snprintf(peer->port, sizeof peer->port, "%u", ntohs(address.in.sin_port));
        break;
    case AF_INET6:
        set_ip(peer, &address.in6.sin6_addr, 16);
        snprintf(peer->port, sizeof peer->port, "%u", ntohs(address.in6.sin6_port));
        break;
    case AF_UNIX:
        if (length > offsetof(struct sockaddr_un, sun_path) && address.un.sun_path[0])
            set_name(peer, address.un.sun_path, length - offsetof(struct sockaddr_un, sun_path));
        break;
    case AF_VSOCK:
        snprintf(peer->host, sizeof peer->host, "vsock-%u", address.vm.svm_cid);
        snprintf(peer->port, sizeof peer->port, "%u", address.vm.svm_port);
        break;
    }
}

void find_peer(struct address *peer)
{
    static const char *const variables[][2] = {
        {"REMOTE_ADDR", "REMOTE_PORT"},       /* systemd */
        {"TCPREMOTEIP", "TCPREMOTEPORT"},     /* tcpserver, tcpsvd */
        {"SOCAT_PEERADDR", "SOCAT_PEERPORT"}, /* socat */
        {"REMOTE_HOST", "REMOTE_PORT"},       /* stunnel; xinetd, which sets the host only */
    };
    const char *host = "", *port = NULL;
    char unbracketed[ADDRESS_SIZE];
    for (size_t i = 0; i < COUNT_OF(variables) && !*host; i++) {
        host = getenv(variables[i][0]) ?: "";
        port = getenv(variables[i][1]);
    }
    *peer = (struct address){.host = "-"};
    if (!*host || !port)
        ask_kernel_for_peer(peer);
    if (!*host)
        return;
    struct address from_kernel = *peer;
    host += *host == '['; /* socat writes IPv6 addresses in brackets */
    snprintf(unbracketed, sizeof unbracketed, "%.*s", (int)strcspn(host, "]"), host);
    *peer = (struct address){.host = ""};
    if (!set_host(peer, unbracketed))
        set_name(peer, unbracketed, sizeof unbracketed);
    if (port)
        set_port(peer, port);
    else if (strcmp(peer->host, from_kernel.host) == 0)
        *peer = from_kernel;
}

void drop_root(struct log *log, const char *name)
{
    if (geteuid() != 0 && getuid() != 0) {
        if (setgroups(0, NULL) < 0 && errno != EPERM)
            fail(log, EX_OSERR, "cannot drop supplementary groups: %m");
        return;
    }
    errno = 0;
    const struct passwd *user = getpwnam(name);
    if (!user && errno != 0 && errno != ENOENT && errno != ESRCH)
        fail(log, EX_OSERR, "cannot look up user %.40s: %m", name);
    if (!user)
        fail(log, EX_USAGE, "--user=%.40s: there is no such user; name one that is not root", name);
    if (user->pw_uid == 0)
        fail(log, EX_USAGE, "--user=%.40s: this is root; name a user who is not", name);
    if (setgroups(0, NULL) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
        fail(log, EX_OSERR, "cannot become user %.40s: %m", name);
}
