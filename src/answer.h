/*
 * answer - puts the one HTTP answer of a connection into the output
 *
 * Nothing of the request is repeated but what was agreed to.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include "handshake.h"
#include "head.h"
#include "options.h"
#include "outcome.h"
#include "stream.h"

/*
 * Puts the answer that opens the WebSocket: section 4.2.2; `extension` is what was agreed to, as it is
 * answered, or empty.
 */
void put_switching(struct stream *stream, const struct head *head, struct slice subprotocol,
                   const char *extension);

/* Puts the answer to a request that opens no WebSocket. */
void put_answer(struct stream *stream, const struct head *head, const struct options *options,
                enum outcome outcome);

#endif
