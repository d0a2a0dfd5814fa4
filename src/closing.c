/* SPDX-License-Identifier: MIT */
/* closing - see closing.h */
#include <string.h>

#include "clock.h"
#include "closing.h"
#include "send.h"

enum { CLOSING_MAX = 64 * 1024 * 1024 /* bytes read after our Close frame or HTTP answer */ };

#define CLOSING_TIME (2 * SECOND)   /* the most that we wait for the peer after our Close or answer */
#define CLOSING_QUIET (SECOND / 10) /* time without a byte that ends the wait after 1002 and 1007 */

void put_close(struct connection *c, enum outcome outcome)
{
    uint8_t body[CONTROL_PAYLOAD_MAX];
    size_t length = 0;
    uint16_t code = c->close_code;
    struct slice reason = c->close_reason;
    if (outcome == CLOSED_BY_PEER && is_muted(c, CLOSE))
        return;
    if (outcome != CLOSED_BY_PEER) {
        code = outcomes[outcome].code;
        reason = SLICE_OF(outcomes[outcome].sentence);
    }
    if (!c->has_close_code) { /* else the peer's Close came first; the lab may have muted the answer to it */
        c->has_close_code = true;
        c->close_code = code;
        c->close_reason = reason;
    }
    if (code != NO_STATUS) {
        body[length++] = (uint8_t)(code >> 8);
        body[length++] = (uint8_t)code;
        memcpy(body + length, reason.bytes, reason.length);
        length += reason.length;
    }
    c->close_sent = true;
    put_control(c, CLOSE, body, length);
}

bool expects_close(const struct connection *c)
{
    return c->stream.sockets && c->close_sent && !c->close_received;
}

/*
 * Reads as stream_receive does, after our Close frame or HTTP answer.  Returns DUE also once CLOSING_TIME has
 * passed or CLOSING_MAX bytes have come since.
 */
static enum arrival receive_while_closing(struct connection *c, int64_t deadline)
{
    if (c->stream.cached_now >= c->drain_deadline || c->stream.bytes_in >= c->drain_limit)
        return DUE;
    return stream_receive(&c->stream, deadline < c->drain_deadline ? deadline : c->drain_deadline);
}

/*
 * Reads and discards until the end of the stream, the end of CLOSING_TIME, or `quiet` microseconds without a
 * byte.
 */
static void discard_input(struct connection *c, int64_t quiet)
{
    do
        c->stream.input_start = c->stream.input_end = 0;
    while (receive_while_closing(c, c->stream.cached_now + quiet) == BYTES);
}

/*
 * Logs the peer's Close frame, whose header is at the start of the input, with its code if that has arrived.
 */
static void log_skipped_close(struct connection *c, const struct frame *frame)
{
    const uint8_t *input = c->stream.input + c->stream.input_start;
    size_t available = c->stream.input_end - c->stream.input_start;
    uint8_t code[2];
    bool has_code = frame->length >= sizeof code && available >= frame->header_length + sizeof code;
    if (has_code)
        frame_unmask(code, input + frame->header_length, sizeof code, frame->masking_key);
    log_frame(c, "received", input[0], frame->length, has_code ? code : NULL);
}

/*
 * Skips the peer's frames until the header of its Close, an invalid header, or the end.  The rest of a
 * refused message may still arrive, so fragments are accepted in any order here.
 */
static void skip_to_close(struct connection *c)
{
    struct stream *stream = &c->stream;
    enum arrival arrival = BYTES;
    while (arrival == BYTES) {
        struct frame frame;
        size_t available = stream->input_end - stream->input_start;
        size_t skipped = available < c->payload_left ? available : (size_t)c->payload_left;
        stream->input_start += skipped;
        c->payload_left -= skipped;
        available -= skipped;
        const uint8_t *input = stream->input + stream->input_start;
        bool in_message = available > 0 && (input[0] & 0x0f) == CONTINUATION;
        enum outcome outcome =
            frame_decode_header(input, available, in_message, c->agreed.acceptable, &frame);
        if (outcome == DONE && frame.opcode != CLOSE) {
            stream->input_start += frame.header_length;
            c->payload_left = frame.length;
        } else if (outcome == NEED_MORE) {
            arrival = receive_while_closing(c, NEVER);
        } else {
            if (outcome == DONE && c->log.verbose)
                log_skipped_close(c, &frame);
            return;
        }
    }
}

enum outcome withhold_close(struct connection *c)
{
    enum arrival arrival = BYTES;
    if (c->log.verbose)
        log_frame(c, "muted", FIN | CLOSE, c->close_code == NO_STATUS ? 0 : 2 + c->close_reason.length, NULL);
    c->stream.cached_now = clock_now();
    int64_t deadline = c->options->timeout > 0 ? c->stream.cached_now + c->options->timeout : NEVER;
    while (arrival == BYTES) {
        c->stream.input_start = c->stream.input_end = 0;
        arrival = c->stream.cached_now < deadline ? stream_receive(&c->stream, deadline) : DUE;
    }
    return arrival == STOP ? STOPPED : CLOSED_BY_PEER;
}

void await_peer(struct connection *c, enum outcome outcome)
{
    if (!c->stream.sockets) /* only a socket can be reset */
        return;
    c->stream.cached_now = clock_now();
    c->drain_deadline = c->stream.cached_now + CLOSING_TIME;
    c->drain_limit = c->stream.bytes_in + CLOSING_MAX;
    if (expects_close(c)) {
        if (outcomes[outcome].code == PROTOCOL_ERROR || outcomes[outcome].code == INVALID_PAYLOAD)
            discard_input(c, CLOSING_QUIET);
        else
            skip_to_close(c);
        stream_end_output(&c->stream);
    }
    discard_input(c, CLOSING_TIME);
}
