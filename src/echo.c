/* SPDX-License-Identifier: MIT */
/* echo - see echo.h */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>

#include "echo.h"
#include "lab.h"
#include "memory.h"
#include "send.h"
#include "utf8.h"

enum { RESIDENT_MAX = 64 * 1024 /* bytes; the memory of a longer message is released later */ };

#define QUIET_TIME (SECOND / 10) /* from the last large message until memory is released */

/* Logs the uncompressed length of a compressed message; log_frame logs the lengths on the wire. */
static void log_message_length(struct connection *c, const char *what, uint64_t length)
{
    log_line(&c->log, LOG_DEBUG, "%s %s length=%" PRIu64, what, opcode_names[c->message.opcode], length);
}

/*
 * Echoes a message that is one complete frame in the input, directly from the input buffer to the output
 * buffer.
 */
static enum outcome echo_frame(struct connection *c, struct frame *frame, const uint8_t *payload)
{
    const struct prefix *prefix = &c->options->prefix;
    size_t length = (size_t)frame->length;
    uint8_t utf8 = UTF8_WHOLE, *reply = stream_reserve(&c->stream, REPLY_ROOM + length);
    size_t payload_start = reply_begin(reply, frame->opcode, length, prefix);
    if (!unmask_and_validate(frame, &utf8, frame->opcode == TEXT, reply + payload_start, payload, length) ||
        utf8 != UTF8_WHOLE)
        return TEXT_NOT_UTF8;
    c->stream.output_used += payload_start + length;
    c->messages++;
    if (c->log.verbose)
        log_frame(c, "sent", reply[0], length + prefix_length(prefix, frame->opcode), NULL);
    return DONE;
}

/* Releases all memory that large messages took, except where unconsumed bytes are. */
static void release_idle_memory(struct connection *c)
{
    struct stream *stream = &c->stream;
    codec_release(&c->codec, &c->message, &c->agreed);
    message_release(&c->message);
    memory_release(stream->input + stream->input_end, stream->input + sizeof stream->input);
    memory_release(stream->output + stream->output_used, stream->output + sizeof stream->output);
    c->message.release_at = NEVER;
}

/* Puts the reply to the complete message into the output, compressed if the message was. */
static enum outcome send_reply(struct connection *c)
{
    struct message *message = &c->message;
    const struct prefix *prefix = &c->options->prefix;
    struct reply reply = message->compressed ? deflate_reply(&c->codec, message, prefix, &c->agreed)
                                             : message_reply(message, prefix);
    if (!reply.bytes) {
        c->stream.error = errno;
        return NO_MEMORY;
    }
    if (message->compressed && c->log.verbose)
        log_message_length(c, "deflated", message->length + prefix_length(prefix, message->opcode));
    lab_hold_reply(c);
    put_reply(c, &reply);
    if (c->stream.lost)
        return c->stream.lost_how;
    c->messages++;
    return DONE;
}

/* Echoes the complete message, unless the lab mutes that. */
static enum outcome echo_message(struct connection *c)
{
    struct message *message = &c->message;
    bool muted = is_muted(c, message->opcode);
    if (message->utf8 != UTF8_WHOLE)
        return TEXT_NOT_UTF8;
    if (muted && c->log.verbose)
        log_message_length(c, "muted", message->length);
    enum outcome outcome = muted ? DONE : send_reply(c);
    if (outcome != DONE)
        return outcome;
    if (message->length > RESIDENT_MAX || message->compressed)
        message->release_at = c->stream.cached_now + QUIET_TIME;
    message->opcode = CONTINUATION;
    message->length = 0;
    return lab_count_message(c);
}

/*
 * Unmasks payload of a compressed message in place and inflates it; `last`: the message ends with this
 * payload.
 */
static enum outcome take_compressed_payload(struct connection *c, uint8_t *payload, size_t length, bool last)
{
    unmask_and_validate(&c->frame, &c->message.utf8, false, payload, payload, length);
    enum outcome outcome = inflate_payload(&c->codec, &c->message, payload, length, last);
    if (outcome == NO_MEMORY)
        c->stream.error = errno;
    if (c->log.verbose && (last || outcome != DONE))
        log_message_length(c, "inflated", c->message.length);
    return outcome;
}

/*
 * Adds `length` bytes of the current data frame's payload to the message and echoes the message if it is
 * complete.  Returns DONE at the end of the frame, NEED_MORE before it, or how the connection ends.
 */
static enum outcome take_payload(struct connection *c, uint8_t *payload, size_t length)
{
    struct message *message = &c->message;
    bool last = length == c->payload_left && c->frame.fin;
    enum outcome outcome = DONE;
    if (message->compressed)
        outcome = take_compressed_payload(c, payload, length, last);
    else if (unmask_and_validate(&c->frame, &message->utf8, message->opcode == TEXT, payload_end(message),
                                 payload, length))
        message->length += length;
    else
        outcome = TEXT_NOT_UTF8;
    c->payload_left -= length;
    if (outcome != DONE || c->payload_left > 0)
        return outcome != DONE ? outcome : NEED_MORE;
    return last ? echo_message(c) : DONE;
}

/* Stores the code and the reason of the peer's Close; sections 7.1.5, 7.1.6. */
static void note_close(struct connection *c, const uint8_t *body, size_t length)
{
    c->has_close_code = true;
    c->close_code = NO_STATUS;
    if (length >= 2) {
        c->close_code = (uint16_t)(body[0] << 8 | body[1]);
        memcpy(c->peer_reason, body + 2, length - 2);
        c->close_reason = (struct slice){c->peer_reason, length - 2};
    }
}

/*
 * Handles the control frame at the start of the input once it is complete: answers a Ping, ignores a Pong,
 * and stores a Close, which ends the connection; section 5.5.  An invalid Close body is refused as soon as
 * the wrong byte is there.
 */
static enum outcome receive_control_frame(struct connection *c, const struct frame *frame)
{
    const uint8_t *input = c->stream.input + c->stream.input_start;
    size_t length = (size_t)frame->length;
    size_t available = smaller(c->stream.input_end - c->stream.input_start - frame->header_length, length);
    uint8_t payload[CONTROL_PAYLOAD_MAX];
    frame_unmask(payload, input + frame->header_length, available, frame->masking_key);
    enum outcome outcome = frame->opcode == CLOSE ? check_close_body(payload, available, length)
                           : available == length  ? DONE
                                                  : NEED_MORE;
    if (outcome == NEED_MORE)
        return NEED_MORE;
    if (c->log.verbose)
        log_frame(c, "received", input[0], length, payload);
    c->close_received = frame->opcode == CLOSE;
    if (outcome != DONE)
        return outcome;
    c->stream.input_start += frame->header_length + length;
    if (frame->opcode == PING)
        put_control(c, PONG, payload, length);
    if (frame->opcode != CLOSE)
        return DONE;
    note_close(c, payload, length);
    return CLOSED_BY_PEER;
}

/* Consumes the header of the data frame at the start of the input, and as much of its payload as is there. */
static enum outcome receive_data_frame(struct connection *c, struct frame *frame)
{
    struct stream *stream = &c->stream;
    struct message *message = &c->message;
    uint8_t *payload = stream->input + stream->input_start + frame->header_length;
    size_t available = stream->input_end - stream->input_start - frame->header_length;
    bool first = frame->opcode != CONTINUATION;
    if (c->log.verbose)
        log_frame(c, "received", stream->input[stream->input_start], frame->length, NULL);
    stream->input_start += frame->header_length;
    /* A compressed frame's length says nothing about the length of the message. */
    if (frame->length > message->limit - message->length &&
        !(first ? frame->compressed : message->compressed)) {
        c->payload_left = frame->length; /* skip_to_close() skips the payload */
        return MESSAGE_TOO_BIG;
    }
    if (available > frame->length)
        available = (size_t)frame->length;
    bool is_whole = frame->fin && first && available == frame->length;
    if (is_whole && !frame->compressed && !c->lab.takes_replies) {
        stream->input_start += available;
        return echo_frame(c, frame, payload);
    }
    c->payload_left = frame->length; /* after NO_MEMORY, skip_to_close() skips this payload too */
    if (!message_map(message) || (frame->compressed && !begin_inflating(&c->codec, message, &c->agreed))) {
        stream->error = errno;
        return NO_MEMORY;
    }
    if (first) {
        message->opcode = frame->opcode;
        message->compressed = frame->compressed;
        message->utf8 = UTF8_WHOLE;
    }
    c->frame = *frame;
    stream->input_start += available;
    return take_payload(c, payload, available);
}

/*
 * Consumes what the input has of one frame.  Returns DONE at the end of the frame, NEED_MORE before it, or
 * how the connection ends.
 */
static enum outcome receive_frame(struct connection *c)
{
    uint8_t *input = c->stream.input + c->stream.input_start;
    size_t available = c->stream.input_end - c->stream.input_start;
    bool in_message = c->message.opcode != CONTINUATION;
    struct frame frame;
    if (c->payload_left > 0) {
        if (available > c->payload_left)
            available = (size_t)c->payload_left;
        c->stream.input_start += available;
        return take_payload(c, input, available);
    }
    enum outcome outcome = frame_decode_header(input, available, in_message, c->agreed.acceptable, &frame);
    if (outcome != DONE) {
        c->close_received = outcome != NEED_MORE && (input[0] & 0x0f) == CLOSE;
        return outcome;
    }
    return is_control(frame.opcode) ? receive_control_frame(c, &frame) : receive_data_frame(c, &frame);
}

/* Restarts the count of the peer's silence if the peer was active since the last call. */
static void note_activity(struct connection *c)
{
    if (c->counted_activity == c->stream.last_activity)
        return;
    c->counted_activity = c->silent_since = c->stream.last_activity;
    c->pings = 0;
}

/*
 * Returns the next deadline for a peer that stays silent: a Ping, the idle timeout, or `due`, when memory is
 * released or the lab acts.
 */
static int64_t next_deadline(const struct connection *c, int64_t due)
{
    int64_t deadline = due;
    int64_t ping = c->silent_since + (c->pings + 1) * c->options->ping_interval;
    int64_t end = c->silent_since + c->options->timeout;
    if (c->options->ping_interval > 0 && ping < deadline)
        deadline = ping;
    return c->options->timeout > 0 && end < deadline ? end : deadline;
}

/*
 * Sends a Ping or ends the connection if one of these is due, after `deadline` has passed without bytes.  Our
 * own lateness is not counted as silence: after SIGSTOP and SIGCONT the peer first gets a Ping.
 */
static enum outcome note_silence(struct connection *c, int64_t deadline)
{
    c->silent_since += c->stream.cached_now - deadline;
    int64_t silence = c->stream.cached_now - c->silent_since;
    if (c->options->timeout > 0 && silence >= c->options->timeout)
        return IDLE;
    if (c->options->ping_interval > 0 && silence >= (c->pings + 1) * c->options->ping_interval) {
        put_control(c, PING, (const uint8_t *)"", 0);
        c->pings++;
    }
    return DONE;
}

/*
 * Does what is due even while the peer is busy: releases memory, and what the lab has scheduled.  Returns
 * DONE, or how the connection ends.
 */
static enum outcome do_due(struct connection *c)
{
    if (c->stream.cached_now >= c->message.release_at)
        release_idle_memory(c);
    return c->stream.cached_now >= c->lab.due_at ? lab_act(c) : DONE;
}

/*
 * Writes the output, then waits for more input.  Returns DONE, also after a deadline that ends nothing, or
 * how the connection ends.
 */
static enum outcome receive_more(struct connection *c)
{
    /* Flush before anything else: a write that has to wait counts as activity of the peer, and takes time. */
    stream_flush(&c->stream);
    int64_t due = c->message.release_at < c->lab.due_at ? c->message.release_at : c->lab.due_at;
    if (c->stream.cached_now >= due)
        return do_due(c);
    note_activity(c);
    int64_t deadline = next_deadline(c, due);
    switch (stream_receive(&c->stream, deadline)) {
    case BYTES: return DONE;
    case END_OF_STREAM: return END_OF_INPUT;
    case DUE: return note_silence(c, deadline);
    case STOP: return STOPPED;
    default: return c->stream.lost_how;
    }
}

enum outcome echo_messages(struct connection *c)
{
    enum outcome outcome = DONE;
    /* DONE: the input may have another frame.  NEED_MORE: read first. */
    while (outcome == DONE || outcome == NEED_MORE)
        outcome = outcome == DONE ? receive_frame(c) : receive_more(c);
    return outcome;
}
