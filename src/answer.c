/* SPDX-License-Identifier: MIT */
/* answer - see answer.h */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "answer.h"
#include "page.h" /* PAGE, PAGE_SCRIPT_HASH, PAGE_STYLE_HASH: made of page.html by the Makefile */

enum { PAGE_HEAD_MAX = 4096 /* bytes; of the answer with the page */ };

/* What fill_in_page adds: two paths and the origins, each with a space; escaped, up to six times as long. */
#define FILLED_IN_MAX (6 * (2 * SERVED_PATH_MAX + CHOICES_MAX * (ORIGIN_MAX + 1)) + 64)
_Static_assert(2 * PAGE_HEAD_MAX + sizeof PAGE + FILLED_IN_MAX <= OUTPUT_SIZE,
               "the page fits the output, filled in");

/*
 * Appends to the output, printf-like.  The output buffer is large enough for any answer: see the assertion
 * above.
 */
#define PUT(stream, ...) append((char *)(stream)->output, OUTPUT_SIZE, &(stream)->output_used, __VA_ARGS__)

/* Returns the reason phrase of an HTTP status: RFC 9110 section 15, RFC 6585; empty if it has none there. */
static const char *status_phrase(int status)
{
    static const struct {
        uint16_t status;
        char phrase[32];
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {305, "Use Proxy"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {511, "Network Authentication Required"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].status == status)
            return rows[i].phrase;
    return "";
}

/* Writes a string escaped for HTML, at most six times as long, and a NUL.  Returns where the NUL is. */
static char *escape_html(const char *string, char *into)
{
    for (; *string; string++) {
        if (*string == '&' || *string == '<' || *string == '"')
            into = stpcpy(into, *string == '&' ? "&amp;" : *string == '<' ? "&lt;" : "&quot;");
        else
            *into++ = *string;
    }
    *into = '\0';
    return into;
}

/*
 * Writes the page and fills in the first WebSocket path, the allowed origins, each with a space in front, and
 * the first path of the lab.  JavaScript cannot see why a handshake failed, so the page compares its own
 * origin with this list; it also tells whether the lab's word headers is allowed.  Returns the end of the
 * page.
 */
static char *fill_in_page(const struct options *options, char *into)
{
    static const char marker[] = "value=\"/socket\" data-origins=\"\" data-lab=\"\"";
    const char *rest = strstr(PAGE, marker);
    memcpy(into, PAGE, (size_t)(rest - PAGE));
    into = escape_html(first_path(options, "/socket"), stpcpy(into + (rest - PAGE), "value=\""));
    into = stpcpy(into, "\" data-origins=\"");
    for (unsigned i = 0; i < options->origins.count; i++)
        into = escape_html(options->origins.names[i], stpcpy(into, " "));
    into = stpcpy(into, "\" data-lab=\"");
    if (options->labs.count > 0)
        into = escape_html(options->labs.names[0], into);
    return stpcpy(stpcpy(into, "\""), rest + strlen(marker));
}

/*
 * Puts the fields of the page and, if `with_content`, the page.  Content-Length comes before the page, so the
 * page is first written PAGE_HEAD_MAX bytes further on, and moved to its place after the fields.
 */
static void put_page(struct stream *stream, const struct options *options, bool with_content)
{
    char *page = (char *)stream->output + stream->output_used + PAGE_HEAD_MAX;
    size_t length = (size_t)(fill_in_page(options, page) - page);
    PUT(stream,
        "Content-Type: text/html; charset=utf-8\r\n"
        "Content-Length: %zu\r\n"
        "Content-Security-Policy: default-src 'none'; img-src data:; script-src '" PAGE_SCRIPT_HASH
        "'; style-src '" PAGE_STYLE_HASH "'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
        "Cross-Origin-Opener-Policy: same-origin\r\n" /* these two give the page a precise clock */
        "Cross-Origin-Embedder-Policy: require-corp\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Referrer-Policy: no-referrer\r\n"
        "Cache-Control: no-cache\r\n"
        "\r\n",
        length);
    if (!with_content)
        return;
    memmove(stream->output + stream->output_used, page, length);
    stream->output_used += length;
}

/*
 * Tells whether the method is HEAD, whose answer has no content: RFC 9110 section 9.3.2.  If the request line
 * was refused before it was complete, the method is looked up in the input.
 */
static bool is_head_request(const struct stream *stream, const struct head *head)
{
    static const char begin[] = "HEAD ";
    if (head->lines > 0)
        return slice_is(head->method, "HEAD");
    return stream->input_end >= head->line_start + strlen(begin) &&
           memcmp(stream->input + head->line_start, begin, strlen(begin)) == 0;
}

/* Returns the methods besides GET that Allow lists for the path of the request. */
static const char *other_methods(const struct head *head, enum outcome outcome)
{
    if (!is_root(head->path))
        return "";
    /* HEAD is refused at / only if the request asks for a WebSocket; then Allow leaves it out. */
    return outcome == METHOD_NOT_ALLOWED && slice_is(head->method, "HEAD") ? ", OPTIONS" : ", HEAD, OPTIONS";
}

void describe_outcome(enum outcome outcome, const struct options *options,
                      char sentence[static SENTENCE_SIZE])
{
    char words[WORDS_LIST_SIZE];
    switch (outcome) {
    case UPGRADE_REQUIRED: make_sentence(outcome, page_hint(options), sentence); break;
    case LAB_WORD_UNKNOWN:
    case LAB_VALUE_WRONG:
    case LAB_STATUS_NOT_ALONE:
    case LAB_TRIGGERS_NOTHING:
    case LAB_REASON_WITHOUT_CODE:
    case LAB_RESET_WITHOUT_TCP:
        words_list(words);
        make_sentence(outcome, words, sentence);
        break;
    default: make_sentence(outcome, first_path(options, "/"), sentence); break;
    }
}

/* Puts the last fields and, if `with_content`, the sentence; the answer to HEAD has only the fields. */
static void put_sentence(struct stream *stream, const char *sentence, bool with_content)
{
    PUT(stream, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n\r\n",
        strlen(sentence) + 1);
    if (with_content)
        PUT(stream, "%s\n", sentence);
}

/* Puts the fields that the status needs and, as content, the outcome's sentence. */
static void put_outcome(struct stream *stream, const struct head *head, const struct options *options,
                        enum outcome outcome)
{
    char sentence[SENTENCE_SIZE];
    int status = outcomes[outcome].code;
    if (status == 204 || status == 405)
        PUT(stream, "Allow: GET%s\r\n", other_methods(head, outcome));
    if (status == 204) { /* 204 has no content: RFC 9110 section 15.3.5 */
        PUT(stream, "\r\n");
        return;
    }
    if (status == 426)
        PUT(stream, "Upgrade: websocket\r\n");
    if (outcome == VERSION_NOT_13)
        PUT(stream, "Sec-WebSocket-Version: 13\r\n");
    describe_outcome(outcome, options, sentence);
    put_sentence(stream, sentence, !is_head_request(stream, head));
}

void put_switching(struct stream *stream, const struct head *head, struct slice subprotocol,
                   const char *extension, bool wrong_accept)
{
    char accept[ACCEPT_LENGTH + 1];
    struct slice key;
    head_find_field(head, "Sec-WebSocket-Key", &key);
    make_accept(key, accept);
    if (wrong_accept)
        accept[0] = accept[0] == 'A' ? 'B' : 'A';
    PUT(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    PUT(stream, "Sec-WebSocket-Accept: %s\r\n", accept);
    if (subprotocol.length > 0)
        PUT(stream, "Sec-WebSocket-Protocol: %.*s\r\n", (int)subprotocol.length, subprotocol.bytes);
    if (*extension)
        PUT(stream, "Sec-WebSocket-Extensions: %s\r\n", extension);
    PUT(stream, "\r\n");
}

/* Puts the status line and the fields that every answer has. */
static void put_status(struct stream *stream, int status)
{
    char date[sizeof "Sun, 06 Nov 1994 08:49:37 GMT"];
    struct timespec time;
    struct tm date_time;
    /*
     * glibc's gmtime_r may try to open the time zone's file.  The sandbox forbids that, and UTC does not need
     * it.
     */
    clock_gettime(CLOCK_REALTIME, &time);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&time.tv_sec, &date_time));
    PUT(stream, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: %sclose\r\n", status, status_phrase(status), date,
        status == 426 ? "Upgrade, " : "");
}

void put_answer(struct stream *stream, const struct head *head, const struct options *options,
                enum outcome outcome)
{
    put_status(stream, outcomes[outcome].code);
    if (outcome == PAGE_SERVED)
        put_page(stream, options, !slice_is(head->method, "HEAD"));
    else
        put_outcome(stream, head, options, outcome);
}

void put_lab_answer(struct stream *stream, struct slice path, int status)
{
    /* Fields that belong to a status: RFC 9110 section 15. */
    static const struct {
        int status;
        char fields[40];
    } rows[] = {
        {205, "Content-Length: 0\r\n"},  {401, "WWW-Authenticate: Bearer\r\n"},
        {405, "Allow: GET\r\n"},         {407, "Proxy-Authenticate: Bearer\r\n"},
        {426, "Upgrade: websocket\r\n"},
    };
    put_status(stream, status);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].status == status)
            PUT(stream, "%s", rows[i].fields);
    if (status >= 300 && status < 400 && status != 304)
        PUT(stream, "Location: %.*s\r\n", (int)path.length, path.bytes);
    if (status == 204 || status == 205 || status == 304) /* these have no content */
        PUT(stream, "\r\n");
    else
        put_sentence(stream, "The query asked the lab for this status.", true);
}
