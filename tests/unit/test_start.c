/* SPDX-License-Identifier: MIT */
/* Tests of start.c */
#include "../../src/start.c"
#include "check.h"

TEST(an_address_from_the_environment_is_in_brackets_or_not_and_has_a_port_or_not)
{
    static const struct {
        const char *host, *port, *due_host, *due_port;
    } rows[] = {
        {"192.0.2.1", "5", "192.0.2.1", "5"},
        {"[2001:DB8::1]", "65535", "2001:db8::1", "65535"},
        {"[2001:db8::1]:7", "5", "2001:db8::1", "5"},
        {"::ffff:192.0.2.1", "0", "192.0.2.1", "0"},
        {"client.example", "5", "client.example", "5"},
        {"192.0.2.1", "65536", "192.0.2.1", ""},
        {"192.0.2.1", NULL, "192.0.2.1", ""},
        {"a]b", "5", "a", "5"},
        {"", "5", "-", ""},
    };
    static const char *const others[] = {"REMOTE_ADDR", "TCPREMOTEIP", "SOCAT_PEERADDR", "REMOTE_HOST"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        unsetenv(others[i]);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address peer;
        setenv("TCPREMOTEIP", rows[i].host, 1);
        rows[i].port ? setenv("TCPREMOTEPORT", rows[i].port, 1) : unsetenv("TCPREMOTEPORT");
        find_peer(&peer);
        CHECK_STRING(rows[i].due_host, peer.host, "%s", rows[i].host);
        CHECK_STRING(rows[i].due_port, peer.port, "%s", rows[i].host);
    }
}

/* What getpeername returns here; the function below replaces the C library's. */
static union {
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_vm vm;
} kernels_peer;

static socklen_t kernels_length; /* 0: getpeername fails */

int getpeername(int descriptor, __SOCKADDR_ARG address, socklen_t *restrict length)
{
    (void)descriptor;
    *length = kernels_length;
    memcpy(*(struct sockaddr **)&address, &kernels_peer, kernels_length);
    return kernels_length > 0 ? 0 : -1;
}

static void check_kernels_peer(socklen_t length, const char *host, const char *port)
{
    struct address peer;
    kernels_length = length;
    find_peer(&peer);
    CHECK_STRING(host, peer.host, "family %d, %u bytes", kernels_peer.un.sun_family, length);
    CHECK_STRING(port, peer.port, "%s", host);
    kernels_length = 0;
}

TEST(without_an_environment_the_peer_is_what_the_kernel_says)
{
    const socklen_t nameless = offsetof(struct sockaddr_un, sun_path);
    char longest[sizeof kernels_peer.un.sun_path + 1] = "";
    unsetenv("TCPREMOTEIP");
    check_kernels_peer(0, "-", "");
    kernels_peer.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(258)};
    inet_pton(AF_INET, "192.0.2.1", &kernels_peer.in.sin_addr);
    check_kernels_peer(sizeof kernels_peer.in, "192.0.2.1", "258");
    kernels_peer.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(65535)};
    inet_pton(AF_INET6, "2001:db8::1", &kernels_peer.in6.sin6_addr);
    check_kernels_peer(sizeof kernels_peer.in6, "2001:db8::1", "65535");
    inet_pton(AF_INET6, "::ffff:192.0.2.1", &kernels_peer.in6.sin6_addr);
    check_kernels_peer(sizeof kernels_peer.in6, "192.0.2.1", "65535");
    kernels_peer.vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = 3, .svm_port = UINT32_MAX};
    check_kernels_peer(sizeof kernels_peer.vm, "vsock-3", "4294967295");
    kernels_peer.un = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "/run/a"};
    check_kernels_peer(nameless + sizeof "/run/a", "/run/a", "");
    check_kernels_peer(nameless, "-", "");
    memset(longest, 'a', sizeof longest - 1);
    memcpy(kernels_peer.un.sun_path, longest, sizeof longest - 1);
    check_kernels_peer(sizeof kernels_peer.un, longest, "");
    kernels_peer.un.sun_path[0] = '\0'; /* an abstract name */
    check_kernels_peer(sizeof kernels_peer.un, "-", "");
}
