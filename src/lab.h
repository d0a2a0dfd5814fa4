/* SPDX-License-Identifier: MIT */
/*
 * lab - makes the faults that the query of a request to a path of --lab asks for, in the words of words.h
 *
 * ws-echo.c and echo call this room at a few points: before the answer, with the 101, at a reply, when
 * something is due, and after each message.  If the query has no words, each of these functions returns at
 * once.  The rest is done where frames and bytes are sent: send mutes and fragments, stream slices and delays
 * writes.
 */
#ifndef LAB_H
#define LAB_H

#include "connection.h"

/* Parses the query of a request that would be answered with 101.  Returns DONE, or why it is refused. */
enum outcome lab_read_words(struct connection *c);

/*
 * Sleeps for `delay`, then puts the answer with `status`, if that was given.  Returns DONE if the 101 is to
 * follow, LAB if it is not, or how the connection was lost.  Also begins to slice writes.
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

/*
 * Delays the reply that is put next by `latency`, counted from the read that completed its message.  All
 * replies to messages of one read are written together.
 */
void lab_hold_reply(struct connection *c);

/* Counts a complete message for `count`.  Returns DONE or how the connection ends. */
enum outcome lab_count_message(struct connection *c);

/* Does what is due by now: `repeat` and the trigger.  Returns DONE or how the connection ends. */
enum outcome lab_act(struct connection *c);

#endif
