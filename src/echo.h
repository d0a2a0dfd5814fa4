/*
 * echo - exchanges frames: messages and their replies, control frames, Pings and the peer's silence (sections
 * 5, 6)
 */
#ifndef ECHO_H
#define ECHO_H

#include "connection.h"

/* Exchanges frames until the connection ends.  Returns how. */
enum outcome echo_messages(struct connection *c);

#endif
