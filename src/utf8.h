/*
 * utf8 - validates UTF-8 (RFC 3629), which may come in pieces
 *
 * The state of the validator is one byte, which the caller keeps between two pieces.  A text begins with
 * UTF8_WHOLE and has to end with it; UTF8_WRONG stays.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_WRONG = 0, UTF8_WHOLE = 6 /* between two characters */ };

/* Returns the state after more bytes. */
uint8_t utf8_state_after(uint8_t state, const uint8_t *bytes, size_t length);

/* Tells whether bytes are a text that ends with a whole character. */
bool is_utf8(const uint8_t *bytes, size_t length);

#endif
