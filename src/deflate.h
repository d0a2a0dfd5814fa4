/* SPDX-License-Identifier: MIT */
/*
 * deflate - inflates compressed messages, and deflates their replies (RFC 7692)
 *
 * A message is inflated into the memory of struct message; its reply is deflated into memory of its own.  The
 * first compressed message maps all memory, of which zlib then gets pieces.  Knows nothing of the connection.
 */
#ifndef DEFLATE_H
#define DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define ZLIB_CONST
#include <zlib.h>

#include "extension.h"
#include "message.h"
#include "options.h"
#include "outcome.h"

/* Memory that zlib allocates from piece by piece, and that is released all at once. */
struct arena {
    uint8_t *memory;
    size_t used; /* bytes; 0: the zlib stream is not initialised */
};

/* The state of both directions.  It starts as zeros. */
struct codec {
    struct arena inflater_memory, deflater_memory;
    z_stream inflater, deflater;
    uint8_t *reply;       /* where the frame of a compressed reply is made; NULL: nothing is mapped yet */
    uint64_t bits;        /* bits of the message after its last complete block: see end_inflating */
    uint16_t last_octets; /* the message's last two bytes, the last one in the upper half */
};

/* Prepares for the first frame of a compressed message.  Returns false with errno if there is no memory. */
bool begin_inflating(struct codec *codec, const struct message *message, const struct compression *agreed);

/*
 * Inflates `length` bytes of unmasked payload, appends the result to the message, and validates text.  Stops
 * one byte after the message's limit.  `last`: the message ends with this payload.  Returns DONE,
 * TEXT_NOT_UTF8, MESSAGE_TOO_BIG, INFLATE_FAILED, INFLATE_UNFINISHED, or NO_MEMORY with errno.
 */
enum outcome inflate_payload(struct codec *codec, struct message *message, const uint8_t *payload,
                             size_t length, bool last);

/*
 * Makes the compressed frame that answers a complete message: RFC 7692 section 7.2.1.  Releases parts of the
 * message's memory on the way.  If there is no memory for zlib, the reply's `bytes` are NULL and errno is
 * set.
 */
struct reply deflate_reply(struct codec *codec, struct message *message, const struct prefix *prefix,
                           const struct compression *agreed);

/*
 * Releases compression memory.  The state of zlib is kept where the next message needs it: with context
 * takeover, or inside a message.
 */
void codec_release(struct codec *codec, const struct message *message, const struct compression *agreed);

#endif
