/* SPDX-License-Identifier: MIT */
/*
 * proxy - parses the PROXY protocol header that a load balancer may send in front of the request
 *
 * Pure; both versions: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
#ifndef PROXY_H
#define PROXY_H

#include <stddef.h>
#include <sys/types.h>

#include "address.h"

enum {
    PROXY_LINE_MAX = 107,          /* bytes of version 1, with its CRLF */
    PROXY_BINARY_MAX = 16 + 65535, /* bytes of version 2 */
};

/*
 * Parses a PROXY protocol header of either version at the start of `bytes`.  Returns its length in bytes, 0
 * if more bytes are needed, or -1 if it is malformed.  Sets `peer` if the header contains the peer's address,
 * and leaves it alone otherwise.
 */
ssize_t proxy_parse_header(const char *bytes, size_t length, struct address *peer);

#endif
