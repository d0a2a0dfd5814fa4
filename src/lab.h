/*
 * lab - makes the faults that the query of a request to a path of --lab asks for
 *
 * The life of the connection asks here at a few points: before the answer, with the 101, at a reply, when
 * something is due, and after each message.  Where no words were given each of them returns at once.
 */
#ifndef LAB_H
#define LAB_H

#include "connection.h"

/*
 * Reads the words of a request that is about to be answered with 101.  Returns DONE, or why the request is
 * refused.
 */
enum outcome lab_read_words(struct connection *c);

/*
 * Delays the answer, and puts the answer with the status that was asked for.  Returns DONE, LAB if that was
 * the answer, or how the connection was lost.
 */
enum outcome lab_before_answer(struct connection *c);

/*
 * Replaces the subprotocol and the extension that the 101 names, where `bad` asks for it.  Returns whether
 * its Sec-WebSocket-Accept is to be wrong.
 */
bool lab_spoil_answer(struct connection *c, struct slice *subprotocol);

/*
 * Puts what goes out with the 101, and begins the schedule of what is due later.  Returns DONE or how the
 * connection ends.
 */
enum outcome lab_begin(struct connection *c);

/* Holds the reply to a message for the latency, together with all that the last read completed. */
void lab_hold_reply(struct connection *c);

/* Counts a complete message.  Returns DONE or how the connection ends. */
enum outcome lab_count_message(struct connection *c);

/* Does what is due by now.  Returns DONE or how the connection ends. */
enum outcome lab_act(struct connection *c);

#endif
