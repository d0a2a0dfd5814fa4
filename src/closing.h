/*
 * closing - our last word, and the wait for the peer that follows it (section 7)
 *
 * A reset, or an end of the stream that comes too early, would keep the last word from arriving: proxies drop
 * it, and clients fail to send their answer.
 */
#ifndef CLOSING_H
#define CLOSING_H

#include "connection.h"

/*
 * Puts our Close into the output: the answer to the peer's, unless the lab mutes that, or the first one, with
 * the outcome's code and reason.
 */
void put_close(struct connection *c, enum outcome outcome);

/* Tells whether our last word is a Close that the peer still has to answer. */
bool expects_close(const struct connection *c);

/*
 * Does not answer the peer's Close, as the lab was asked to: discards what the peer sends until its end of
 * the stream, for as long as --timeout at most.  Returns CLOSED_BY_PEER, or STOPPED after a signal.
 */
enum outcome withhold_close(struct connection *c);

/*
 * Waits after our last word: first for the peer's Close, if it is expected, then for its end of the stream.
 * After PROTOCOL_ERROR and INVALID_PAYLOAD nothing of the peer may be processed, not even its Close
 * (section 7.1.7).
 */
void await_peer(struct connection *c, enum outcome outcome);

#endif
