/* SPDX-License-Identifier: MIT */
/* head - see head.h */
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "head.h"

bool head_next_field(const struct head *head, const char *name, size_t *next, struct slice *value)
{
    while (*next < head->field_count) {
        const struct field *field = &head->fields[(*next)++];
        if (slice_is_any_case(field->name, name)) {
            *value = field->value;
            return true;
        }
    }
    return false;
}

unsigned head_find_field(const struct head *head, const char *name, struct slice *value)
{
    size_t next = 0;
    unsigned count = 0;
    struct slice other;
    *value = (struct slice){"", 0};
    while (head_next_field(head, name, &next, count ? &other : value))
        count++;
    return count;
}

bool head_next_element(const struct head *head, const char *name, struct list *list, struct slice *element)
{
    for (;;) {
        if (!list->rest.bytes && !head_next_field(head, name, &list->next, &list->rest))
            return false;
        *element = slice_trimmed(slice_cut(&list->rest, ','));
        if (element->length > 0)
            return true;
    }
}

bool head_list_includes(const struct head *head, const char *name, const char *element_name)
{
    struct list list = {0};
    struct slice element;
    while (head_next_element(head, name, &list, &element))
        if (slice_is_any_case(element, element_name))
            return true;
    return false;
}

/* Punctuation that a host may contain unencoded: RFC 3986 section 2.2 (sub-delims) and 2.3 (unreserved). */
#define HOST_BYTES "-._~!$&'()*+,;="

/* Tells whether text is an IPv6 address: RFC 3986 section 3.2.2. */
static bool is_ipv6_address(struct slice text)
{
    char string[INET6_ADDRSTRLEN] = "";
    uint8_t address[16];
    if (text.length >= sizeof string)
        return false;
    memcpy(string, text.bytes, text.length);
    return strlen(string) == text.length && inet_pton(AF_INET6, string, address) == 1;
}

/* Tells whether text is valid between the brackets of an IP literal: RFC 3986 section 3.2.2. */
static bool is_ip_literal(struct slice text)
{
    if (text.length == 0 || (text.bytes[0] | 0x20) != 'v')
        return is_ipv6_address(text);
    struct slice rest = {text.bytes + 1, text.length - 1}, version = slice_cut(&rest, '.'); /* IPvFuture */
    for (size_t i = 0; i < version.length; i++)
        if (hex_digit(version.bytes[i]) < 0)
            return false;
    for (size_t i = 0; rest.bytes && i < rest.length; i++)
        if (!is_alphanumeric_or(rest.bytes[i], HOST_BYTES ":"))
            return false;
    return version.length > 0 && rest.bytes && rest.length > 0;
}

/* Tells whether text is a valid reg-name or IPv4address, which may be empty: RFC 3986 section 3.2.2. */
static bool is_registered_name(struct slice name)
{
    for (size_t i = 0; i < name.length; i++) {
        bool encoded = name.bytes[i] == '%' && i + 2 < name.length && hex_digit(name.bytes[i + 1]) >= 0 &&
                       hex_digit(name.bytes[i + 2]) >= 0;
        if (!encoded && !is_alphanumeric_or(name.bytes[i], HOST_BYTES))
            return false;
    }
    return true;
}

/* Tells whether text is uri-host [ ":" port ]: RFC 9110 sections 4.2 and 7.2. */
static bool is_host(struct slice text)
{
    struct slice rest = text, name;
    if (text.length > 0 && text.bytes[0] == '[') {
        rest = (struct slice){text.bytes + 1, text.length - 1};
        name = slice_cut(&rest, ']');
        if (!rest.bytes || !is_ip_literal(name))
            return false;
        name = slice_cut(&rest, ':'); /* must be empty: the colon follows the bracket directly */
        return name.length == 0 && (!rest.bytes || rest.length == 0 || is_number(rest));
    }
    name = slice_cut(&rest, ':');
    return is_registered_name(name) && (!rest.bytes || rest.length == 0 || is_number(rest));
}

/*
 * Returns what is wrong with a host that is_host refuses: HOST_ZONE for an IPv6 address with a zone (RFC
 * 6874), with or without brackets, HOST_UNBRACKETED for one without brackets, otherwise HOST_MALFORMED.
 */
static enum outcome host_fault(struct slice host)
{
    bool bracketed = host.length > 0 && host.bytes[0] == '[';
    struct slice rest = {host.bytes + bracketed, host.length - bracketed}, address = slice_cut(&rest, '%');
    const char *colon = NULL; /* the last one */
    for (size_t i = 0; i < address.length; i++)
        colon = address.bytes[i] == ':' ? address.bytes + i : colon;
    if (rest.bytes)
        return is_ipv6_address(address) ? HOST_ZONE : HOST_MALFORMED;
    if (bracketed || !colon)
        return HOST_MALFORMED;
    if (is_ipv6_address(address))
        return HOST_UNBRACKETED;
    address.length = (size_t)(colon - address.bytes); /* try what follows the last colon as a port */
    rest = (struct slice){colon + 1, host.length - address.length - 1};
    return is_ipv6_address(address) && (rest.length == 0 || is_number(rest)) ? HOST_UNBRACKETED
                                                                             : HOST_MALFORMED;
}

/*
 * Checks the bytes of a target, which check_byte has already searched for control bytes other than tabs.
 * Returns DONE, or the fault of the first byte that no URI contains: RFC 3986 section 2.
 */
static enum outcome check_target_bytes(struct slice target)
{
    for (size_t i = 0; i < target.length; i++) {
        if (target.bytes[i] == '#')
            return TARGET_FRAGMENT;
        if (target.bytes[i] == '\t')
            return TARGET_TAB;
        if ((unsigned char)target.bytes[i] > '~')
            return TARGET_NOT_ASCII;
    }
    return DONE;
}

/*
 * Sets head->path to the path of a target in origin or absolute form, or to the * of OPTIONS; RFC 9112
 * section 3.2.  Returns DONE, or why the target is refused.
 */
static enum outcome parse_target(struct head *head)
{
    static const char *const schemes[] = {"http", "https", "ws", "wss"};
    struct slice rest = head->target;
    enum outcome outcome = check_target_bytes(rest);
    if (outcome != DONE)
        return outcome;
    if (slice_is(rest, "*") && slice_is(head->method, "OPTIONS")) {
        head->path = rest;
        return DONE;
    }
    if (rest.length == 0 || rest.bytes[0] != '/') {
        struct slice scheme = slice_cut(&rest, ':');
        bool has_known_scheme = false;
        for (size_t i = 0; i < COUNT_OF(schemes); i++)
            has_known_scheme = has_known_scheme || slice_is_any_case(scheme, schemes[i]);
        if (!has_known_scheme || !rest.bytes || rest.length < 3 || memcmp(rest.bytes, "//", 2) != 0)
            return TARGET_MALFORMED;
        struct slice authority = {rest.bytes + 2, 0};
        while (2 + authority.length < rest.length && !strchr("/?", authority.bytes[authority.length]))
            authority.length++;
        if (!is_host(authority)) {
            outcome = host_fault(authority);
            return outcome == HOST_MALFORMED ? TARGET_MALFORMED : outcome;
        }
        if (authority.length == 0 || authority.bytes[0] == ':')
            return TARGET_MALFORMED;
        rest = (struct slice){authority.bytes + authority.length, rest.length - 2 - authority.length};
    }
    head->path = slice_cut(&rest, '?');
    head->query = rest;
    if (head->path.length == 0)
        head->path = SLICE_OF("/");
    return DONE;
}

/* Parses `method SP target SP HTTP/x.y`: RFC 9112 section 3.  Returns DONE or why it is refused. */
static enum outcome parse_request_line(struct head *head, struct slice line)
{
    struct slice rest = line, version;
    if (line.length >= 6 && memcmp(line.bytes, "PROXY ", 6) == 0)
        return PROXY_UNEXPECTED;
    struct slice method = slice_cut(&rest, ' ');
    if (!rest.bytes || !is_token(method))
        return LINE_MALFORMED;
    head->method = method;
    head->target = slice_cut(&rest, ' ');
    version = rest;
    if (!rest.bytes || version.length != strlen("HTTP/1.1") || memcmp(version.bytes, "HTTP/", 5) != 0 ||
        !is_number((struct slice){version.bytes + 5, 1}) || version.bytes[6] != '.' ||
        !is_number((struct slice){version.bytes + 7, 1}))
        return LINE_MALFORMED;
    if (version.bytes[5] != '1')
        return VERSION_UNSUPPORTED;
    head->minor_version = version.bytes[7] - '0';
    return parse_target(head);
}

/* Parses `name ":" OWS value OWS`: RFC 9112 section 5.  Returns DONE or why it is refused. */
static enum outcome parse_field(struct head *head, struct slice line)
{
    struct slice rest = line;
    if (line.bytes[0] == ' ' || line.bytes[0] == '\t')
        return FIELD_FOLDED;
    struct slice name = slice_cut(&rest, ':');
    if (rest.bytes && slice_trimmed(name).length < name.length)
        return FIELD_SPACE;
    if (!rest.bytes || !is_token(name))
        return FIELD_MALFORMED;
    if (head->field_count == FIELDS_MAX)
        return TOO_MANY_FIELDS;
    head->fields[head->field_count++] = (struct field){name, slice_trimmed(rest)};
    return DONE;
}

/*
 * Checks Content-Length and Transfer-Encoding: RFC 9112 section 6.  No content is ever read here, but a proxy
 * in front may disagree about where it ends (request smuggling), so every ambiguous request is refused.  GET,
 * HEAD and OPTIONS may announce no content except Content-Length: 0: content has no meaning there (RFC 9110
 * section 9.3), and parsers differ in whether they expect it.  Returns DONE, or why the request is refused.
 */
static enum outcome check_content(const struct head *head)
{
    struct slice coding, length;
    unsigned codings = head_find_field(head, "Transfer-Encoding", &coding);
    unsigned lengths = head_find_field(head, "Content-Length", &length);
    bool meaningless =
        slice_is(head->method, "GET") || slice_is(head->method, "HEAD") || slice_is(head->method, "OPTIONS");
    if (codings > 0) {
        bool unambiguous =
            codings == 1 && lengths == 0 && head->minor_version > 0 && slice_is_any_case(coding, "chunked");
        return unambiguous && !meaningless ? DONE : TRANSFER_ENCODING;
    }
    if (lengths == 0)
        return DONE;
    size_t digits = length.length - strspn(length.bytes, "0");
    if (lengths > 1 || !is_number(length) || digits > (meaningless ? 0 : CONTENT_DIGITS_MAX))
        return CONTENT;
    return DONE;
}

/* Checks Host and the announcement of content in a complete head.  Returns DONE, or why it is refused. */
static enum outcome check_host_and_content(const struct head *head)
{
    struct slice host;
    unsigned hosts = head_find_field(head, "Host", &host);
    if (hosts > 1 || (hosts == 0 && head->minor_version > 0))
        return HOST_COUNT;
    return is_host(host) ? check_content(head) : host_fault(host);
}

/*
 * Parses one line of the head, without its CRLF.  Returns NEED_MORE, DONE for the empty line that ends the
 * head if the head is readable, or why it is refused.
 */
static enum outcome parse_line(struct head *head, struct slice line)
{
    if (head->lines == 0 && line.length == 0) {
        head->skipped++;
        return NEED_MORE;
    }
    if (line.length == 0)
        return check_host_and_content(head);
    enum outcome outcome = head->lines++ == 0 ? parse_request_line(head, line) : parse_field(head, line);
    return outcome == DONE ? NEED_MORE : outcome;
}

/*
 * Checks the next byte, bytes[head->scanned], which the one in front of it may restrict.  Returns DONE, or
 * why it is refused.
 */
static enum outcome check_byte(const struct head *head, const char *bytes)
{
    unsigned char byte = (unsigned char)bytes[head->scanned];
    bool after_cr = head->scanned > 0 && bytes[head->scanned - 1] == '\r';
    size_t column = head->scanned - head->line_start;
    if (head->scanned == 0 && byte == TLS_HANDSHAKE)
        return TLS_HELLO;
    if (head->skipped == 2) /* two empty lines: only a PROXY header of version 2 begins so */
        return byte == '\0' ? PROXY_UNEXPECTED : LINE_MALFORMED;
    if (head->scanned == HEAD_MAX)
        return HEAD_TOO_LARGE;
    if (after_cr != (byte == '\n'))
        return after_cr ? BARE_CR : BARE_LF;
    if (head->lines == 0 && column == REQUEST_LINE_MAX && byte != '\r' && byte != '\n')
        return LINE_TOO_LONG;
    if ((byte < ' ' && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0x7f)
        return CONTROL_BYTE;
    return DONE;
}

enum outcome head_parse(struct head *head, const char *bytes, size_t length)
{
    while (head->scanned < length) {
        enum outcome outcome = check_byte(head, bytes);
        bool line_ends = bytes[head->scanned++] == '\n';
        if (outcome != DONE)
            return outcome;
        if (!line_ends)
            continue;
        struct slice line = {bytes + head->line_start, head->scanned - strlen("\r\n") - head->line_start};
        head->line_start = head->scanned;
        if ((outcome = parse_line(head, line)) != NEED_MORE)
            return outcome;
    }
    return NEED_MORE;
}
