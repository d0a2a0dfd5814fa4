/*
 * ws-echo - a WebSocket (RFC 6455) echo server for one connection on standard input and output
 *
 * It never listens.  systemd (Accept=yes), xinetd, inetd, tcpserver, tcpsvd, socat or stunnel accept a
 * connection and start this program with it; it does the handshake, answers every text message X with
 * "server: X" and every binary message with itself, and ends with the connection:
 *
 *     systemd-socket-activate --accept --inetd --listen=8888 ws-echo
 *     new WebSocket('ws://localhost:8888/socket')                      in a browser's console
 *     ws-echo <recorded-request >answer                                in a test
 *
 * ws-echo --help lists the options, ws-echo(8) is the manual.  What can be relied on:
 *
 *  1. Everything is bounded: each buffer, wait and count has a named limit, or one in the options.
 *  2. No memory is taken because of a number that the peer sent, only for bytes that have arrived.
 *  3. Before the first byte of the peer is read the program is no longer root and has given up every system
 *     call that an echo does not need (where the kernel has seccomp).
 *  4. A request head is read strictly; a refusal reflects none of its bytes.
 *  5. Nothing that the peer sent reaches the log unescaped, and no payload reaches it at all.
 *  6. The exit status is 0 for whatever a peer can cause; anything else is a local fault.
 *
 * This file is the life of the connection: start, request, echo, closing, record; main comes last. Everything
 * else has a room in src/, whose header says what it is for.  A room includes rooms of the levels below its
 * own only; all of them are compiled as one unit.  Section numbers are those of RFC 6455, unless another RFC
 * is named.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "address.h"
#include "answer.h"
#include "basics.h"
#include "clock.h"
#include "connection.h"
#include "deflate.h"
#include "echo.h"
#include "extension.h"
#include "frame.h"
#include "handshake.h"
#include "head.h"
#include "log.h"
#include "memory.h"
#include "message.h"
#include "options.h"
#include "outcome.h"
#include "proxy.h"
#include "sandbox.h"
#include "start.h"
#include "stream.h"
#include "text.h"
#include "utf8.h"

/* ---- closing ----------------------------------------------------------------------------------------- */

enum { CLOSING_MAX = 64 * 1024 * 1024 /* bytes read after our last word */ };

#define CLOSING_TIME (2 * SECOND)   /* for the peer to end after our last word */
#define CLOSING_QUIET (SECOND / 10) /* without a byte, after a Close that forbids to process the answer */

/*
 * Puts our Close into the output: the answer to the peer's, or the first one, with the outcome's code and
 * reason.
 */
static void put_close(struct connection *c, enum outcome outcome)
{
    uint8_t body[CONTROL_PAYLOAD_MAX];
    size_t length = 0;
    if (outcome != CLOSED_BY_PEER) {
        c->close_code = outcomes[outcome].code;
        c->close_reason = TEXT_OF(outcomes[outcome].sentence);
    }
    if (c->close_code != NO_STATUS) {
        body[length++] = (uint8_t)(c->close_code >> 8);
        body[length++] = (uint8_t)c->close_code;
        memcpy(body + length, c->close_reason.bytes, c->close_reason.length);
        length += c->close_reason.length;
    }
    put_control(c, CLOSE, body, length);
}

/* Tells whether our last word is a Close that the peer still has to answer. */
static bool expects_close(const struct connection *c, enum outcome outcome)
{
    return c->stream.sockets && outcomes[outcome].code >= 1000 && !c->close_received;
}

/*
 * Reads more of what the peer sends after our last word, as receive does.  Returns DUE also when the
 * peer has had CLOSING_TIME or has sent CLOSING_MAX bytes since then.
 */
static enum arrival receive_while_closing(struct connection *c, int64_t deadline)
{
    if (c->stream.time >= c->closing_deadline || c->stream.bytes_in >= c->closing_limit)
        return DUE;
    return receive(&c->stream, deadline < c->closing_deadline ? deadline : c->closing_deadline);
}

/*
 * Discards what the peer sends, until its end of the stream or until no byte has come for `quiet`
 * microseconds.
 */
static void discard_input(struct connection *c, int64_t quiet)
{
    do
        c->stream.input_start = c->stream.input_end = 0;
    while (receive_while_closing(c, c->stream.time + quiet) == BYTES);
}

/*
 * Logs the peer's Close, whose header is at the front of the input, with its code if that has come as well.
 */
static void log_skipped_close(struct connection *c, const struct frame *frame)
{
    const uint8_t *input = c->stream.input + c->stream.input_start;
    size_t available = c->stream.input_end - c->stream.input_start;
    uint8_t code[2];
    bool has_code = frame->length >= sizeof code && available >= frame->header_length + sizeof code;
    if (has_code)
        unmask_beyond_ascii(code, input + frame->header_length, sizeof code, frame->masking_key);
    log_frame(c, "received", input[0], frame->length, has_code ? code : NULL);
}

/*
 * Skips the peer's frames by their headers, until that of its Close, or what is no frame.  Whether a fragment
 * belongs to a message is not judged: the message that was refused may go on.
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
            decode_frame_header(input, available, in_message, c->agreed.acceptable, &frame);
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

/*
 * Waits after our last word: first for the peer's Close, if it is expected, then for its end of the stream.
 * After PROTOCOL_ERROR and INVALID_PAYLOAD nothing of the peer may be processed, not even its Close
 * (section 7.1.7).
 */
static void await_peer(struct connection *c, enum outcome outcome)
{
    if (!c->stream.sockets) /* a pipe cannot be reset */
        return;
    c->stream.time = now();
    c->closing_deadline = c->stream.time + CLOSING_TIME;
    c->closing_limit = c->stream.bytes_in + CLOSING_MAX;
    if (expects_close(c, outcome)) {
        if (outcomes[outcome].code == PROTOCOL_ERROR || outcomes[outcome].code == INVALID_PAYLOAD)
            discard_input(c, CLOSING_QUIET);
        else
            skip_to_close(c);
        end_output(&c->stream);
    }
    discard_input(c, CLOSING_TIME);
}

_Static_assert(PROXY_BINARY_MAX + HEAD_MAX <= INPUT_SIZE, "one read takes what precedes the frames");

/* ---- The request --------------------------------------------------------------------------------------- */

/*
 * Reads more of the request until the handshake's deadline.  Returns NEED_MORE, or how the connection ends.
 */
static enum outcome receive_request(struct connection *c)
{
    int64_t deadline = c->started + c->options->handshake_timeout;
    bool silent = c->stream.input_end == 0; /* not counting a PROXY header */
    switch (c->stream.time < deadline ? receive(&c->stream, deadline) : DUE) {
    case BYTES: return NEED_MORE;
    case END_OF_STREAM: return silent ? SILENCE : CUT_OFF;
    case DUE: return silent ? SILENCE : HEAD_TIMEOUT;
    case STOP: return STOPPED_IN_HEAD;
    default: return c->stream.lost_how;
    }
}

/* Reads the PROXY header, if there has to be one.  Returns NEED_MORE, or how the request ends. */
static enum outcome read_proxy_header(struct connection *c)
{
    enum outcome outcome = NEED_MORE;
    ssize_t length = 0;
    while (c->options->proxy_protocol && outcome == NEED_MORE && length == 0) {
        length = parse_proxy_header((const char *)c->stream.input, c->stream.input_end, &c->peer);
        if (length == 0)
            outcome = receive_request(c);
    }
    if (length < 0)
        return c->stream.input[0] == TLS_HANDSHAKE ? TLS_HELLO : PROXY_MALFORMED;
    c->stream.input_start = (size_t)length;
    move_to_front(&c->stream); /* where the head begins, and stays until it has been answered */
    return outcome;
}

/*
 * Copies a value of the request for the record.  An empty one touches no memory, and may have no place: so
 * has the path where there is no request line.
 */
static void keep_value(struct value *value, struct text text)
{
    if (text.length == 0)
        return;
    value->length = smaller(text.length, sizeof value->bytes - 1);
    memcpy(value->bytes, text.bytes, value->length);
}

/*
 * Keeps whom the request claims to be forwarded for: Forwarded (RFC 7239), or else X-Forwarded-For.  Several
 * fields are one list.
 */
static void keep_forwarded(struct value *value, const struct head *head)
{
    struct text field;
    const char *name = find_field(head, "Forwarded", &field) > 0 ? "Forwarded" : "X-Forwarded-For";
    size_t next = 0;
    while (next_field(head, name, &next, &field)) {
        size_t room = sizeof value->bytes - value->length;
        int added = snprintf(value->bytes + value->length, room, "%s%.*s", value->length > 0 ? ", " : "",
                             (int)field.length, field.bytes);
        value->length += smaller((size_t)added, room - 1);
    }
}

/* Reads the request up to the end of its head and judges it. */
static enum outcome read_request(struct connection *c, struct agreement *agreed)
{
    struct head *head = &c->head;
    struct text field;
    enum outcome outcome = read_proxy_header(c);
    while (outcome == NEED_MORE) {
        outcome = parse_head(head, (const char *)c->stream.input, c->stream.input_end);
        if (outcome == NEED_MORE)
            outcome = receive_request(c);
    }
    c->silent = c->stream.input_end == 0;
    c->stream.input_start = head->scanned;
    keep_value(&c->path, head->path);
    find_field(head, "Origin", &field);
    keep_value(&c->origin, field);
    find_field(head, "User-Agent", &field);
    keep_value(&c->user_agent, field);
    keep_forwarded(&c->forwarded, head);
    if (outcome == DONE)
        outcome = judge_request(head, c->options, agreed);
    keep_value(&c->subprotocol, agreed->subprotocol);
    return outcome;
}

/* Puts the answer that opens the WebSocket into the output, and notes what was agreed to. */
static void open_websocket(struct connection *c, const struct agreement *agreed)
{
    c->open = true;
    c->status = 101;
    c->agreed = agreed->compression;
    if (c->agreed.acceptable)
        describe_compression(&c->agreed, c->extension);
    put_switching(&c->stream, &c->head, agreed->subprotocol, c->extension);
}

/* ---- The log ------------------------------------------------------------------------------------------- */

/* Returns a value of the request as text. */
static struct text text_of(const struct value *value)
{
    return (struct text){value->bytes, value->length};
}

/* Logs the fields of the request; the peer gets its answer before that. */
static void log_head(struct connection *c)
{
    char name[ESCAPED_SIZE], value[sizeof name];
    flush(&c->stream);
    for (size_t i = 0; i < c->head.field_count; i++)
        log_line(&c->log, LOG_DEBUG, "field %s: \"%s\"", escaped(c->head.fields[i].name, name),
                 escaped(c->head.fields[i].value, value));
}

/* Tells systemctl status what the connection is doing; the peer gets its output before that. */
static void notify_status(struct connection *c, const char *doing)
{
    char path[ESCAPED_SIZE], status[2 * sizeof path];
    if (!has_manager(&c->log))
        return;
    flush(&c->stream);
    snprintf(status, sizeof status, "STATUS=%s %s: %s", c->peer.host, escaped(text_of(&c->path), path),
             doing);
    log_status(&c->log, status);
}

/* Logs how the connection went. */
static void log_connection(struct connection *c, enum outcome outcome, int priority)
{
    struct record record;
    char sentence[SENTENCE_SIZE], name[OUTCOME_NAME_SIZE];
    int64_t duration = now() - c->started;
    make_sentence(outcome, path_served(c->options, "/"), page_served(c->options), sentence);
    name_outcome(outcome, name);
    begin_record(&record);
    record_peer(&record, &c->peer);
    record_text(&record, "path", "WS_PATH", text_of(&c->path));
    if (c->status)
        record_number(&record, "status", "WS_STATUS", (uint64_t)c->status);
    if (c->close_code)
        record_number(&record, "close", "WS_CLOSE_CODE", c->close_code);
    record_text(&record, "reason", "WS_CLOSE_REASON", c->close_reason);
    record_text(&record, "end", "WS_END", TEXT_OF(sentence));
    record_word(&record, "end_id", "WS_END_ID", name);
    record_number(&record, "messages", "WS_MESSAGES", c->messages);
    record_number(&record, "bytes_in", "WS_BYTES_IN", c->stream.bytes_in);
    record_number(&record, "bytes_out", "WS_BYTES_OUT", c->stream.bytes_out);
    record_duration(&record, duration);
    record_text(&record, "origin", "WS_ORIGIN", text_of(&c->origin));
    record_text(&record, "subprotocol", "WS_SUBPROTOCOL", text_of(&c->subprotocol));
    record_text(&record, "extension", "WS_EXTENSIONS", TEXT_OF(c->extension));
    record_text(&record, "agent", "WS_USER_AGENT", text_of(&c->user_agent));
    record_text(&record, "forwarded", "WS_FORWARDED", text_of(&c->forwarded));
    if (!c->sandboxed)
        record_word(&record, "sandbox", "WS_SANDBOX", "partial");
    log_record(&c->log, &record, priority);
}

/* ---- The life of the connection ------------------------------------------------------------------------ */

/*
 * Says our last word, an HTTP answer or a Close, and waits for the peer.  Returns how the connection ended
 * then.
 */
static enum outcome say_last_word(struct connection *c, enum outcome outcome)
{
    if (outcomes[outcome].code >= 1000) {
        put_close(c, outcome);
    } else {
        c->status = outcomes[outcome].code;
        put_answer(&c->stream, &c->head, c->options, outcome);
    }
    if (c->log.verbose && !c->open)
        log_head(c);
    c->stream.closing = true;
    flush(&c->stream);
    if (!expects_close(c, outcome))
        end_output(&c->stream);
    if (c->open)
        notify_status(c, "closing");
    bool said = !c->stream.lost;
    if (said)
        await_peer(c, outcome);
    /* A peer that is gone is news only before our last word; a local fault always is. */
    bool lost = c->stream.lost && (!said || outcomes[c->stream.lost_how].local_fault);
    return lost && !outcomes[outcome].local_fault ? c->stream.lost_how : outcome;
}

/*
 * Ends the connection and the program, and leaves the record.  Health checks are worth one only when
 * everything is.
 */
static _Noreturn void conclude(struct connection *c, enum outcome outcome)
{
    int error = c->stream.error;
    if (outcomes[outcome].code > 0) {
        enum outcome ended = say_last_word(c, outcome);
        error = ended == outcome ? error : c->stream.error;
        outcome = ended;
    } else if (c->log.verbose && !c->open) {
        log_head(c);
    }
    if (c->stream.sockets)
        shutdown(STDOUT_FILENO, SHUT_RDWR);
    if (c->open && c->close_code == 0)
        c->close_code = ABNORMAL;
    bool local_fault = outcomes[outcome].local_fault;
    if (local_fault)
        log_line(&c->log, LOG_ERR, "%s: %s", outcomes[outcome].sentence, strerror(error));
    bool health_check = c->status == 200 || c->status == 204 || (c->status == 0 && c->silent && !local_fault);
    if (health_check ? c->log.verbose : !c->options->quiet)
        log_connection(c, outcome, health_check ? LOG_DEBUG : LOG_NOTICE);
    exit(local_fault ? EX_OSERR : EXIT_SUCCESS);
}

/* Serves a connection whose descriptors are prepared, from the first byte of the request to the record. */
static _Noreturn void serve(struct connection *c)
{
    struct agreement agreed = {.subprotocol = {"", 0}};
    c->started = c->stream.time = now();
    c->stream.timeout = c->options->timeout;
    c->stream.stop_deadline = c->message.release_at = NEVER;
    c->message.limit = c->options->max_message;
    enum outcome outcome = read_request(c, &agreed);
    if (outcome == DONE) {
        open_websocket(c, &agreed);
        if (c->log.verbose)
            log_head(c);
        notify_status(c, "echoing");
        outcome = echo_messages(c);
    }
    conclude(c, outcome);
}

/* The linker puts a common symbol behind all other data, so that this data shares a page with its front. */
struct connection connection __attribute__((common, used));

int main(int argc, char **argv)
{
    static struct options options;
    struct connection *c = &connection;

    set_signals();
    bool one_connection = find_connection();
    read_command_line(&c->log, argc, argv, &options);
    c->options = &options;
    if (!options.check) {
        prepare_stream(&c->log, &c->stream, one_connection);
        find_peer(&c->peer);
    }
    drop_root(&c->log, options.user);
    c->sandboxed = enter_sandbox(&c->log, options.check);
    if (options.check)
        exit(EXIT_SUCCESS);
    serve(c);
}
