/* SPDX-License-Identifier: MIT */
/*
 * echo - the frames after the handshake: messages and replies, control frames, Pings, the idle timeout
 * (sections 5 and 6)
 */
#ifndef ECHO_H
#define ECHO_H

#include "connection.h"

/*
 * Receives frames and answers them until the connection ends.  Returns why it ends.  Replies may still be in
 * the output buffer then.
 */
enum outcome echo_messages(struct connection *c);

#endif
