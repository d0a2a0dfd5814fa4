/* SPDX-License-Identifier: MIT */
/* text - see text.h */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "text.h"

bool slice_is(struct slice text, const char *string)
{
    return text.length == strlen(string) && memcmp(text.bytes, string, text.length) == 0;
}

bool slice_is_any_case(struct slice text, const char *string)
{
    return text.length == strlen(string) && strncasecmp(text.bytes, string, text.length) == 0;
}

bool is_alphanumeric_or(char byte, const char *others)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte != '\0' && strchr(others, byte));
}

bool is_number(struct slice text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return false;
    return text.length > 0;
}

bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!is_alphanumeric_or(text.bytes[i], "!#$%&'*+-.^_`|~"))
            return false;
    return text.length > 0;
}

bool is_visible_except(struct slice text, const char *without)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.bytes[i] <= ' ' || text.bytes[i] > '~' || strchr(without, text.bytes[i]))
            return false;
    return true;
}

int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20; /* to lower case */
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

ptrdiff_t percent_decode(struct slice text, bool plus, char *into, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        char byte = plus && text.bytes[i] == '+' ? ' ' : text.bytes[i];
        if (byte == '%') {
            if (text.length - i < sizeof "%HH" - 1)
                return -1;
            int high = hex_digit(text.bytes[i + 1]), low = hex_digit(text.bytes[i + 2]);
            if (high < 0 || low < 0)
                return -1;
            byte = (char)(high << 4 | low);
            i += 2;
        }
        if (length == size)
            return -1;
        into[length++] = byte;
    }
    return (ptrdiff_t)length;
}

bool parse_seconds(const char *string, int64_t most, int64_t *duration)
{
    int64_t whole = 0, fraction = 0, unit = SECOND;
    const char *next = string;
    for (; *next >= '0' && *next <= '9'; next++)
        if ((whole = whole * 10 + (*next - '0')) > most / SECOND)
            return false;
    if (next == string)
        return false;
    if (*next == '.') {
        if (next[1] == '\0')
            return false;
        for (next++; *next >= '0' && *next <= '9'; next++)
            fraction += (*next - '0') * (unit /= 10);
    }
    *duration = whole * SECOND + fraction;
    /* A duration below a microsecond is not 0, which would mean never. */
    if (*duration == 0 && strpbrk(string, "123456789"))
        *duration = 1;
    return *next == '\0' && *duration <= most;
}

struct slice slice_trimmed(struct slice text)
{
    while (text.length > 0 && (text.bytes[0] == ' ' || text.bytes[0] == '\t')) {
        text.bytes++;
        text.length--;
    }
    while (text.length > 0 && (text.bytes[text.length - 1] == ' ' || text.bytes[text.length - 1] == '\t'))
        text.length--;
    return text;
}

struct slice slice_cut(struct slice *rest, char separator)
{
    struct slice first = *rest;
    const char *end = memchr(rest->bytes, separator, rest->length);
    if (!end) {
        rest->bytes = NULL;
        return first;
    }
    first.length = (size_t)(end - first.bytes);
    rest->bytes = end + 1;
    rest->length -= first.length + 1;
    return first;
}

bool append_strings(char *buffer, size_t size, size_t *used, const char *const strings[])
{
    size_t end = *used;
    for (; *strings; strings++) {
        size_t length = strlen(*strings);
        if (length >= size - end) {
            buffer[*used] = '\0';
            return false;
        }
        memcpy(buffer + end, *strings, length + 1);
        end += length;
    }
    *used = end;
    return true;
}

bool append(char *buffer, size_t size, size_t *used, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buffer + *used, size - *used, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= size - *used) {
        buffer[*used] = '\0';
        return false;
    }
    *used += (size_t)length;
    return true;
}
