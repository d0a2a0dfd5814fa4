/*
 * echo - exchanges frames: messages and their replies, control frames, Pings and the peer's silence (sections
 * 5, 6)
 */
#ifndef ECHO_H
#define ECHO_H

#include "connection.h"

/* Exchanges frames until the connection ends.  Returns how. */
enum outcome echo_messages(struct connection *c);

/* Puts a control frame into the output. */
void put_control(struct connection *c, uint8_t opcode, const uint8_t *payload, size_t length);

/*
 * Logs a frame by its first byte and its length, and a Close also by its code, which is the first two bytes
 * of `body` (unmasked; NULL if they have not come); never the payload.
 */
void log_frame(struct connection *c, const char *direction, uint8_t first, uint64_t length,
               const uint8_t *body);

#endif
