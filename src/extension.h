/*
 * extension - the parameters of permessage-deflate, as they are offered and agreed to (RFC 7692 section 7.1)
 *
 * Judges Sec-WebSocket-Extensions by the grammar of section 9.1.  Knows nothing of zlib.
 */
#ifndef EXTENSION_H
#define EXTENSION_H

#include <stdbool.h>
#include <stdint.h>

#include "head.h"
#include "outcome.h"

enum {
    WINDOW_BITS_MAX = 15, /* RFC 7692 section 7.1.2 */
    EXTENSION_SIZE = 160, /* bytes; permessage-deflate with all its parameters */
};

/* The parameters of permessage-deflate: RFC 7692 section 7.1. */
enum parameter {
    SERVER_NO_CONTEXT_TAKEOVER,
    CLIENT_NO_CONTEXT_TAKEOVER,
    SERVER_MAX_WINDOW_BITS,
    CLIENT_MAX_WINDOW_BITS,
    PARAMETERS
};

/* An offer of permessage-deflate, or what was agreed to. */
struct compression {
    bool acceptable;
    bool given[PARAMETERS];     /* the parameter is there */
    uint8_t values[PARAMETERS]; /* 0: it has none */
};

/*
 * Judges Sec-WebSocket-Extensions and chooses the first acceptable offer if compression is `enabled`;
 * section 9.1.  Returns DONE or a refusal.
 */
enum outcome choose_compression(const struct head *head, bool enabled, struct compression *chosen);

/* Writes what was agreed to as Sec-WebSocket-Extensions says it; empty if nothing was. */
void describe_compression(const struct compression *agreed, char into[static EXTENSION_SIZE]);

#endif
