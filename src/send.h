/* SPDX-License-Identifier: MIT */
/*
 * send - puts frames into the output, and logs them (sections 5.2, 5.4, 5.5)
 *
 * Leaves out what the lab mutes, and fragments messages if the lab asks for it.
 */
#ifndef SEND_H
#define SEND_H

#include "connection.h"

/*
 * Logs a frame by its first byte and the length of its payload in bytes, and a Close also by its code, which
 * is the first two bytes of `body` (unmasked; NULL if they have not come); never the payload.
 */
void log_frame(struct connection *c, const char *direction, uint8_t first_byte, uint64_t length,
               const uint8_t *body);

/*
 * Tells whether the lab mutes frames with this opcode: TEXT and BINARY for replies, PING, PONG, and CLOSE for
 * the answer to the peer's Close.
 */
bool is_muted(const struct connection *c, uint8_t opcode);

/* Puts a control frame into the output, unless it is a muted Ping or Pong.  put_close checks a Close. */
void put_control(struct connection *c, uint8_t opcode, const uint8_t *payload, size_t length);

/*
 * Puts an unfragmented message of `length` bytes into the output, or its fragments if the lab asks for them.
 * `first_byte` is that of the unfragmented message's frame.  May write, so the connection may be lost
 * afterwards.
 */
void put_message(struct connection *c, uint8_t first_byte, const uint8_t *payload, size_t length);

/* Puts a reply into the output, as put_message does. */
void put_reply(struct connection *c, const struct reply *reply);

#endif
