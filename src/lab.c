/* SPDX-License-Identifier: MIT */
/* lab - see lab.h */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "answer.h"
#include "clock.h"
#include "lab.h"
#include "send.h"
#include "utf8.h"

enum { REPEATS_MAX = 1000 /* of the hello, in one connection */ };

enum outcome lab_read_words(struct connection *c)
{
    const struct choices *origins = &c->options->origins;
    struct slice origin;
    if (!choices_include(&c->options->labs, c->head.path))
        return DONE;
    enum outcome outcome = words_parse(c->head.query, c->options->timeout, c->stream.tcp, &c->words);
    if (outcome != DONE)
        return outcome;
    /* The head may contain cookies, which a page of another origin must not read. */
    bool from_page = head_find_field(&c->head, "Origin", &origin) > 0;
    bool named = !origins->any && choices_include(origins, origin);
    return c->words.headers && from_page && !named ? LAB_HEADERS_FORBIDDEN : DONE;
}

/* Logs a fault and its length in bytes: that of a message, of raw bytes or of a slice. */
static void log_fault(struct connection *c, const char *fault, size_t length)
{
    if (c->log.verbose)
        log_line(&c->log, LOG_DEBUG, "lab %s length=%zu", fault, length);
}

/* Logs a fault that is a wait. */
static void log_wait(struct connection *c, const char *fault, int64_t duration)
{
    if (c->log.verbose)
        log_line(&c->log, LOG_DEBUG, "lab %s seconds=%g", fault, (double)duration / (double)SECOND);
}

/*
 * Writes the output, then sleeps for a duration, or until a stop signal.  Returns false if the connection is
 * lost.
 */
static bool sleep_for(struct connection *c, const char *fault, int64_t duration)
{
    stream_flush(&c->stream);
    log_wait(c, fault, duration);
    return stream_sleep_until(&c->stream, clock_now() + duration);
}

enum outcome lab_before_answer(struct connection *c)
{
    const struct words *words = &c->words;
    c->stream.pace.slice = (size_t)words->slice;
    c->stream.paced = words->slice > 0 || words->latency > 0;
    if (words->slice > 0)
        log_fault(c, "slice", c->stream.pace.slice);
    if (words->delay > 0 && !sleep_for(c, "delay", words->delay))
        return c->stream.lost_how;
    if (words->status == 0)
        return DONE;
    c->status = words->status;
    if (c->log.verbose)
        log_line(&c->log, LOG_DEBUG, "lab status=%d", words->status);
    put_lab_answer(&c->stream, c->head.path, words->status);
    return LAB;
}

/* Tells whether the client offers a name: with or without parameters, in the list of the fields `field`. */
static bool is_offered(const struct head *head, const char *field, const char *name)
{
    struct list list = {0};
    struct slice element;
    while (head_next_element(head, field, &list, &element))
        if (slice_is(slice_trimmed(slice_cut(&element, ';')), name))
            return true;
    return false;
}

/* Writes a name that the client does not offer there: ws-echo-lab, or else ws-echo-lab-2 and so on. */
static void invent_name(const struct head *head, const char *field, char *name, size_t size)
{
    snprintf(name, size, "ws-echo-lab");
    for (unsigned number = 2; is_offered(head, field, name); number++)
        snprintf(name, size, "ws-echo-lab-%u", number);
}

bool lab_spoil_answer(struct connection *c, struct slice *subprotocol)
{
    unsigned bad = c->words.bad;
    if (bad & BAD_SUBPROTOCOL) {
        invent_name(&c->head, "Sec-WebSocket-Protocol", c->subprotocol.bytes, sizeof c->subprotocol.bytes);
        c->subprotocol.length = strlen(c->subprotocol.bytes);
        *subprotocol = (struct slice){c->subprotocol.bytes, c->subprotocol.length};
    }
    if (bad & BAD_EXTENSION) {
        c->agreed = (struct compression){.acceptable = false};
        invent_name(&c->head, "Sec-WebSocket-Extensions", c->extension, sizeof c->extension);
    }
    if (bad && c->log.verbose)
        log_line(&c->log, LOG_DEBUG, "lab bad%s%s%s", bad & BAD_ACCEPT ? " accept" : "",
                 bad & BAD_SUBPROTOCOL ? " subprotocol" : "", bad & BAD_EXTENSION ? " extension" : "");
    return bad & BAD_ACCEPT;
}

/* Puts the peer's address and the request head, as it arrived, as a message. */
static void put_headers(struct connection *c)
{
    char peer[ADDRESS_TEXT_SIZE];
    uint8_t text[sizeof peer + sizeof "\r\n" + HEAD_MAX];
    describe_address(&c->peer, peer);
    size_t length = (size_t)snprintf((char *)text, sizeof text, "%s\r\n", peer);
    memcpy(text + length, c->stream.input, c->head.scanned);
    length += c->head.scanned;
    log_fault(c, "headers", length);
    put_message(c, FIN | (is_utf8(text, length) ? TEXT : BINARY), text, length);
}

/* Puts the hello, or an empty text if only `repeat` was given. */
static void put_hello(struct connection *c, const char *fault)
{
    log_fault(c, fault, c->words.hello_length);
    put_message(c, FIN | TEXT, c->words.hello_text, c->words.hello_length);
}

/* Sets due_at from the two times that it depends on. */
static void set_due(struct lab *lab)
{
    lab->due_at = lab->trigger_at < lab->repeat_at ? lab->trigger_at : lab->repeat_at;
}

/* Puts the Close that `close` asks for; section 5.5.1. */
static void put_lab_close(struct connection *c)
{
    const struct words *words = &c->words;
    uint8_t body[2 + REASON_MAX];
    c->has_close_code = c->close_sent = true;
    c->close_code = words->ending == CODED_CLOSE ? words->close_code : NO_STATUS;
    c->close_reason = (struct slice){(const char *)words->reason, words->reason_length};
    body[0] = (uint8_t)(words->close_code >> 8);
    body[1] = (uint8_t)words->close_code;
    memcpy(body + 2, words->reason, words->reason_length);
    put_control(c, CLOSE, body, words->ending == CODED_CLOSE ? 2 + (size_t)words->reason_length : 0);
}

/*
 * Makes the faults that wait for the trigger: raw, stall, close.  Returns DONE or how the connection ends:
 * STOPPED if a stop signal came before or during the stall, or while the output in front of eof or reset
 * waits.
 */
static enum outcome pull_trigger(struct connection *c)
{
    const struct words *words = &c->words;
    c->lab.trigger_at = NEVER;
    c->lab.count_left = 0;
    set_due(&c->lab);
    if (words->raw_length > 0) {
        log_fault(c, "raw", words->raw_length);
        memcpy(stream_reserve(&c->stream, words->raw_length), words->raw, words->raw_length);
        c->stream.output_used += words->raw_length;
    }
    if (words->stall > 0)
        sleep_for(c, "stall", words->stall);
    else if (words->ending == STREAM_END || words->ending == STREAM_RESET)
        stream_flush(&c->stream); /* latency and slice make it wait, and a stop ends the wait */
    if (c->stream.lost)
        return c->stream.lost_how;
    if (stopping)
        return STOPPED;
    if (words->ending == NO_ENDING)
        return DONE;
    if (words->ending == EMPTY_CLOSE || words->ending == CODED_CLOSE)
        put_lab_close(c);
    else if (c->log.verbose)
        log_line(&c->log, LOG_DEBUG, "lab close=%s", words->ending == STREAM_END ? "eof" : "reset");
    if (words->ending == STREAM_RESET) {
        stream_flush(&c->stream);
        return c->stream.lost || !stream_reset(&c->stream) ? c->stream.lost_how : LAB;
    }
    return LAB;
}

enum outcome lab_begin(struct connection *c)
{
    const struct words *words = &c->words;
    struct lab *lab = &c->lab;
    bool has_fault = words->raw_length > 0 || words->stall > 0 || words->ending != NO_ENDING;
    lab->fragment = words->fragment;
    lab->latency = words->latency;
    lab->muted =
        (uint16_t)((words->mute & MUTE_ECHO ? 1 << TEXT | 1 << BINARY : 0) |
                   (words->mute & MUTE_PING ? 1 << PING : 0) | (words->mute & MUTE_PONG ? 1 << PONG : 0) |
                   (words->mute & MUTE_CLOSE ? 1 << CLOSE : 0));
    lab->count_left = words->count;
    lab->takes_replies =
        words->mute & MUTE_ECHO || words->fragment > 0 || words->latency > 0 || words->count > 0;
    if (words->headers)
        put_headers(c);
    if (words->hello)
        put_hello(c, "hello");
    bool at_once = has_fault && !words->has_after && words->count == 0;
    /* Times count from the end of the 101, which slices delay; what goes out at once stays in its write. */
    if (words->slice > 0 && !at_once)
        stream_flush(&c->stream);
    int64_t now = clock_now();
    lab->trigger_at = words->has_after ? now + words->after : NEVER;
    lab->repeat_at = words->repeat > 0 ? now + words->repeat : NEVER;
    set_due(lab);
    enum outcome outcome = at_once ? pull_trigger(c) : DONE;
    /* Frames may have come with the request; the 101 does not wait for their replies. */
    if (lab->latency > 0)
        stream_flush(&c->stream);
    return outcome;
}

void lab_hold_reply(struct connection *c)
{
    struct lab *lab = &c->lab;
    if (lab->latency == 0 || lab->held_input == c->stream.bytes_in)
        return;
    lab->held_input = c->stream.bytes_in;
    c->stream.pace.hold_until = c->stream.cached_now + lab->latency;
    log_wait(c, "latency", lab->latency);
}

enum outcome lab_count_message(struct connection *c)
{
    if (c->lab.count_left == 0 || --c->lab.count_left > 0)
        return DONE;
    return pull_trigger(c);
}

enum outcome lab_act(struct connection *c)
{
    struct lab *lab = &c->lab;
    int64_t now = c->stream.cached_now;
    if (now >= lab->repeat_at) {
        put_hello(c, "repeat");
        /* With slice, it may take longer than until the next one, and the peer is to be read in between. */
        if (c->words.slice > 0) {
            stream_flush(&c->stream);
            now = c->stream.cached_now;
        }
        lab->repeat_at += c->words.repeat;
        if (lab->repeat_at <= now) /* a long wait has missed some; they are left out */
            lab->repeat_at = now + c->words.repeat;
        if (++lab->repeats == REPEATS_MAX)
            lab->repeat_at = NEVER;
        set_due(lab);
    }
    return now >= lab->trigger_at ? pull_trigger(c) : DONE;
}
