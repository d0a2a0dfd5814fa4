/* SPDX-License-Identifier: MIT */
/*
 * handshake - decides whether a readable request is served, and negotiates subprotocol and extension (section
 * 4.2)
 *
 * Pure functions of the request head and the options.
 */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include "extension.h"
#include "head.h"
#include "options.h"
#include "outcome.h"
#include "text.h"

enum {
    KEY_LENGTH = 24,    /* bytes; Sec-WebSocket-Key, section 4.1 */
    ACCEPT_LENGTH = 28, /* bytes; Sec-WebSocket-Accept, section 4.2.2 */
};

/* What the handshake has chosen from the client's offers. */
struct agreement {
    struct slice subprotocol; /* empty: none */
    struct compression compression;
};

/*
 * Decides what a readable request is answered with.  Returns DONE to open the WebSocket that `agreed`
 * describes, an outcome of status 200 or 204, or the first fault in the order that the manual gives.
 */
enum outcome check_request(const struct head *head, const struct options *options, struct agreement *agreed);

/* Writes the Sec-WebSocket-Accept for a key, and a NUL: section 4.2.2. */
void make_accept(struct slice key, char accept[static ACCEPT_LENGTH + 1]);

/* Tells whether a path is /, or the * of OPTIONS, which is treated like /. */
bool is_root(struct slice path);

#endif
