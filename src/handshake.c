/* SPDX-License-Identifier: MIT */
/* handshake - see handshake.h */
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <string.h>

#include "handshake.h"

/*
 * Tells whether a key is Base64 of 16 bytes: 22 characters and "==".  The last character has four unused
 * bits; they may be set, as in the example of section 4.1.  The key is never decoded.
 */
static bool is_key(struct slice key)
{
    if (key.length != KEY_LENGTH || memcmp(key.bytes + KEY_LENGTH - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_LENGTH - 2; i++)
        if (!is_alphanumeric_or(key.bytes[i], "+/"))
            return false;
    return true;
}

void make_accept(struct slice key, char accept[static ACCEPT_LENGTH + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sha1_ctx sha1;
    sha1_init(&sha1);
    sha1_update(&sha1, key.length, (const uint8_t *)key.bytes);
    sha1_update(&sha1, sizeof guid - 1, (const uint8_t *)guid);
    sha1_digest(&sha1, sizeof digest, digest);
    base64_encode_raw(accept, sizeof digest, digest);
    accept[ACCEPT_LENGTH] = '\0';
}

/*
 * Checks Sec-WebSocket-Protocol and chooses the first name that --subprotocol allows; section 4.2.2.  An
 * empty list offers nothing: old clients send one, and proxies that blank a value.  Returns DONE, or why the
 * request is refused.
 */
static enum outcome choose_subprotocol(const struct head *head, const struct choices *choices,
                                       struct slice *chosen)
{
    struct list list = {0};
    struct slice name, other;
    unsigned count = 0;
    *chosen = (struct slice){"", 0};
    while (head_next_element(head, "Sec-WebSocket-Protocol", &list, &name)) {
        if (!is_token(name))
            return SUBPROTOCOL_MALFORMED;
        if (++count > SUBPROTOCOLS_MAX)
            return TOO_MANY_SUBPROTOCOLS;
        struct list earlier = {0};
        while (head_next_element(head, "Sec-WebSocket-Protocol", &earlier, &other) &&
               other.bytes != name.bytes)
            if (other.length == name.length && memcmp(other.bytes, name.bytes, name.length) == 0)
                return SUBPROTOCOL_TWICE;
        if (chosen->length == 0 && choices_include(choices, name))
            *chosen = name;
    }
    return DONE;
}

/* Checks the fields of a WebSocket request whose path and method are right: section 4.2.1. */
static enum outcome check_websocket(const struct head *head, const struct options *options,
                                    struct agreement *agreed)
{
    struct slice key, version, origin;
    unsigned keys = head_find_field(head, "Sec-WebSocket-Key", &key);
    unsigned versions = head_find_field(head, "Sec-WebSocket-Version", &version);
    unsigned origins = head_find_field(head, "Origin", &origin);
    enum outcome outcome = DONE;
    if (!head_list_includes(head, "Connection", "upgrade"))
        return CONNECTION_NOT_UPGRADE;
    if (keys != 1)
        return keys ? KEY_TWICE : KEY_ABSENT;
    if (!is_key(key))
        return KEY_MALFORMED;
    if (versions > 1 || origins > 1)
        return versions > 1 ? VERSION_TWICE : ORIGIN_TWICE;
    if ((outcome = choose_subprotocol(head, &options->subprotocols, &agreed->subprotocol)) != DONE)
        return outcome;
    if (!slice_is(version, "13"))
        return VERSION_NOT_13;
    if ((outcome = choose_compression(head, options->deflate, &agreed->compression)) != DONE)
        return outcome;
    return origins == 0 || choices_include(&options->origins, origin) ? DONE : ORIGIN_FORBIDDEN;
}

bool is_root(struct slice path)
{
    return slice_is(path, "/") || slice_is(path, "*");
}

/* Tells whether a method is one of RFC 9110 section 9.3, or PATCH, RFC 5789. */
static bool is_known_method(struct slice method)
{
    static const char known[][sizeof "OPTIONS"] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                                   "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (slice_is(method, known[i]))
            return true;
    return false;
}

enum outcome check_request(const struct head *head, const struct options *options, struct agreement *agreed)
{
    /* Upgrade is ignored in HTTP/1.0: RFC 9110 section 7.8. */
    bool websocket = head->minor_version > 0 && head_list_includes(head, "Upgrade", "websocket");
    bool root = is_root(head->path), page = root && !websocket; /* page: plain HTTP for / */
    struct slice path = root ? SLICE_OF("/") : head->path;
    if (!page && !choices_include(&options->paths, path) && !choices_include(&options->labs, path))
        return websocket ? SOCKET_ELSEWHERE : PATH_UNKNOWN;
    if (root && slice_is(head->method, "OPTIONS"))
        return METHODS_TOLD;
    if (!is_known_method(head->method))
        return METHOD_UNKNOWN;
    if (!slice_is(head->method, "GET") && !(page && slice_is(head->method, "HEAD")))
        return METHOD_NOT_ALLOWED;
    if (page)
        return options->no_page ? PATH_TOLD : PAGE_SERVED;
    if (!websocket)
        return UPGRADE_REQUIRED;
    return check_websocket(head, options, agreed);
}
