/* Tests of outcome.c */
#include "../../src/outcome.c"
#include "check.h"

/* All sentences, word for word: peers and readers of the log rely on them. */
TEST(each_end_has_its_status_or_close_code_and_its_sentence)
{
    static const struct {
        enum outcome end;
        const char *identity;
        int code;
        const char *sentence;
    } rows[] = {
        {SILENCE, "SILENCE", 0, "nothing was sent"},
        {STOPPED_IN_HEAD, "STOPPED_IN_HEAD", 0, "stopped by a signal"},
        {RESET, "RESET", 0, "reset by the peer"},
        {NETWORK_LOST, "NETWORK_LOST", 0, "the network lost the connection"},
        {NOT_READ, "NOT_READ", 0, "the peer does not read"},
        {END_OF_INPUT, "END_OF_INPUT", 0, "the peer ended the connection without a Close frame"},
        {READ_FAILED, "READ_FAILED", 0, "cannot read"},
        {WRITE_FAILED, "WRITE_FAILED", 0, "cannot write"},
        {CLOCK_FAILED, "CLOCK_FAILED", 0, "cannot set the timer"},
        {LINGER_FAILED, "LINGER_FAILED", 0, "cannot discard unread output"},
        {PAGE_SERVED, "PAGE_SERVED", 200, "page served"},
        {PATH_TOLD, "PATH_TOLD", 200, "Connect a WebSocket to %s."},
        {METHODS_TOLD, "METHODS_TOLD", 204, "allowed methods listed"},
        {HEAD_TIMEOUT, "HEAD_TIMEOUT", 408,
         "The request head did not arrive in time; send it at once and whole."},
        {LINE_TOO_LONG, "LINE_TOO_LONG", 414, "The request line is longer than 16384 bytes; shorten it."},
        {HEAD_TOO_LARGE, "HEAD_TOO_LARGE", 431,
         "The request head is larger than 32768 bytes; send fewer or shorter fields."},
        {TOO_MANY_FIELDS, "TOO_MANY_FIELDS", 431, "The request head has more than 100 fields; send fewer."},
        {VERSION_UNSUPPORTED, "VERSION_UNSUPPORTED", 505,
         "This HTTP version is not spoken here; use HTTP/1.1."},
        {CUT_OFF, "CUT_OFF", 400, "The request ended before the empty line that completes its head."},
        {TLS_HELLO, "TLS_HELLO", 400,
         "This is TLS, but plain HTTP is spoken here; use ws: or a TLS proxy in front."},
        {PROXY_UNEXPECTED, "PROXY_UNEXPECTED", 400,
         "A PROXY protocol header came, but none is expected; see --proxy-protocol."},
        {PROXY_MALFORMED, "PROXY_MALFORMED", 400,
         "A well-formed PROXY protocol header must come before the request."},
        {BARE_LF, "BARE_LF", 400, "A line of the request head ends with LF alone; end it with CRLF."},
        {BARE_CR, "BARE_CR", 400, "A CR in the request head is not followed by LF; end lines with CRLF."},
        {CONTROL_BYTE, "CONTROL_BYTE", 400, "The request head contains a control byte; remove it."},
        {LINE_MALFORMED, "LINE_MALFORMED", 400,
         "The request line is not a method, a target and HTTP/1.1 with single spaces; a space in the target "
         "is %20."},
        {TARGET_MALFORMED, "TARGET_MALFORMED", 400,
         "The request target must begin with /, or be an http or ws URI with a host, an optional port and no "
         "user name."},
        {TARGET_FRAGMENT, "TARGET_FRAGMENT", 400,
         "The request target contains #; leave the fragment out, or write # as %23."},
        {TARGET_NOT_ASCII, "TARGET_NOT_ASCII", 400,
         "The request target contains a byte above 0x7F; percent-encode the UTF-8, as in %C3%A4."},
        {TARGET_TAB, "TARGET_TAB", 400, "The request target contains a tab; write it as %09."},
        {FIELD_FOLDED, "FIELD_FOLDED", 400, "A field is folded over several lines; send it on one."},
        {FIELD_SPACE, "FIELD_SPACE", 400, "There is white space before the colon of a field; remove it."},
        {FIELD_MALFORMED, "FIELD_MALFORMED", 400, "A field is not a name, a colon and a value."},
        {HOST_COUNT, "HOST_COUNT", 400, "The request must have exactly one Host field."},
        {HOST_MALFORMED, "HOST_MALFORMED", 400,
         "The Host field must be an ASCII host name (xn-- for other letters) or an address, with an optional "
         "port."},
        {HOST_UNBRACKETED, "HOST_UNBRACKETED", 400,
         "The host is an IPv6 address without brackets; write it as in [::1] or [::1]:8888."},
        {HOST_ZONE, "HOST_ZONE", 400,
         "The host is an IPv6 address with a zone; leave out % and the zone, as in [fe80::1]."},
        {CONTENT, "CONTENT", 400,
         "Content-Length must be one number of at most 18 digits, and 0 in GET, HEAD and OPTIONS."},
        {TRANSFER_ENCODING, "TRANSFER_ENCODING", 400,
         "Transfer-Encoding must be chunked alone, in HTTP/1.1, without Content-Length, and not in GET, HEAD "
         "or OPTIONS."},
        {PATH_UNKNOWN, "PATH_UNKNOWN", 404, "Nothing is served at this path."},
        {SOCKET_ELSEWHERE, "SOCKET_ELSEWHERE", 404,
         "There is no WebSocket at this path; connect to %s instead."},
        {METHOD_UNKNOWN, "METHOD_UNKNOWN", 501, "This method is not known here; use GET."},
        {METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", 405, "This method is not allowed here; use GET."},
        {UPGRADE_REQUIRED, "UPGRADE_REQUIRED", 426,
         "This is a WebSocket; send Upgrade: websocket over HTTP/1.1%s."},
        {CONNECTION_NOT_UPGRADE, "CONNECTION_NOT_UPGRADE", 400,
         "The Connection field does not list upgrade; send Connection: Upgrade."},
        {KEY_ABSENT, "KEY_ABSENT", 400, "Sec-WebSocket-Key is missing; send 16 random bytes in Base64."},
        {KEY_TWICE, "KEY_TWICE", 400, "Sec-WebSocket-Key is there twice; send it once."},
        {KEY_MALFORMED, "KEY_MALFORMED", 400,
         "Sec-WebSocket-Key must be 22 characters of Base64 (A-Z, a-z, 0-9, + and /) and then ==."},
        {VERSION_TWICE, "VERSION_TWICE", 400, "Sec-WebSocket-Version is there twice; send it once."},
        {ORIGIN_TWICE, "ORIGIN_TWICE", 400, "Origin is there twice; send it once."},
        {SUBPROTOCOL_MALFORMED, "SUBPROTOCOL_MALFORMED", 400,
         "Sec-WebSocket-Protocol must be a list of tokens, separated by commas."},
        {SUBPROTOCOL_TWICE, "SUBPROTOCOL_TWICE", 400,
         "Sec-WebSocket-Protocol lists a subprotocol twice; list each once."},
        {TOO_MANY_SUBPROTOCOLS, "TOO_MANY_SUBPROTOCOLS", 400,
         "Sec-WebSocket-Protocol lists over 64 names; list fewer."},
        {VERSION_NOT_13, "VERSION_NOT_13", 426, "Sec-WebSocket-Version must be 13."},
        {EXTENSION_MALFORMED, "EXTENSION_MALFORMED", 400,
         "Sec-WebSocket-Extensions must be a list of names with parameters; see RFC 6455 section 9.1."},
        {ORIGIN_FORBIDDEN, "ORIGIN_FORBIDDEN", 403, "Pages of this origin may not connect here."},
        {LAB_WORD_UNKNOWN, "LAB_WORD_UNKNOWN", 400,
         "A word in the query is unknown, empty or repeated; the lab knows %s."},
        {LAB_VALUE_WRONG, "LAB_VALUE_WRONG", 400,
         "A word in the query has a wrong value, none, or one where none belongs; the lab knows %s."},
        {LAB_STATUS_NOT_ALONE, "LAB_STATUS_NOT_ALONE", 400,
         "In the query, status goes with no other word but delay; the lab knows %s."},
        {LAB_TRIGGERS_NOTHING, "LAB_TRIGGERS_NOTHING", 400,
         "In the query, after and count need raw, stall or close; the lab knows %s."},
        {LAB_REASON_WITHOUT_CODE, "LAB_REASON_WITHOUT_CODE", 400,
         "In the query, reason needs close=CODE; the lab knows %s."},
        {LAB_RESET_WITHOUT_TCP, "LAB_RESET_WITHOUT_TCP", 400,
         "In the query, close=reset needs a TCP connection, which this is not; the lab knows %s."},
        {LAB_HEADERS_FORBIDDEN, "LAB_HEADERS_FORBIDDEN", 403,
         "The lab shows headers to a page only if --origin names its origin."},
        {LAB, "LAB", 0, "ended as the query asked the lab to"},
        {CLOSED_BY_PEER, "CLOSED_BY_PEER", 1005, "closed by the peer"},
        {STOPPED, "STOPPED", 1001, "server is stopping"},
        {IDLE, "IDLE", 1001, "nothing received in time"},
        {UNMASKED, "UNMASKED", 1002, "frame is not masked"},
        {RSV_SET, "RSV_SET", 1002, "RSV bit set where no extension defines it"},
        {OPCODE_RESERVED, "OPCODE_RESERVED", 1002, "reserved opcode"},
        {LENGTH_NOT_MINIMAL, "LENGTH_NOT_MINIMAL", 1002, "payload length is not minimal"},
        {LENGTH_TOP_BIT, "LENGTH_TOP_BIT", 1002, "top bit of the payload length is set"},
        {CONTROL_FRAGMENTED, "CONTROL_FRAGMENTED", 1002, "control frame is fragmented"},
        {CONTROL_TOO_LONG, "CONTROL_TOO_LONG", 1002, "control frame is over 125 bytes"},
        {NO_MESSAGE, "NO_MESSAGE", 1002, "continuation without a message"},
        {MESSAGE_UNFINISHED, "MESSAGE_UNFINISHED", 1002, "new message inside a fragmented one"},
        {CLOSE_TRUNCATED, "CLOSE_TRUNCATED", 1002, "Close body of one byte"},
        {CLOSE_CODE_INVALID, "CLOSE_CODE_INVALID", 1002, "Close code not allowed on the wire"},
        {CLOSE_NOT_UTF8, "CLOSE_NOT_UTF8", 1007, "Close reason is not UTF-8"},
        {TEXT_NOT_UTF8, "TEXT_NOT_UTF8", 1007, "text is not UTF-8"},
        {INFLATE_FAILED, "INFLATE_FAILED", 1007, "compressed message is not DEFLATE"},
        {INFLATE_UNFINISHED, "INFLATE_UNFINISHED", 1007, "compressed message ends inside a block"},
        {MESSAGE_TOO_BIG, "MESSAGE_TOO_BIG", 1009, "message is larger than the limit"},
        {NO_MEMORY, "NO_MEMORY", 1011, "no memory for the message"},
    };
    CHECK_NUMBER(OUTCOME_COUNT - 2, COUNT_OF(rows), "outcomes except NEED_MORE and DONE");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_STRING(rows[i].identity, outcomes[rows[i].end].identity, "identity");
        CHECK_NUMBER(rows[i].code, outcomes[rows[i].end].code, "%s", rows[i].identity);
        CHECK_STRING(rows[i].sentence, outcomes[rows[i].end].sentence, "%s", rows[i].identity);
    }
}

TEST(five_ends_are_local_faults)
{
    for (enum outcome end = 0; end < OUTCOME_COUNT; end++)
        CHECK_NUMBER(end == NO_MEMORY || end == READ_FAILED || end == WRITE_FAILED || end == CLOCK_FAILED ||
                         end == LINGER_FAILED,
                     outcomes[end].local_fault, "%s", outcomes[end].identity);
}

TEST(an_end_has_the_name_of_its_identity_in_lower_case_with_hyphens)
{
    char name[OUTCOME_NAME_SIZE];
    name_outcome(END_OF_INPUT, name);
    CHECK_STRING("end-of-input", name, "END_OF_INPUT");
    name_outcome(VERSION_NOT_13, name);
    CHECK_STRING("version-not-13", name, "VERSION_NOT_13");
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(REQUEST_LINE_MAX, 16384);
    CHECK_LIMIT(HEAD_MAX, 32768);
    CHECK_LIMIT(SERVED_PATH_MAX, 4095);
    CHECK_LIMIT(CONTENT_DIGITS_MAX, 18);
    CHECK_LIMIT(FIELDS_MAX, 100);
    CHECK_LIMIT(SUBPROTOCOLS_MAX, 64);
    CHECK_LIMIT(OUTCOME_NAME_SIZE, 32);
    CHECK_LIMIT(SENTENCE_TEMPLATE_SIZE, 128);
    CHECK_LIMIT(SENTENCE_SIZE, 4223);
}
