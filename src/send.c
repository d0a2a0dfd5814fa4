/* SPDX-License-Identifier: MIT */
/* send - see send.h */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "send.h"

enum {
    SHORT_COPY_MAX = 256,       /* bytes; copying so few without memcpy takes less time than the call */
    COPY_REPLY_MAX = 64 * 1024, /* bytes; a longer reply is not copied, but written from its own memory */
    FRAGMENTS_MAX = 1000,       /* of `fragment` bytes in one message; the rest of it is one more */
};

void log_frame(struct connection *c, const char *direction, uint8_t first_byte, uint64_t length,
               const uint8_t *body)
{
    uint8_t opcode = first_byte & 0x0f;
    char code[sizeof " code=65535"] = "";
    if (opcode == CLOSE && length >= 2 && body)
        snprintf(code, sizeof code, " code=%d", body[0] << 8 | body[1]);
    log_line(&c->log, LOG_DEBUG, "%s %s fin=%d length=%" PRIu64 "%s%s", direction, opcode_names[opcode],
             (first_byte & FIN) != 0, length, first_byte & RSV1 ? " compressed" : "", code);
}

bool is_muted(const struct connection *c, uint8_t opcode)
{
    return c->lab.muted >> opcode & 1;
}

void put_control(struct connection *c, uint8_t opcode, const uint8_t *payload, size_t length)
{
    if (opcode != CLOSE && is_muted(c, opcode)) {
        if (c->log.verbose)
            log_frame(c, "muted", FIN | opcode, length, NULL);
        return;
    }
    uint8_t *frame = stream_reserve(&c->stream, REPLY_HEADER_MAX + length);
    size_t header_length = frame_encode_header(frame, opcode, length);
    copy_short(frame + header_length, payload, length);
    c->stream.output_used += header_length + length;
    if (c->log.verbose)
        log_frame(c, "sent", frame[0], length, payload);
}

/* Puts bytes into the output; many bytes are not copied, but written at once after the collected output. */
static void put_bytes(struct connection *c, const uint8_t *bytes, size_t length)
{
    if (length > COPY_REPLY_MAX) {
        stream_flush_with(&c->stream, bytes, length);
        return;
    }
    uint8_t *to = stream_reserve(&c->stream, length);
    if (length <= SHORT_COPY_MAX)
        copy_short(to, bytes, length);
    else
        memcpy(to, bytes, length);
    c->stream.output_used += length;
}

void put_message(struct connection *c, uint8_t first_byte, const uint8_t *payload, size_t length)
{
    size_t fragment = c->lab.fragment > 0 ? (size_t)c->lab.fragment : SIZE_MAX, rest = length, part;
    for (unsigned fragments = 1;; fragments++, rest -= part) {
        part = fragments <= FRAGMENTS_MAX ? smaller(rest, fragment) : rest;
        uint8_t *header = stream_reserve(&c->stream, REPLY_HEADER_MAX);
        c->stream.output_used += frame_encode_header(header, CONTINUATION, part);
        /* RSV1 is set in the first fragment only: RFC 7692 section 6.1. */
        uint8_t byte =
            (uint8_t)((fragments == 1 ? first_byte & ~FIN : CONTINUATION) | (part == rest ? FIN : 0));
        header[0] = byte;
        put_bytes(c, payload + (length - rest), part);
        if (c->log.verbose)
            log_frame(c, "sent", byte, part, NULL);
        if (part == rest)
            return;
    }
}

void put_reply(struct connection *c, const struct reply *reply)
{
    if (c->lab.fragment > 0) {
        put_message(c, reply->bytes[0], reply->bytes + reply->length - reply->payload_length,
                    reply->payload_length);
        return;
    }
    put_bytes(c, reply->bytes, reply->length);
    if (c->log.verbose && !c->stream.lost)
        log_frame(c, "sent", reply->bytes[0], reply->payload_length, NULL);
}
