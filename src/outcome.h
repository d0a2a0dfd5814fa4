/* SPDX-License-Identifier: MIT */
/*
 * outcome - every way in which a step or a connection can end
 *
 * One table has for each outcome its identity, its HTTP status or Close code, whether it is a local fault,
 * and its sentence.  The limits that sentences mention are here as well.  The rooms answer and closing send
 * outcomes to the peer.
 */
#ifndef OUTCOME_H
#define OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "basics.h"

/* Macros, because the sentences below contain the numbers. */
#define REQUEST_LINE_MAX 16384 /* bytes, without its CRLF; RFC 9112 section 3 asks for 8,000 or more */
#define HEAD_MAX 32768         /* bytes, with the empty line that ends it */
#define SERVED_PATH_MAX 4095   /* bytes of a path in --path or --lab; see SENTENCE_SIZE */
#define FIELDS_MAX 100
#define CONTENT_DIGITS_MAX 18 /* of a Content-Length without leading zeros; that fits 64 bits */
#define SUBPROTOCOLS_MAX 64   /* bounds the work: each name is compared with all earlier ones */

/* Close codes: section 7.4.1. */
enum {
    GOING_AWAY = 1001,
    PROTOCOL_ERROR = 1002,
    NO_STATUS = 1005,
    ABNORMAL = 1006,
    INVALID_PAYLOAD = 1007,
    TOO_BIG = 1009,
    INTERNAL_ERROR = 1011,
};

/* The third column below.  LOCAL_FAULT: no peer can cause this outcome, only the system we run on. */
enum { ORDINARY, LOCAL_FAULT };

/*
 * Every way in which a connection can end: identity, HTTP status or Close code (0: the peer gets neither),
 * local fault or not, and the sentence for the peer and the record, in which make_sentence replaces %s.
 * CLOSED_BY_PEER is answered with the peer's own code and reason.
 */
#define OUTCOMES(X)                                                                                          \
    X(SILENCE, 0, ORDINARY, "nothing was sent")                                                              \
    X(STOPPED_IN_HEAD, 0, ORDINARY, "stopped by a signal")                                                   \
    X(RESET, 0, ORDINARY, "reset by the peer")                                                               \
    X(NETWORK_LOST, 0, ORDINARY, "the network lost the connection")                                          \
    X(NOT_READ, 0, ORDINARY, "the peer does not read")                                                       \
    X(END_OF_INPUT, 0, ORDINARY, "the peer ended the connection without a Close frame")                      \
    X(READ_FAILED, 0, LOCAL_FAULT, "cannot read")                                                            \
    X(WRITE_FAILED, 0, LOCAL_FAULT, "cannot write")                                                          \
    X(CLOCK_FAILED, 0, LOCAL_FAULT, "cannot set the timer")                                                  \
    X(LINGER_FAILED, 0, LOCAL_FAULT, "cannot discard unread output")                                         \
    X(PAGE_SERVED, 200, ORDINARY, "page served")                                                             \
    X(PATH_TOLD, 200, ORDINARY, "Connect a WebSocket to %s.")                                                \
    X(METHODS_TOLD, 204, ORDINARY, "allowed methods listed")                                                 \
    X(HEAD_TIMEOUT, 408, ORDINARY, "The request head did not arrive in time; send it at once and whole.")    \
    X(LINE_TOO_LONG, 414, ORDINARY,                                                                          \
      "The request line is longer than " STRING(REQUEST_LINE_MAX) " bytes; shorten it.")                     \
    X(HEAD_TOO_LARGE, 431, ORDINARY,                                                                         \
      "The request head is larger than " STRING(HEAD_MAX) " bytes; send fewer or shorter fields.")           \
    X(TOO_MANY_FIELDS, 431, ORDINARY,                                                                        \
      "The request head has more than " STRING(FIELDS_MAX) " fields; send fewer.")                           \
    X(VERSION_UNSUPPORTED, 505, ORDINARY, "This HTTP version is not spoken here; use HTTP/1.1.")             \
    X(CUT_OFF, 400, ORDINARY, "The request ended before the empty line that completes its head.")            \
    X(TLS_HELLO, 400, ORDINARY,                                                                              \
      "This is TLS, but plain HTTP is spoken here; use ws: or a TLS proxy in front.")                        \
    X(PROXY_UNEXPECTED, 400, ORDINARY,                                                                       \
      "A PROXY protocol header came, but none is expected; see --proxy-protocol.")                           \
    X(PROXY_MALFORMED, 400, ORDINARY, "A well-formed PROXY protocol header must come before the request.")   \
    X(BARE_LF, 400, ORDINARY, "A line of the request head ends with LF alone; end it with CRLF.")            \
    X(BARE_CR, 400, ORDINARY, "A CR in the request head is not followed by LF; end lines with CRLF.")        \
    X(CONTROL_BYTE, 400, ORDINARY, "The request head contains a control byte; remove it.")                   \
    X(LINE_MALFORMED, 400, ORDINARY,                                                                         \
      "The request line is not a method, a target and HTTP/1.1 with single spaces; a space in the target "   \
      "is %20.")                                                                                             \
    X(TARGET_MALFORMED, 400, ORDINARY,                                                                       \
      "The request target must begin with /, or be an http or ws URI with a host, an optional port and no "  \
      "user name.")                                                                                          \
    X(TARGET_FRAGMENT, 400, ORDINARY,                                                                        \
      "The request target contains #; leave the fragment out, or write # as %23.")                           \
    X(TARGET_NOT_ASCII, 400, ORDINARY,                                                                       \
      "The request target contains a byte above 0x7F; percent-encode the UTF-8, as in %C3%A4.")              \
    X(TARGET_TAB, 400, ORDINARY, "The request target contains a tab; write it as %09.")                      \
    X(FIELD_FOLDED, 400, ORDINARY, "A field is folded over several lines; send it on one.")                  \
    X(FIELD_SPACE, 400, ORDINARY, "There is white space before the colon of a field; remove it.")            \
    X(FIELD_MALFORMED, 400, ORDINARY, "A field is not a name, a colon and a value.")                         \
    X(HOST_COUNT, 400, ORDINARY, "The request must have exactly one Host field.")                            \
    X(HOST_MALFORMED, 400, ORDINARY,                                                                         \
      "The Host field must be an ASCII host name (xn-- for other letters) or an address, with an optional "  \
      "port.")                                                                                               \
    X(HOST_UNBRACKETED, 400, ORDINARY,                                                                       \
      "The host is an IPv6 address without brackets; write it as in [::1] or [::1]:8888.")                   \
    X(HOST_ZONE, 400, ORDINARY,                                                                              \
      "The host is an IPv6 address with a zone; leave out % and the zone, as in [fe80::1].")                 \
    X(CONTENT, 400, ORDINARY,                                                                                \
      "Content-Length must be one number of at most " STRING(                                                \
          CONTENT_DIGITS_MAX) " digits, and 0 in GET, HEAD and OPTIONS.")                                    \
    X(TRANSFER_ENCODING, 400, ORDINARY,                                                                      \
      "Transfer-Encoding must be chunked alone, in HTTP/1.1, without Content-Length, and not in GET, HEAD "  \
      "or OPTIONS.")                                                                                         \
    X(PATH_UNKNOWN, 404, ORDINARY, "Nothing is served at this path.")                                        \
    X(SOCKET_ELSEWHERE, 404, ORDINARY, "There is no WebSocket at this path; connect to %s instead.")         \
    X(METHOD_UNKNOWN, 501, ORDINARY, "This method is not known here; use GET.")                              \
    X(METHOD_NOT_ALLOWED, 405, ORDINARY, "This method is not allowed here; use GET.")                        \
    X(UPGRADE_REQUIRED, 426, ORDINARY, "This is a WebSocket; send Upgrade: websocket over HTTP/1.1%s.")      \
    X(CONNECTION_NOT_UPGRADE, 400, ORDINARY,                                                                 \
      "The Connection field does not list upgrade; send Connection: Upgrade.")                               \
    X(KEY_ABSENT, 400, ORDINARY, "Sec-WebSocket-Key is missing; send 16 random bytes in Base64.")            \
    X(KEY_TWICE, 400, ORDINARY, "Sec-WebSocket-Key is there twice; send it once.")                           \
    X(KEY_MALFORMED, 400, ORDINARY,                                                                          \
      "Sec-WebSocket-Key must be 22 characters of Base64 (A-Z, a-z, 0-9, + and /) and then ==.")             \
    X(VERSION_TWICE, 400, ORDINARY, "Sec-WebSocket-Version is there twice; send it once.")                   \
    X(ORIGIN_TWICE, 400, ORDINARY, "Origin is there twice; send it once.")                                   \
    X(SUBPROTOCOL_MALFORMED, 400, ORDINARY,                                                                  \
      "Sec-WebSocket-Protocol must be a list of tokens, separated by commas.")                               \
    X(SUBPROTOCOL_TWICE, 400, ORDINARY, "Sec-WebSocket-Protocol lists a subprotocol twice; list each once.") \
    X(TOO_MANY_SUBPROTOCOLS, 400, ORDINARY,                                                                  \
      "Sec-WebSocket-Protocol lists over " STRING(SUBPROTOCOLS_MAX) " names; list fewer.")                   \
    X(VERSION_NOT_13, 426, ORDINARY, "Sec-WebSocket-Version must be 13.")                                    \
    X(EXTENSION_MALFORMED, 400, ORDINARY,                                                                    \
      "Sec-WebSocket-Extensions must be a list of names with parameters; see RFC 6455 section 9.1.")         \
    X(ORIGIN_FORBIDDEN, 403, ORDINARY, "Pages of this origin may not connect here.")                         \
    X(LAB_WORD_UNKNOWN, 400, ORDINARY,                                                                       \
      "A word in the query is unknown, empty or repeated; the lab knows %s.")                                \
    X(LAB_VALUE_WRONG, 400, ORDINARY,                                                                        \
      "A word in the query has a wrong value, none, or one where none belongs; the lab knows %s.")           \
    X(LAB_STATUS_NOT_ALONE, 400, ORDINARY,                                                                   \
      "In the query, status goes with no other word but delay; the lab knows %s.")                           \
    X(LAB_TRIGGERS_NOTHING, 400, ORDINARY,                                                                   \
      "In the query, after and count need raw, stall or close; the lab knows %s.")                           \
    X(LAB_REASON_WITHOUT_CODE, 400, ORDINARY, "In the query, reason needs close=CODE; the lab knows %s.")    \
    X(LAB_RESET_WITHOUT_TCP, 400, ORDINARY,                                                                  \
      "In the query, close=reset needs a TCP connection, which this is not; the lab knows %s.")              \
    X(LAB_HEADERS_FORBIDDEN, 403, ORDINARY,                                                                  \
      "The lab shows headers to a page only if --origin names its origin.")                                  \
    X(LAB, 0, ORDINARY, "ended as the query asked the lab to")                                               \
    X(CLOSED_BY_PEER, NO_STATUS, ORDINARY, "closed by the peer")                                             \
    X(STOPPED, GOING_AWAY, ORDINARY, "server is stopping")                                                   \
    X(IDLE, GOING_AWAY, ORDINARY, "nothing received in time")                                                \
    X(UNMASKED, PROTOCOL_ERROR, ORDINARY, "frame is not masked")                                             \
    X(RSV_SET, PROTOCOL_ERROR, ORDINARY, "RSV bit set where no extension defines it")                        \
    X(OPCODE_RESERVED, PROTOCOL_ERROR, ORDINARY, "reserved opcode")                                          \
    X(LENGTH_NOT_MINIMAL, PROTOCOL_ERROR, ORDINARY, "payload length is not minimal")                         \
    X(LENGTH_TOP_BIT, PROTOCOL_ERROR, ORDINARY, "top bit of the payload length is set")                      \
    X(CONTROL_FRAGMENTED, PROTOCOL_ERROR, ORDINARY, "control frame is fragmented")                           \
    X(CONTROL_TOO_LONG, PROTOCOL_ERROR, ORDINARY, "control frame is over 125 bytes")                         \
    X(NO_MESSAGE, PROTOCOL_ERROR, ORDINARY, "continuation without a message")                                \
    X(MESSAGE_UNFINISHED, PROTOCOL_ERROR, ORDINARY, "new message inside a fragmented one")                   \
    X(CLOSE_TRUNCATED, PROTOCOL_ERROR, ORDINARY, "Close body of one byte")                                   \
    X(CLOSE_CODE_INVALID, PROTOCOL_ERROR, ORDINARY, "Close code not allowed on the wire")                    \
    X(CLOSE_NOT_UTF8, INVALID_PAYLOAD, ORDINARY, "Close reason is not UTF-8")                                \
    X(TEXT_NOT_UTF8, INVALID_PAYLOAD, ORDINARY, "text is not UTF-8")                                         \
    X(INFLATE_FAILED, INVALID_PAYLOAD, ORDINARY, "compressed message is not DEFLATE")                        \
    X(INFLATE_UNFINISHED, INVALID_PAYLOAD, ORDINARY, "compressed message ends inside a block")               \
    X(MESSAGE_TOO_BIG, TOO_BIG, ORDINARY, "message is larger than the limit")                                \
    X(NO_MEMORY, INTERNAL_ERROR, LOCAL_FAULT, "no memory for the message")

#define OUTCOME_IDENTITY(identity, code, fault, sentence) identity,

/*
 * What parsers and steps return: more bytes are needed, the step is complete, or how the connection ends.
 * Only DONE means success.
 */
enum outcome { NEED_MORE, DONE, OUTCOMES(OUTCOME_IDENTITY) OUTCOME_COUNT };

enum {
    OUTCOME_NAME_SIZE = 32,       /* bytes; identities are shorter */
    SENTENCE_TEMPLATE_SIZE = 128, /* bytes of a sentence in the table, where %s is not replaced */
    SENTENCE_SIZE = SERVED_PATH_MAX + SENTENCE_TEMPLATE_SIZE, /* bytes; some sentences name a path */
};

/*
 * Arrays instead of pointers: in a position-independent program the loader would have to relocate pointers,
 * which costs each process time and private memory.
 */
extern const struct outcome_row {
    char identity[OUTCOME_NAME_SIZE];
    uint16_t code; /* HTTP status, or Close code from 1000 on; 0: the peer gets neither */
    bool local_fault;
    char sentence[SENTENCE_TEMPLATE_SIZE];
} outcomes[OUTCOME_COUNT];

/* Writes the name of an outcome that the record shows as end_id: its identity in lower case, with hyphens. */
void name_outcome(enum outcome outcome, char name[static OUTCOME_NAME_SIZE]);

/* Writes the sentence of an outcome and replaces its %s, if it has one, by `filling`. */
void make_sentence(enum outcome outcome, const char *filling, char sentence[static SENTENCE_SIZE]);

#endif
