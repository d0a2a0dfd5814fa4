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
#include "words.h"

/* Writes the sentence of an outcome, for the peer and the record, with what is filled in there. */
void describe_end(enum outcome outcome, const struct options *options, char sentence[static SENTENCE_SIZE]);

/*
 * Puts the answer that opens the WebSocket: section 4.2.2; `extension` is what was agreed to, as it is
 * answered, or empty.  The lab wants a Sec-WebSocket-Accept that is wrong.
 */
void put_switching(struct stream *stream, const struct head *head, struct slice subprotocol,
                   const char *extension, bool wrong_accept);

/* Puts the answer to a request that opens no WebSocket. */
void put_answer(struct stream *stream, const struct head *head, const struct options *options,
                enum outcome outcome);

/* Puts the answer with the status that the lab was asked for; `path` is one of --lab. */
void put_lab_answer(struct stream *stream, struct slice path, int status);

#endif
