/* SPDX-License-Identifier: MIT */
/*
 * closing - sends our Close frame, and waits for the peer after a Close frame or an HTTP answer (section 7)
 *
 * Closing the socket while the peer still sends would reset the connection, and the reset can overtake our
 * last output: proxies then drop that output.  If we ended our output before the peer has sent its Close,
 * clients would fail to send theirs.  So we wait for the peer's Close, then end our output, then read until
 * the peer ends, all within limits.
 */
#ifndef CLOSING_H
#define CLOSING_H

#include "connection.h"

/*
 * Puts our Close into the output: for CLOSED_BY_PEER the answer, with the peer's own code and reason, unless
 * the lab mutes it; otherwise our own, with the outcome's code and its sentence as reason.  Stores code and
 * reason for the record unless a Close of the peer came before, to which the lab muted the answer.
 */
void put_close(struct connection *c, enum outcome outcome);

/*
 * Tells whether our Close frame is in the output or sent, and the peer still has to answer it.  Always false
 * for pipes and files.
 */
bool expects_close(const struct connection *c);

/*
 * Leaves the peer's Close without an answer, as the lab was asked to, once the output is written: discards
 * what the peer sends until it ends the stream, for at most --timeout.  Returns CLOSED_BY_PEER, or STOPPED
 * after a stop signal.
 */
enum outcome withhold_close(struct connection *c);

/*
 * Waits for the peer after our Close frame or HTTP answer was written: first for its Close, if one is
 * expected, then for the end of its stream.  Both together take at most CLOSING_TIME and CLOSING_MAX bytes.
 * After PROTOCOL_ERROR and INVALID_PAYLOAD all that the peer sends is discarded unparsed, even its Close
 * (section 7.1.7).  Returns at once unless the connection is a socket.
 */
void await_peer(struct connection *c, enum outcome outcome);

#endif
