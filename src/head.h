/*
 * head - parses a request head strictly (RFC 9112), and finds its fields
 *
 * A pure parser, which goes on where it stood and judges no byte twice, so that the answer is the same
 * however the bytes arrive.  Judges what makes a head unreadable; what is asked for is handshake's.
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

/* A request head while it is read: RFC 9112 section 2. */
struct head {
    size_t scanned;    /* bytes that have been judged */
    size_t line_start; /* offset of the current line */
    unsigned lines;    /* complete lines, not counting an empty one before the request line */
    unsigned skipped;  /* empty lines before the request line */
    int minor_version;
    struct slice method, target, path;
    struct slice query; /* of the target, without its "?"; bytes is NULL if it has none */
    size_t field_count;
    struct field fields[FIELDS_MAX];
};

/*
 * Parses what has come of a request head, strictly in the order of its bytes, so that the answer is the same
 * however they arrive; `head` begins with zeros and goes on where it stood, so no byte is judged twice.
 * Returns NEED_MORE, DONE when the head is complete and readable (head->scanned is its length), or why
 * it is refused.
 */
enum outcome head_parse(struct head *head, const char *bytes, size_t length);

/* Takes the next value of all fields of one name; `next` is 0 at first.  Returns false after the last. */
bool head_next_field(const struct head *head, const char *name, size_t *next, struct slice *value);

/* Returns how many fields have this name; `value` is the first one's, or empty. */
unsigned head_find_field(const struct head *head, const char *name, struct slice *value);

/* A list (RFC 9110 section 5.6.1) over all fields of one name; start with zeros. */
struct list {
    size_t next;
    struct slice rest;
};

/* Takes the next element that is not empty.  Returns false after the last one. */
bool head_next_element(const struct head *head, const char *name, struct list *list, struct slice *element);

/* Tells whether a list over all fields of one name includes an element, in any case. */
bool head_list_includes(const struct head *head, const char *name, const char *element_name);

#endif
