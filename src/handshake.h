/*
 * handshake - judges a readable request, and what is agreed to (section 4.2)
 *
 * Pure functions of the head and the options.
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

/* What the handshake has chosen from what the client offers. */
struct agreement {
    struct slice subprotocol; /* may be empty */
    struct compression compression;
};

/*
 * Judges a readable request: what it asks for, and whether that is served.  The first fault in the order of
 * the manual is the outcome; DONE opens the WebSocket that was agreed to.
 */
enum outcome check_request(const struct head *head, const struct options *served, struct agreement *agreed);

/* Writes Sec-WebSocket-Accept for a key: section 4.2.2, 5.4. */
void make_accept(struct slice key, char accept[static ACCEPT_LENGTH + 1]);

/* Tells whether a path is the root, or the * of OPTIONS, which is judged as the root. */
bool is_root(struct slice path);

#endif
