/* SPDX-License-Identifier: MIT */
/*
 * answer - puts the HTTP answer of the connection into the output: there is exactly one request
 *
 * No byte of the request is copied into an answer, except the subprotocol and the extension that were agreed
 * to.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include "handshake.h"
#include "head.h"
#include "options.h"
#include "outcome.h"
#include "stream.h"
#include "words.h"

/*
 * Writes the sentence of an outcome, for the peer and the record.  A %s in it becomes the first path, the
 * list of the lab's words, or the hint at the test page.
 */
void describe_outcome(enum outcome outcome, const struct options *options,
                      char sentence[static SENTENCE_SIZE]);

/*
 * Puts 101 Switching Protocols: section 4.2.2.  `subprotocol` and `extension` are the values of
 * Sec-WebSocket-Protocol and Sec-WebSocket-Extensions; where one is empty, its field is left out.
 * `wrong_accept`: the lab makes a Sec-WebSocket-Accept that does not belong to the key.
 */
void put_switching(struct stream *stream, const struct head *head, struct slice subprotocol,
                   const char *extension, bool wrong_accept);

/*
 * Puts the answer to any other request: the status, the fields and the sentence of the outcome, or the test
 * page.
 */
void put_answer(struct stream *stream, const struct head *head, const struct options *options,
                enum outcome outcome);

/* Puts the lab's answer with a status.  `path` is that of the request, to which a redirect leads. */
void put_lab_answer(struct stream *stream, struct slice path, int status);

#endif
