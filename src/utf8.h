/* SPDX-License-Identifier: MIT */
/*
 * utf8 - validates UTF-8 (RFC 3629) that may arrive in pieces
 *
 * The caller keeps the state of the validator, one byte, from piece to piece.  A text starts in the state
 * UTF8_WHOLE and is valid if it ends in it.  UTF8_WRONG is final.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_WRONG = 0, UTF8_WHOLE = 6 /* no character is unfinished */ };

/* Returns the state after `length` more bytes. */
uint8_t utf8_state_after(uint8_t state, const uint8_t *bytes, size_t length);

/* Tells whether all bytes together are valid UTF-8. */
bool is_utf8(const uint8_t *bytes, size_t length);

#endif
