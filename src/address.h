/* SPDX-License-Identifier: MIT */
/*
 * address - the peer's address, as the log shows it
 *
 * A host is an IP address (an IPv4-mapped one is written as IPv4), or another name; a port is a decimal
 * number, or empty.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_SIZE = 108 + 1 /* bytes; the longest address is a Unix socket's path */ };

struct address {
    char host[ADDRESS_SIZE];
    char port[sizeof "4294967295"];
};

enum { ADDRESS_TEXT_SIZE = sizeof(struct address) + sizeof "[]:" /* bytes; host and port in one string */ };

/*
 * Sets the host from an IP address of `count` bytes in network order: 4 or 16.  An IPv4-mapped address
 * becomes IPv4.
 */
void set_ip(struct address *address, const void *bytes, size_t count);

/*
 * Sets the host from an IP address in text form; IPv4-mapped as above.  Returns false, and changes nothing,
 * if the text is no IP address.
 */
bool set_host(struct address *address, const char *text);

/*
 * Sets the host to another name, such as the path of a Unix socket, of at most `size` bytes, and empties the
 * port.  Spaces, bytes outside visible ASCII, " and \ become "?".
 */
void set_name(struct address *address, const char *name, size_t size);

/*
 * Sets the port from a decimal number: 0 to 65535, without leading zeros.  Returns false, and changes
 * nothing, for anything else.
 */
bool set_port(struct address *address, const char *text);

/* Writes the host, an IPv6 address in brackets, and the port, if there is one, after a colon. */
void describe_address(const struct address *address, char into[static ADDRESS_TEXT_SIZE]);

#endif
