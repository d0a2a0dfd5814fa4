/* SPDX-License-Identifier: MIT */
/* extension - see extension.h */
#include <stdio.h>
#include <string.h>

#include "extension.h"
#include "text.h"

static const struct {
    const char *name;
    bool may_have_value, may_lack_value;
    bool is_answered;    /* if it was offered without a value, the answer contains it as well */
    uint8_t least_value; /* zlib cannot deflate with a window of 256 bytes, which is 8 bits */
} parameter_rows[] = {
    [SERVER_NO_CONTEXT_TAKEOVER] = {"server_no_context_takeover", false, true, true, 0},
    [CLIENT_NO_CONTEXT_TAKEOVER] = {"client_no_context_takeover", false, true, true, 0},
    [SERVER_MAX_WINDOW_BITS] = {"server_max_window_bits", true, false, false, 9},
    [CLIENT_MAX_WINDOW_BITS] = {"client_max_window_bits", true, true, false, 8},
};

/*
 * Parses token [ "=" ( token | quoted-string ) ]; section 9.1.  A quoted value must be a token once its
 * backslashes are removed.  `value` becomes the value without quotes, still with backslashes; its bytes are
 * NULL if there is none.  Returns false if the parameter is malformed.
 */
static bool parse_parameter(struct slice text, struct slice *name, struct slice *value)
{
    *value = text;
    *name = slice_trimmed(slice_cut(value, '='));
    if (!value->bytes || !is_token(*name))
        return is_token(*name);
    *value = slice_trimmed(*value);
    if (value->length == 0 || value->bytes[0] != '"')
        return is_token(*value);
    if (value->length < strlen("\"8\"") || value->bytes[value->length - 1] != '"')
        return false;
    *value = (struct slice){value->bytes + 1, value->length - 2};
    for (size_t i = 0; i < value->length; i++) {
        i += value->bytes[i] == '\\';
        if (i == value->length || !is_token((struct slice){value->bytes + i, 1}))
            return false;
    }
    return true;
}

/*
 * Returns the number in a value, whose backslashes are ignored; 0 if it is not a number of one or two digits
 * without leading zeros.
 */
static unsigned parse_window_bits(struct slice value)
{
    unsigned bits = 0;
    for (size_t i = 0; i < value.length; i++) {
        char byte = value.bytes[i];
        if (byte == '\\')
            continue;
        if (byte < (bits > 0 ? '0' : '1') || byte > '9' || bits > 9)
            return 0;
        bits = 10 * bits + (unsigned)(byte - '0');
    }
    return bits;
}

/*
 * Adds a parameter to an offer.  Returns false if the server has to decline the offer: RFC 7692 section 7.1.
 */
static bool take_parameter(struct compression *offer, struct slice name, struct slice value)
{
    for (size_t i = 0; i < PARAMETERS; i++) {
        if (!slice_is(name, parameter_rows[i].name))
            continue;
        bool repeated = offer->given[i];
        unsigned bits = value.bytes ? parse_window_bits(value) : 0;
        offer->given[i] = true;
        offer->values[i] = (uint8_t)bits;
        if (repeated)
            return false;
        return value.bytes ? parameter_rows[i].may_have_value && bits >= parameter_rows[i].least_value &&
                                 bits <= WINDOW_BITS_MAX
                           : parameter_rows[i].may_lack_value;
    }
    return false;
}

/* Parses one element of Sec-WebSocket-Extensions.  Returns false if it is malformed. */
static bool parse_extension(struct slice extension, struct compression *offer)
{
    struct slice rest = extension, value, name = slice_trimmed(slice_cut(&rest, ';'));
    if (!is_token(name))
        return false;
    *offer = (struct compression){.acceptable = slice_is(name, "permessage-deflate")};
    while (rest.bytes) {
        if (!parse_parameter(slice_cut(&rest, ';'), &name, &value))
            return false;
        offer->acceptable = offer->acceptable && take_parameter(offer, name, value);
    }
    return true;
}

enum outcome choose_compression(const struct head *head, bool enabled, struct compression *chosen)
{
    struct list list = {0};
    struct slice extension;
    struct compression offer;
    *chosen = (struct compression){.acceptable = false};
    while (head_next_element(head, "Sec-WebSocket-Extensions", &list, &extension)) {
        /*
         * Splitting at commas ignores quotes.  That is safe: a quoted value must be a token, which has no
         * comma, so a value that was split is malformed either way.
         */
        if (!parse_extension(extension, &offer))
            return EXTENSION_MALFORMED;
        if (enabled && offer.acceptable && !chosen->acceptable)
            *chosen = offer;
    }
    return DONE;
}

void describe_compression(const struct compression *agreed, char into[static EXTENSION_SIZE])
{
    char *end = stpcpy(into, agreed->acceptable ? "permessage-deflate" : "");
    for (size_t i = 0; i < PARAMETERS; i++) {
        if (agreed->values[i])
            end += sprintf(end, "; %s=%d", parameter_rows[i].name, agreed->values[i]);
        else if (agreed->given[i] && parameter_rows[i].is_answered)
            end += sprintf(end, "; %s", parameter_rows[i].name);
    }
}
