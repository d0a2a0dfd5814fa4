/* SPDX-License-Identifier: MIT */
/*
 * text - parts of a buffer (slices), sets of bytes, decoding, and strings that grow by pieces
 *
 * A struct slice is a pointer and a length; there is no terminating NUL.  Nothing here allocates;
 * percent_decode, append and append_strings write into the caller's buffer.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basics.h"

/* A part of a buffer, without a terminating NUL.  slice_cut sets `bytes` to NULL where nothing is left. */
struct slice {
    const char *bytes;
    size_t length;
};

#define SLICE_OF(string) ((struct slice){(string), strlen(string)})

/* Returns the smaller of two sizes. */
static inline size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Compares case-sensitively, byte for byte. */
bool slice_is(struct slice text, const char *string);

/* Compares ASCII letters without regard to their case. */
bool slice_is_any_case(struct slice text, const char *string);

/* Tells whether a byte is an ASCII letter, a digit, or one of `others`. */
bool is_alphanumeric_or(char byte, const char *others);

/* Tells whether text is made of digits only (and not empty). */
bool is_number(struct slice text);

/* Tells whether text is a token: RFC 9110 section 5.6.2. */
bool is_token(struct slice text);

/* Tells whether text is visible ASCII and has none of the bytes in `without`. */
bool is_visible_except(struct slice text, const char *without);

/* Returns the value of a hexadecimal digit, or -1. */
int hex_digit(char digit);

/*
 * Decodes %HH, and with `plus` also "+" as a space, into a buffer of `size` bytes.  Returns the length of the
 * result in bytes, or -1 if a % is not followed by two hexadecimal digits or the result does not fit.
 */
ptrdiff_t percent_decode(struct slice text, bool plus, char *into, size_t size);

/*
 * Parses seconds with an optional fraction, such as 10 or 0.5.  Sets microseconds, at least one unless all
 * digits are 0.  Returns false if the string is malformed or the duration is longer than `most`.
 */
bool parse_seconds(const char *string, int64_t most, int64_t *duration);

/* Returns text without the spaces and tabs around it. */
struct slice slice_trimmed(struct slice text);

/*
 * Splits *rest at the first separator.  Returns the part in front of it; *rest becomes the part after it.  If
 * there is no separator, returns all of *rest and sets rest->bytes to NULL.
 */
struct slice slice_cut(struct slice *rest, char separator);

/*
 * Appends `strings`, an array that ends with NULL, to the string of `*used` bytes in `buffer`, which has
 * `size` bytes, and adds their length to `*used`.  If they do not fit, returns false and leaves the string as
 * it was.
 */
bool append_strings(char *buffer, size_t size, size_t *used, const char *const strings[]);

/* The same, printf-like. */
__attribute__((format(printf, 4, 5))) bool append(char *buffer, size_t size, size_t *used, const char *format,
                                                  ...);

#endif
