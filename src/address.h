/*
 * address - the peer's address as it is logged
 *
 * A host is an IP address, an IPv4-mapped one as IPv4, or another name; a port is a decimal number, or empty.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_SIZE = 108 + 1 /* the longest address, a Unix socket's path */ };

struct address {
    char host[ADDRESS_SIZE];
    char port[sizeof "4294967295"];
};

/*
 * Sets the host from the bytes of an IP address, of which there are 4 or 16; an IPv4-mapped one becomes
 * IPv4.
 */
void set_ip(struct address *address, const void *bytes, size_t count);

/* Sets the host from an IP address as text, as set_ip does.  Returns false if it is none. */
bool set_host(struct address *address, const char *text);

/* Sets the host to another name, such as the path of a Unix socket; bytes that are not visible become "?". */
void set_name(struct address *address, const char *name, size_t size);

/* Sets the port from a decimal number, 0 to 65535 without leading zeros.  Returns false if it is none. */
bool set_port(struct address *address, const char *text);

#endif
