/*
 * proxy - the PROXY protocol header that a proxy may put in front of the request
 *
 * A pure parser of both versions: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
#ifndef PROXY_H
#define PROXY_H

#include <stddef.h>
#include <sys/types.h>

#include "address.h"

enum {
    PROXY_LINE_MAX = 107,          /* bytes; version 1, with its CRLF */
    PROXY_BINARY_MAX = 16 + 65535, /* bytes; version 2 */
};

/*
 * Parses a PROXY protocol header of either version.  Returns its length, 0 if it is not complete, -1 if it is
 * malformed; `peer` is changed where the header gives an address.
 */
ssize_t proxy_parse_header(const char *bytes, size_t length, struct address *peer);

#endif
