/* SPDX-License-Identifier: MIT */
/*
 * ws-echo - a WebSocket (RFC 6455) echo server for one connection on standard input and output
 *
 * It does not listen.  systemd (Accept=yes), xinetd, inetd, tcpserver, tcpsvd, socat or stunnel accepts a
 * connection and starts this program with it.  The program does the handshake, answers every text message X
 * with "server: X", sends every binary message back unchanged, and exits when the connection ends:
 *
 *     systemd-socket-activate --accept --inetd --listen=8888 ws-echo
 *     new WebSocket('ws://localhost:8888/socket')                      in a browser's console
 *     ws-echo <recorded-request >answer                                in a test
 *
 * ws-echo --help lists the options; ws-echo(8) and ws-echo-launchers(7) are the manual.  The program
 * guarantees:
 *
 *  1. Each buffer, wait and count has a limit: a named constant or an option.
 *  2. Memory grows with the bytes that have arrived, never with a length that the peer only announced.
 *  3. Before the first byte of the peer is read, the program has given up root and, where the kernel has
 *     seccomp, every system call that an echo does not need.
 *  4. Request heads are parsed strictly, and no refusal contains a byte of the request.
 *  5. Everything that the peer sent is escaped in the log, and payload is never logged.
 *  6. Whatever the peer does, the exit status is 0; any other status means a local fault.
 *
 * This file is the life of the connection: start, request, echo, closing, record; main comes last.
 * Everything else is in src/, in pairs of a header and a source that are called rooms.  The header of a room
 * is its manual.  A room includes only rooms of lower levels.  All rooms are compiled as one translation
 * unit.  Section numbers without an RFC are those of RFC 6455.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "answer.h"
#include "clock.h"
#include "closing.h"
#include "connection.h"
#include "echo.h"
#include "lab.h"
#include "proxy.h"
#include "sandbox.h"
#include "send.h"
#include "start.h"

_Static_assert(PROXY_BINARY_MAX + HEAD_MAX <= INPUT_SIZE, "the input buffer holds PROXY header and head");

/* ---- The request --------------------------------------------------------------------------------------- */

/*
 * Reads more of the request, until the handshake's deadline.  Returns NEED_MORE if bytes came, or how the
 * connection ends.
 */
static enum outcome receive_request(struct connection *c)
{
    int64_t deadline = c->started + c->options->handshake_timeout;
    bool nothing_received = c->stream.input_end == 0; /* a PROXY header is removed once it is complete */
    switch (c->stream.cached_now < deadline ? stream_receive(&c->stream, deadline) : DUE) {
    case BYTES: return NEED_MORE;
    case END_OF_STREAM: return nothing_received ? SILENCE : CUT_OFF;
    case DUE: return nothing_received ? SILENCE : HEAD_TIMEOUT;
    case STOP: return STOPPED_IN_HEAD;
    default: return c->stream.lost_how;
    }
}

/*
 * Reads the PROXY header if --proxy-protocol demands one.  Returns NEED_MORE once it is complete, or none is
 * expected; otherwise how the connection ends.
 */
static enum outcome read_proxy_header(struct connection *c)
{
    enum outcome outcome = NEED_MORE;
    ssize_t length = 0;
    while (c->options->proxy_protocol && outcome == NEED_MORE && length == 0) {
        length = proxy_parse_header((const char *)c->stream.input, c->stream.input_end, &c->peer);
        if (length == 0)
            outcome = receive_request(c);
    }
    if (length < 0)
        return c->stream.input[0] == TLS_HANDSHAKE ? TLS_HELLO : PROXY_MALFORMED;
    c->stream.input_start = (size_t)length;
    stream_move_to_front(&c->stream); /* removes the header: the head begins at offset 0 */
    return outcome;
}

/*
 * Copies a value of the request for the record.  An empty value is not copied: that would touch a page of
 * memory for nothing, and text.bytes may be NULL (the path, if no request line was parsed).
 */
static void keep_value(struct kept_value *value, struct slice text)
{
    if (text.length == 0)
        return;
    value->length = smaller(text.length, sizeof value->bytes - 1);
    memcpy(value->bytes, text.bytes, value->length);
}

/*
 * Copies the client addresses that proxies have put into the request, for the record: Forwarded (RFC 7239),
 * or else X-Forwarded-For.  Several fields form one list.
 */
static void keep_forwarded(struct kept_value *value, const struct head *head)
{
    struct slice field;
    const char *name = head_find_field(head, "Forwarded", &field) > 0 ? "Forwarded" : "X-Forwarded-For";
    size_t next = 0;
    while (head_next_field(head, name, &next, &field)) {
        size_t room = sizeof value->bytes - value->length;
        int added = snprintf(value->bytes + value->length, room, "%s%.*s", value->length > 0 ? ", " : "",
                             (int)field.length, field.bytes);
        value->length += smaller((size_t)added, room - 1);
    }
}

/*
 * Reads the request head and checks it, and the lab's words in its query.  Returns DONE for a WebSocket
 * request that is served, or the outcome that answers or ends any other.  Copies the values that the record
 * shows.
 */
static enum outcome read_request(struct connection *c, struct agreement *agreed)
{
    struct head *head = &c->head;
    struct slice field;
    enum outcome outcome = read_proxy_header(c);
    while (outcome == NEED_MORE) {
        outcome = head_parse(head, (const char *)c->stream.input, c->stream.input_end);
        if (outcome == NEED_MORE)
            outcome = receive_request(c);
    }
    c->nothing_received = c->stream.input_end == 0;
    c->stream.input_start = head->scanned;
    keep_value(&c->path, head->path);
    head_find_field(head, "Origin", &field);
    keep_value(&c->origin, field);
    head_find_field(head, "User-Agent", &field);
    keep_value(&c->user_agent, field);
    keep_forwarded(&c->forwarded, head);
    if (outcome == DONE)
        outcome = check_request(head, c->options, agreed);
    if (outcome == DONE)
        outcome = lab_read_words(c);
    keep_value(&c->subprotocol, agreed->subprotocol);
    return outcome;
}

/* Puts the 101 answer, in which the lab may make faults, into the output, and stores what was agreed to. */
static void open_websocket(struct connection *c, struct agreement *agreed)
{
    c->open = true;
    c->status = 101;
    c->agreed = agreed->compression;
    if (c->agreed.acceptable)
        describe_compression(&c->agreed, c->extension);
    bool wrong_accept = lab_spoil_answer(c, &agreed->subprotocol);
    put_switching(&c->stream, &c->head, agreed->subprotocol, c->extension, wrong_accept);
}

/* ---- The log ------------------------------------------------------------------------------------------- */

/* Returns a copied value as a slice. */
static struct slice slice_of(const struct kept_value *value)
{
    return (struct slice){value->bytes, value->length};
}

/*
 * Logs the fields of the request.  Flushes the output first: the log may block, and the peer should not wait
 * for it.
 */
static void log_head(struct connection *c)
{
    char name[ESCAPED_SIZE], value[sizeof name];
    stream_flush(&c->stream);
    for (size_t i = 0; i < c->head.field_count; i++)
        log_line(&c->log, LOG_DEBUG, "field %s: \"%s\"", escaped(c->head.fields[i].name, name),
                 escaped(c->head.fields[i].value, value));
}

/* Sets the status text that `systemctl status` shows.  Flushes the output first, like log_head. */
static void notify_status(struct connection *c, const char *doing)
{
    char path[ESCAPED_SIZE], status[2 * sizeof path];
    if (!has_manager(&c->log))
        return;
    stream_flush(&c->stream);
    snprintf(status, sizeof status, "STATUS=%s %s: %s", c->peer.host, escaped(slice_of(&c->path), path),
             doing);
    log_status(&c->log, status);
}

/* Logs the record of the connection. */
static void log_connection(struct connection *c, enum outcome outcome, int priority)
{
    struct record record;
    char sentence[SENTENCE_SIZE], name[OUTCOME_NAME_SIZE];
    int64_t duration = clock_now() - c->started;
    describe_outcome(outcome, c->options, sentence);
    name_outcome(outcome, name);
    record_begin(&record);
    record_peer(&record, &c->peer);
    record_text(&record, "path", "WS_PATH", slice_of(&c->path));
    if (c->status)
        record_number(&record, "status", "WS_STATUS", (uint64_t)c->status);
    if (c->has_close_code)
        record_number(&record, "close", "WS_CLOSE_CODE", c->close_code);
    record_text(&record, "reason", "WS_CLOSE_REASON", c->close_reason);
    record_text(&record, "end", "WS_END", SLICE_OF(sentence));
    record_word(&record, "end_id", "WS_END_ID", name);
    record_number(&record, "messages", "WS_MESSAGES", c->messages);
    record_number(&record, "bytes_in", "WS_BYTES_IN", c->stream.bytes_in);
    record_number(&record, "bytes_out", "WS_BYTES_OUT", c->stream.bytes_out);
    record_duration(&record, duration);
    record_text(&record, "origin", "WS_ORIGIN", slice_of(&c->origin));
    record_text(&record, "subprotocol", "WS_SUBPROTOCOL", slice_of(&c->subprotocol));
    record_text(&record, "extension", "WS_EXTENSIONS", SLICE_OF(c->extension));
    record_text(&record, "agent", "WS_USER_AGENT", slice_of(&c->user_agent));
    record_text(&record, "lab", "WS_LAB", (struct slice){c->words.shown, c->words.shown_length});
    record_text(&record, "forwarded", "WS_FORWARDED", slice_of(&c->forwarded));
    if (!c->sandboxed)
        record_word(&record, "sandbox", "WS_SANDBOX", "partial");
    log_record(&c->log, &record, priority);
}

/* ---- The life of the connection ------------------------------------------------------------------------ */

/*
 * Sends our Close frame, or the HTTP answer to a request that opens no WebSocket, and waits for the peer to
 * end.  After LAB, the lab has put its Close or answer into the output already, or nothing.  Returns the
 * final outcome: the one given, or why the connection was lost.
 */
static enum outcome say_goodbye(struct connection *c, enum outcome outcome)
{
    bool withheld = outcome == CLOSED_BY_PEER && is_muted(c, CLOSE);
    if (withheld) {
        stream_flush(&c->stream);
        withheld = !c->stream.lost;
        outcome = withhold_close(c);
    }
    if (outcomes[outcome].code >= 1000) {
        put_close(c, outcome);
    } else if (outcome != LAB) {
        c->status = outcomes[outcome].code;
        put_answer(&c->stream, &c->head, c->options, outcome);
    }
    if (c->log.verbose && !c->open)
        log_head(c);
    c->stream.closing = true;
    stream_flush(&c->stream);
    if (!expects_close(c))
        stream_end_output(&c->stream);
    if (c->open)
        notify_status(c, "closing");
    bool goodbye_sent = withheld || !c->stream.lost; /* if our Close is withheld, there is none to lose */
    if (goodbye_sent)
        await_peer(c, outcome);
    /*
     * If the connection is lost before our Close frame or answer is written, the loss becomes the outcome.
     * Later only a local fault does: a peer may disappear after the goodbye.  If the outcome is a local fault
     * already, it stays.
     */
    bool lost = c->stream.lost && (!goodbye_sent || outcomes[c->stream.lost_how].local_fault);
    return lost && !outcomes[outcome].local_fault ? c->stream.lost_how : outcome;
}

/*
 * Ends the connection, logs the record and exits.  Health checks (answers 200 and 204, and connections
 * without a byte) are logged with --verbose only.
 */
static _Noreturn void conclude(struct connection *c, enum outcome outcome)
{
    int error = c->stream.error; /* the errno of `outcome`: a goodbye that fails overwrites stream.error */
    bool has_goodbye = outcomes[outcome].code > 0 || (outcome == LAB && !c->stream.reset);
    if (has_goodbye) {
        enum outcome ended = say_goodbye(c, outcome);
        error = ended == outcome ? error : c->stream.error;
        outcome = ended;
    } else if (c->log.verbose && !c->open) {
        log_head(c);
    }
    if (c->stream.sockets && !c->stream.reset) /* shutdown would send a FIN in front of the reset */
        shutdown(STDOUT_FILENO, SHUT_RDWR);
    if (c->open && !c->has_close_code) {
        c->has_close_code = true;
        c->close_code = ABNORMAL;
    }
    bool local_fault = outcomes[outcome].local_fault;
    if (local_fault)
        log_line(&c->log, LOG_ERR, "%s: %s", outcomes[outcome].sentence, strerror(error));
    bool health_check = outcome == PAGE_SERVED || outcome == PATH_TOLD || outcome == METHODS_TOLD ||
                        (c->status == 0 && c->nothing_received && !local_fault);
    if (health_check ? c->log.verbose : !c->options->quiet)
        log_connection(c, outcome, health_check ? LOG_DEBUG : LOG_NOTICE);
    exit(local_fault ? EX_OSERR : EXIT_SUCCESS);
}

/* Serves the connection, whose descriptors are prepared, from the first byte of the request to the record. */
static _Noreturn void serve(struct connection *c)
{
    struct agreement agreed = {.subprotocol = {"", 0}};
    c->started = c->stream.cached_now = clock_now();
    c->stream.timeout = c->options->timeout;
    c->stream.stop_deadline = c->message.release_at = c->lab.due_at = NEVER;
    c->message.limit = c->options->max_message;
    enum outcome outcome = read_request(c, &agreed);
    if (outcome == DONE)
        outcome = lab_before_answer(c);
    if (outcome == DONE) {
        open_websocket(c, &agreed);
        outcome = lab_begin(c);
        if (c->log.verbose)
            log_head(c);
        notify_status(c, "echoing");
    }
    if (outcome == DONE)
        outcome = echo_messages(c);
    conclude(c, outcome);
}

/*
 * A common symbol is placed last in .bss, so that the members used by every connection, which come first,
 * share a page with the other variables: this saves 4 KiB for each process.
 */
struct connection connection __attribute__((common, used));

int main(int argc, char **argv)
{
    static struct options options;
    struct connection *c = &connection;

    set_signals();
    bool listen_fds_valid = find_connection();
    read_command_line(&c->log, argc, argv, &options);
    c->options = &options;
    if (!options.check) {
        prepare_stream(&c->log, &c->stream, listen_fds_valid);
        find_peer(&c->peer);
    }
    drop_root(&c->log, options.user);
    c->sandboxed = enter_sandbox(&c->log, options.check);
    if (options.check)
        exit(EXIT_SUCCESS);
    serve(c);
}
