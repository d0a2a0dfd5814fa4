/*
 * deflate - inflates compressed messages, and deflates their replies (RFC 7692)
 *
 * The first compressed message takes the memory, from which zlib takes pieces.  What is inflated is gathered
 * as the message; its reply is made in memory of its own.  Knows nothing of the connection.
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

/* Memory that zlib takes piece by piece, and that is given back as a whole. */
struct arena {
    uint8_t *memory;
    size_t used; /* bytes; 0: zlib has not begun */
};

/* What compressed messages need; the first one takes the memory. */
struct codec {
    struct arena inflater_memory, deflater_memory;
    z_stream inflater, deflater;
    uint8_t *reply; /* memory for the frame of a compressed reply; NULL: no compressed message has come */
    uint64_t bits;  /* received after the last block of the message ended */
    uint16_t last_octets; /* of the message, the last one in the upper half */
};

/* Prepares for a compressed message.  Returns false with errno if there is no memory. */
bool begin_inflating(struct codec *codec, const struct message *message, const struct compression *agreed);

/*
 * Inflates unmasked payload to where the message is gathered, at most one byte more than its limit, and
 * validates text; `last` tells that the message ends with it.  Returns DONE or what is wrong; NO_MEMORY with
 * errno.
 */
enum outcome inflate_payload(struct codec *codec, struct message *message, const uint8_t *payload,
                             size_t length, bool last);

/*
 * Makes the compressed frame that answers the gathered message: RFC 7692 section 7.2.1.  Without memory for
 * it, it has no bytes and errno says why.
 */
struct reply deflate_reply(struct codec *codec, struct message *message, const struct prefix *prefix,
                           const struct compression *agreed);

/* Gives back the memory that no later message needs; with context takeover it needs the state of zlib. */
void codec_release(struct codec *codec, const struct message *message, const struct compression *agreed);

#endif
