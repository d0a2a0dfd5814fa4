/* SPDX-License-Identifier: MIT */
/* message - see message.h */
#include <string.h>

#include "memory.h"
#include "message.h"

/* Returns the bytes of address space that a message of `limit` bytes needs. */
static size_t memory_size(const struct message *message)
{
    return (size_t)(REPLY_ROOM + message->limit + 1); /* inflating stops one byte after the limit */
}

bool message_map(struct message *message)
{
    if (!message->memory)
        message->memory = memory_map(memory_size(message));
    return message->memory;
}

uint8_t *payload_end(const struct message *message)
{
    return message->memory + REPLY_ROOM + message->length;
}

size_t prefix_length(const struct prefix *prefix, uint8_t opcode)
{
    return opcode == TEXT ? prefix->length : 0;
}

size_t reply_begin(uint8_t reply[static REPLY_ROOM], uint8_t opcode, uint64_t length,
                   const struct prefix *prefix)
{
    size_t prefix_bytes = prefix_length(prefix, opcode);
    size_t header_length = frame_encode_header(reply, opcode, prefix_bytes + length);
    copy_short(reply + header_length, (const uint8_t *)prefix->bytes, prefix_bytes);
    return header_length + prefix_bytes;
}

struct reply message_reply(const struct message *message, const struct prefix *prefix)
{
    uint8_t begin[REPLY_ROOM], *payload = message->memory + REPLY_ROOM;
    size_t payload_start = reply_begin(begin, message->opcode, message->length, prefix),
           length = (size_t)message->length;
    copy_short(payload - payload_start, begin, payload_start);
    return (struct reply){payload - payload_start, payload_start + length,
                          length + prefix_length(prefix, message->opcode)};
}

void message_release(const struct message *message)
{
    memory_release(payload_end(message), message->memory + memory_size(message) + PAGE_MAX);
}
