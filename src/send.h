/*
 * send - puts frames into the output, and logs them (sections 5.2, 5.4, 5.5)
 *
 * What the lab mutes is not put, and it has replies fragmented.
 */
#ifndef SEND_H
#define SEND_H

#include "connection.h"

/*
 * Logs a frame by its first byte and the length of its payload in bytes, and a Close also by its code, which
 * is the first two bytes of `body` (unmasked; NULL if they have not come); never the payload.
 */
void log_frame(struct connection *c, const char *direction, uint8_t first, uint64_t length,
               const uint8_t *body);

/* Tells whether the lab keeps what has this opcode from being sent: replies, Pings, Pongs, the answer to a
 * Close. */
bool is_muted(const struct connection *c, uint8_t opcode);

/* Puts a control frame into the output, unless it is a Ping or Pong that is muted. */
void put_control(struct connection *c, uint8_t opcode, const uint8_t *payload, size_t length);

/*
 * Puts a message of `length` bytes into the output, which the lab may have fragmented.  `first` is the first
 * byte of its only frame.  May write, so the connection may be lost afterwards.
 */
void put_message(struct connection *c, uint8_t first, const uint8_t *payload, size_t length);

/* Puts the frame of a reply into the output, as put_message does. */
void put_reply(struct connection *c, const struct reply *reply);

#endif
