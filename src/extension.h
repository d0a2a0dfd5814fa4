/* SPDX-License-Identifier: MIT */
/*
 * extension - negotiates permessage-deflate: parses the offers, chooses one, writes the answer (RFC 7692
 * section 7.1)
 *
 * Checks Sec-WebSocket-Extensions against the grammar of section 9.1.  Knows nothing of zlib.
 */
#ifndef EXTENSION_H
#define EXTENSION_H

#include <stdbool.h>
#include <stdint.h>

#include "head.h"
#include "outcome.h"

enum {
    WINDOW_BITS_MAX = 15, /* RFC 7692 section 7.1.2 */
    EXTENSION_SIZE = 160, /* bytes; enough for permessage-deflate with all its parameters */
};

/* The parameters of permessage-deflate: RFC 7692 section 7.1. */
enum parameter {
    SERVER_NO_CONTEXT_TAKEOVER,
    CLIENT_NO_CONTEXT_TAKEOVER,
    SERVER_MAX_WINDOW_BITS,
    CLIENT_MAX_WINDOW_BITS,
    PARAMETERS
};

/* An offer of permessage-deflate, or the result of the negotiation. */
struct compression {
    bool acceptable;            /* in a result: permessage-deflate was negotiated */
    bool given[PARAMETERS];     /* the parameter was offered */
    uint8_t values[PARAMETERS]; /* its value; 0: it was offered without one, or not at all */
};

/*
 * Checks Sec-WebSocket-Extensions (section 9.1) and, if compression is `enabled`, chooses the first
 * acceptable offer.  Returns DONE, also if nothing was chosen, or EXTENSION_MALFORMED.
 */
enum outcome choose_compression(const struct head *head, bool enabled, struct compression *chosen);

/* Writes the Sec-WebSocket-Extensions of the answer; an empty string if nothing was agreed to. */
void describe_compression(const struct compression *agreed, char into[static EXTENSION_SIZE]);

#endif
