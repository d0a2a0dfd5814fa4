/* SPDX-License-Identifier: MIT */
/* proxy - see proxy.h */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "basics.h"
#include "proxy.h"
#include "text.h"

static const char proxy_signature[] = {'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

/* Parses a line of version 1, without its CRLF.  Returns false if it is malformed. */
static bool parse_proxy_line(struct slice line, struct address *peer)
{
    char copy[PROXY_LINE_MAX + 1], *rest = copy, *words[6];
    struct address destination;
    memcpy(copy, line.bytes, line.length);
    copy[line.length] = '\0';
    if (strlen(copy) != line.length)
        return false;
    if (strcmp(copy, "PROXY UNKNOWN") == 0 || strncmp(copy, "PROXY UNKNOWN ", strlen("PROXY UNKNOWN ")) == 0)
        return true;
    for (size_t i = 0; i < 6; i++)
        if (!(words[i] = strsep(&rest, " ")))
            return false;
    bool four = strcmp(words[1], "TCP4") == 0;
    if (rest || (!four && strcmp(words[1], "TCP6") != 0) || (strchr(words[2], ':') == NULL) != four ||
        (strchr(words[3], ':') == NULL) != four)
        return false;
    return set_host(&destination, words[3]) && set_port(&destination, words[5]) && set_host(peer, words[2]) &&
           set_port(peer, words[4]);
}

/*
 * Parses the addresses, which follow the first 16 bytes of a header of version 2.  Returns false if they are
 * malformed.
 */
static bool parse_proxy_addresses(uint8_t family, const uint8_t *addresses, size_t length,
                                  struct address *peer)
{
    enum { TCP4 = 0x11, TCP6 = 0x21, UNIX_STREAM = 0x31 };
    switch (family) {
    case TCP4:
        if (length < 12)
            return false;
        snprintf(peer->port, sizeof peer->port, "%d", addresses[8] << 8 | addresses[9]);
        set_ip(peer, addresses, 4);
        return true;
    case TCP6:
        if (length < 36)
            return false;
        snprintf(peer->port, sizeof peer->port, "%d", addresses[32] << 8 | addresses[33]);
        set_ip(peer, addresses, 16);
        return true;
    case UNIX_STREAM:
        if (length < 216)
            return false;
        if (addresses[0])
            set_name(peer, (const char *)addresses, 108);
        return true;
    default: /* UNSPEC and datagram families: valid, without an address for us */
        return family >> 4 <= 3 && (family & 0x0f) <= 2;
    }
}

/* Tells whether bytes can begin a line of version 1: as many as there are match one of its beginnings. */
static bool may_be_proxy_line(const char *bytes, size_t length)
{
    static const char *const beginnings[] = {"PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN"};
    for (size_t i = 0; i < COUNT_OF(beginnings); i++)
        if (strncmp(bytes, beginnings[i], length < strlen(beginnings[i]) ? length : strlen(beginnings[i])) ==
            0)
            return true;
    return false;
}

ssize_t proxy_parse_header(const char *bytes, size_t length, struct address *peer)
{
    struct address parsed = *peer;
    if (length == 0)
        return 0;
    if (bytes[0] == 'P') {
        size_t end = 2; /* of the line, with its CRLF */
        while (end <= length && end <= PROXY_LINE_MAX && memcmp(bytes + end - 2, "\r\n", 2) != 0)
            end++;
        if (!may_be_proxy_line(bytes, length) || end > PROXY_LINE_MAX)
            return -1;
        if (end > length)
            return 0;
        if (!parse_proxy_line((struct slice){bytes, end - 2}, &parsed))
            return -1;
        *peer = parsed;
        return (ssize_t)end;
    }
    size_t signature_bytes = length < sizeof proxy_signature ? length : sizeof proxy_signature;
    if (memcmp(bytes, proxy_signature, signature_bytes) != 0 || (length > 12 && (bytes[12] & 0xfe) != 0x20))
        return -1;
    if (length < 16)
        return 0;
    size_t addresses_length = (size_t)(uint8_t)bytes[14] << 8 | (uint8_t)bytes[15];
    if (length < 16 + addresses_length)
        return 0;
    bool local = bytes[12] == 0x20; /* LOCAL: a health check of the proxy itself, without addresses to use */
    if (!local &&
        !parse_proxy_addresses((uint8_t)bytes[13], (const uint8_t *)bytes + 16, addresses_length, &parsed))
        return -1;
    *peer = parsed;
    return (ssize_t)(16 + addresses_length);
}
