/* SPDX-License-Identifier: MIT */
/*
 * head - parses a request head strictly (RFC 9112), and finds its fields
 *
 * A pure, incremental parser: each call continues where the last one stopped, and no byte is looked at twice,
 * so the result is the same however the bytes are split into reads.  It refuses heads that are malformed or
 * ambiguous; whether the request is served is decided by handshake.
 */
#ifndef HEAD_H
#define HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "outcome.h"
#include "text.h"

enum { TLS_HANDSHAKE = 0x16 /* the first byte of a TLS connection: RFC 8446 section 5.1 */ };

struct field {
    struct slice name, value;
};

/* A request head while it is parsed: RFC 9112 section 2. */
struct head {
    size_t scanned;    /* bytes that have been parsed */
    size_t line_start; /* offset of the current line */
    unsigned lines;    /* complete lines, not counting an empty one before the request line */
    unsigned skipped;  /* empty lines before the request line */
    int minor_version; /* of HTTP/1.x */
    struct slice method, target, path;
    struct slice query; /* of the target, without its "?"; bytes is NULL if it has none */
    size_t field_count;
    struct field fields[FIELDS_MAX];
};

/*
 * Parses a request head, of which `length` bytes have arrived.  `head` starts as zeros and keeps the state
 * between calls; `bytes` must stay at the same address, since slices point into it.  Returns NEED_MORE, DONE
 * when the head is complete and readable (head->scanned is its length), or why it is refused.
 */
enum outcome head_parse(struct head *head, const char *bytes, size_t length);

/*
 * Iterates over the fields with a name, in any case: sets `value` to the next one.  `*next` starts at 0.
 * Returns false after the last one.
 */
bool head_next_field(const struct head *head, const char *name, size_t *next, struct slice *value);

/* Returns the number of fields with this name, in any case.  `value` is that of the first one, or empty. */
unsigned head_find_field(const struct head *head, const char *name, struct slice *value);

/*
 * The position in a list (RFC 9110 section 5.6.1) that may span several fields of one name; starts as zeros.
 */
struct list {
    size_t next;
    struct slice rest;
};

/* Iterates over the elements of a list, and skips empty ones.  Returns false after the last one. */
bool head_next_element(const struct head *head, const char *name, struct list *list, struct slice *element);

/* Tells whether the list in all fields of one name has an element, compared without regard to case. */
bool head_list_includes(const struct head *head, const char *name, const char *element_name);

#endif
