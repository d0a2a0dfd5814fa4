/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer of the pure functions of the rooms: see driver.h
 *
 * The result of a function must be consistent.  It must depend neither on how its bytes are split nor on what
 * follows them.
 */
#define main ws_echo_main
#include "../../build/ws-echo.c"
#undef main

#include "driver.h"

/* Takes the first two bytes as the offset at which the other bytes are split. */
static size_t take_place(const uint8_t **bytes, size_t *length)
{
    if (*length < 2)
        return 0;
    size_t place = (size_t)((*bytes)[0] << 8 | (*bytes)[1]);
    *bytes += 2;
    *length -= 2;
    return place % (*length + 1);
}

/* Returns a copy of exactly these bytes, so that a sanitizer reports a read beyond them. */
static void *copy_of(const void *bytes, size_t length)
{
    void *copy = malloc(length > 0 ? length : 1);
    HOLDS(copy);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

static bool lies_within(struct slice text, const char *bytes, size_t length)
{
    return text.bytes >= bytes && text.length <= length && text.bytes + text.length <= bytes + length;
}

static bool is_same_text(struct slice one, struct slice other)
{
    return one.length == other.length && (one.length == 0 || memcmp(one.bytes, other.bytes, one.length) == 0);
}

/* ---- Request head ----------------------------------------------------------------------------------- */

/* Tells whether the answered extension, parsed as an offer, is acceptable and gives the same agreement. */
static bool agreed_again(const char *extension, const struct compression *agreed)
{
    struct compression again = {0};
    bool whole = parse_extension(SLICE_OF(extension), &again);
    if (agreed->given[CLIENT_MAX_WINDOW_BITS] && !agreed->values[CLIENT_MAX_WINDOW_BITS])
        again.given[CLIENT_MAX_WINDOW_BITS] = true; /* the answer leaves it out */
    return whole == agreed->acceptable && memcmp(&again, agreed, whole ? sizeof again : 0) == 0;
}

/*
 * Checks the announcement of content in a readable head: RFC 9112 section 6.  All parsers must find the same
 * end of it.
 */
static void check_announcement(const struct head *head)
{
    unsigned lengths = 0, codings = 0;
    bool content = false;
    for (size_t i = 0; i < head->field_count; i++) {
        struct slice name = head->fields[i].name, value = head->fields[i].value;
        bool length = name.length == 14 && strncasecmp(name.bytes, "content-length", 14) == 0;
        bool coding = name.length == 17 && strncasecmp(name.bytes, "transfer-encoding", 17) == 0;
        uint64_t number = 0;
        for (size_t j = 0; length && j < value.length; j++) {
            HOLDS(value.bytes[j] >= '0' && value.bytes[j] <= '9' && number < INT64_MAX / 10);
            number = number * 10 + (uint64_t)(value.bytes[j] - '0');
        }
        HOLDS(!length || value.length > 0);
        HOLDS(!coding || (value.length == 7 && strncasecmp(value.bytes, "chunked", 7) == 0));
        lengths += length;
        codings += coding;
        content = content || number > 0 || coding;
    }
    HOLDS(lengths + codings <= 1 && (codings == 0 || head->minor_version > 0));
    for (size_t i = 0; i < 3; i++) {
        static const struct slice without[] = {{"GET", 3}, {"HEAD", 4}, {"OPTIONS", 7}};
        HOLDS(!content || !is_same_text(head->method, without[i]));
    }
}

/* Tells whether text is one of `words`, each of which has spaces around it. */
static bool is_one_of(struct slice text, const char *words)
{
    char word[16];
    if (text.length > sizeof word - sizeof "  " || memchr(text.bytes, ' ', text.length))
        return false;
    snprintf(word, sizeof word, " %.*s ", (int)text.length, text.bytes);
    return strstr(words, word);
}

/* Checks a readable head as the program does next. */
static void check_readable(const struct head *head, const char *bytes, size_t length)
{
    static const struct options served[] = {
        {.paths = {.count = 1, .names = {"/socket"}},
         .origins = {.any = true},
         .subprotocols = {.any = true},
         .deflate = true},
        {.paths = {.any = true},
         .origins = {.count = 1, .names = {"null"}},
         .subprotocols = {.count = 2, .names = {"a", "chat"}},
         .no_page = true},
    };
    char safe[4 * LOGGED_MAX + sizeof "..."];
    for (size_t i = 0; i < sizeof served / sizeof *served; i++) {
        struct agreement agreed = {0};
        struct slice subprotocol;
        char extension[EXTENSION_SIZE];
        enum outcome answer = check_request(head, &served[i], &agreed);
        subprotocol = agreed.subprotocol;
        HOLDS(answer == DONE || outcomes[answer].code >= 200);
        bool known = is_one_of(head->method, " GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH ");
        HOLDS(known || outcomes[answer].code == 404 || outcomes[answer].code == 501);
        HOLDS(!known || outcomes[answer].code != 501);
        HOLDS(answer != METHODS_TOLD || is_one_of(head->method, " OPTIONS "));
        HOLDS(answer != DONE || is_one_of(head->method, " GET "));
        HOLDS(answer != DONE || head_list_includes(head, "Upgrade", "websocket"));
        if (answer == DONE && subprotocol.length > 0)
            HOLDS(is_token(subprotocol) && lies_within(subprotocol, bytes, length));
        if (answer == DONE) {
            describe_compression(&agreed.compression, extension);
            HOLDS(memchr(extension, '\0', sizeof extension) && (served[i].deflate || !*extension));
            HOLDS(agreed_again(extension, &agreed.compression));
        }
    }
    HOLDS(head->field_count <= FIELDS_MAX && head->scanned <= HEAD_MAX);
    HOLDS(bytes[head->scanned - 1] == '\n' && is_token(head->method));
    HOLDS(lies_within(head->method, bytes, length) && lies_within(head->target, bytes, length));
    bool of_everything = is_one_of(head->target, " * ") && is_one_of(head->method, " OPTIONS ");
    HOLDS(head->path.length > 0 && head->path.bytes[0] == (of_everything ? '*' : '/'));
    HOLDS(!head->query.bytes == !memchr(head->target.bytes, '?', head->target.length));
    HOLDS(!head->query.bytes ||
          (lies_within(head->query, bytes, length) && head->query.bytes[-1] == '?' &&
           head->query.bytes + head->query.length == head->target.bytes + head->target.length));
    HOLDS(is_visible_except(head->path, "?#") && is_visible_except(head->target, "#"));
    check_announcement(head);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        HOLDS(lies_within(field->name, bytes, length) && lies_within(field->value, bytes, length));
        HOLDS(is_token(field->name));
        for (size_t j = 0; j < field->value.length; j++)
            HOLDS((unsigned char)field->value.bytes[j] >= ' ' || field->value.bytes[j] == '\t');
        for (const char *next = escaped(field->value, safe); *next; next++)
            HOLDS(*next >= ' ' && *next <= '~');
    }
}

/* Tells whether two heads that were parsed from the same bytes are equal. */
static bool is_same_head(const struct head *one, const struct head *other)
{
    bool same = one->scanned == other->scanned && one->field_count == other->field_count &&
                one->minor_version == other->minor_version && is_same_text(one->method, other->method) &&
                is_same_text(one->target, other->target) && is_same_text(one->path, other->path) &&
                !one->query.bytes == !other->query.bytes &&
                (!one->query.bytes || is_same_text(one->query, other->query));
    for (size_t i = 0; same && i < one->field_count; i++)
        same = is_same_text(one->fields[i].name, other->fields[i].name) &&
               is_same_text(one->fields[i].value, other->fields[i].value);
    return same;
}

static void fuzz_head(const uint8_t *input, size_t length)
{
    struct head whole = {0}, parts = {0}, byte_by_byte = {0};
    size_t place = take_place(&input, &length);
    char *bytes = copy_of(input, length), *cut_off = copy_of(input, place);
    enum outcome answer = head_parse(&whole, bytes, length);
    enum outcome first = head_parse(&parts, cut_off, place);
    HOLDS(first == NEED_MORE || first == answer);
    parts = (struct head){0}; /* its slices point into `cut_off`; start again in `bytes` */
    HOLDS(head_parse(&parts, bytes, place) == first);
    HOLDS(parts.scanned <= place);
    if (first == NEED_MORE)
        HOLDS(head_parse(&parts, bytes, length) == answer);
    HOLDS(is_same_head(&whole, &parts));
    enum outcome last = NEED_MORE;
    for (size_t i = 1; last == NEED_MORE && i <= length; i++)
        last = head_parse(&byte_by_byte, bytes, i);
    HOLDS(last == answer && is_same_head(&whole, &byte_by_byte));
    HOLDS(answer == NEED_MORE || answer == DONE || outcomes[answer].code >= 400);
    HOLDS(answer != NEED_MORE || (whole.scanned == length && length <= HEAD_MAX));
    if (answer == DONE)
        check_readable(&whole, bytes, length);
    free(bytes);
    free(cut_off);
}

/* ---- PROXY header ----------------------------------------------------------------------------------- */

static void fuzz_proxy_header(const uint8_t *input, size_t length)
{
    const struct address before = {.host = "192.0.2.1", .port = "1"};
    struct address peer = before, peer_of_part = before, peer_by_byte = before;
    size_t place = take_place(&input, &length);
    char *bytes = copy_of(input, length), *part = copy_of(input, place);
    ssize_t byte_by_byte = 0;
    ssize_t taken = proxy_parse_header(bytes, length, &peer);
    ssize_t taken_of_part = proxy_parse_header(part, place, &peer_of_part);
    HOLDS(taken >= -1 && taken <= (ssize_t)length && taken <= PROXY_BINARY_MAX);
    HOLDS(taken != 0 || length < PROXY_BINARY_MAX);
    HOLDS(taken_of_part == 0 || taken_of_part == taken);
    HOLDS(taken <= 0 || taken_of_part == taken || (size_t)taken > place);
    HOLDS(memchr(peer.host, '\0', sizeof peer.host) && memchr(peer.port, '\0', sizeof peer.port));
    HOLDS(*peer.host && strspn(peer.port, "0123456789") == strlen(peer.port));
    HOLDS(is_visible_except(SLICE_OF(peer.host), "\"\\"));
    HOLDS(taken > 0 || (strcmp(peer.host, before.host) == 0 && strcmp(peer.port, before.port) == 0));
    HOLDS(taken_of_part != taken || strcmp(peer.host, peer_of_part.host) == 0);
    for (size_t i = 1; byte_by_byte == 0 && i <= length; i++) {
        byte_by_byte = proxy_parse_header(bytes, i, &peer_by_byte);
        HOLDS(byte_by_byte <= 0 || byte_by_byte == (ssize_t)i);
    }
    HOLDS(byte_by_byte == taken);
    HOLDS(strcmp(peer.host, peer_by_byte.host) == 0 && strcmp(peer.port, peer_by_byte.port) == 0);
    free(bytes);
    free(part);
}

/* ---- Frame ------------------------------------------------------------------------------------------ */

enum { CLIENT_HEADER_MAX = 14 /* bytes, section 5.2: two, a length of eight, a key of four */ };

/* Checks a header by the rules of sections 5.2, 5.4 and 5.5, as far as `length` bytes of it allow. */
static enum outcome header_verdict(const uint8_t *bytes, size_t length, bool in_message,
                                   bool deflate_negotiated)
{
    unsigned opcode = length > 0 ? bytes[0] & 15 : 0, kind = length > 1 ? bytes[1] & 127 : 0;
    bool control = opcode & 8, data_begins = opcode == 1 || opcode == 2;
    size_t size = kind == 127 ? 8 : kind == 126 ? 2 : 0;
    uint64_t announced = 0;
    for (size_t i = 2; i < 2 + size && i < length; i++)
        announced = announced * 256 + bytes[i];
    if (length == 0)
        return NEED_MORE;
    if (bytes[0] & 0x30 || (bytes[0] & 0x40 && !(deflate_negotiated && data_begins)))
        return RSV_SET;
    if ((opcode & 7) > 2)
        return OPCODE_RESERVED;
    if (control && bytes[0] < 128)
        return CONTROL_FRAGMENTED;
    if (!control && data_begins == in_message)
        return in_message ? MESSAGE_UNFINISHED : NO_MESSAGE;
    if (length > 1 && bytes[1] < 128)
        return UNMASKED;
    if (control && kind > 125)
        return CONTROL_TOO_LONG;
    if (size == 8 && length > 2 && bytes[2] > 127)
        return LENGTH_TOP_BIT;
    if (size > 0 && length >= 2 + size && announced < (size == 2 ? 126 : 65536))
        return LENGTH_NOT_MINIMAL;
    return length < 2 + size + 4 ? NEED_MORE : DONE;
}

static void fuzz_frame(const uint8_t *input, size_t length)
{
    size_t place = take_place(&input, &length);
    bool in_message = place % 2, deflate_negotiated = place / 2 % 2;
    uint8_t *bytes = copy_of(input, length), *part = copy_of(input, place), header[CLIENT_HEADER_MAX];
    struct frame frame = {0}, frame_of_part = {0};
    enum outcome ending = frame_decode_header(bytes, length, in_message, deflate_negotiated, &frame);
    enum outcome ending_of_part =
        frame_decode_header(part, place, in_message, deflate_negotiated, &frame_of_part);
    HOLDS(ending_of_part == NEED_MORE || ending_of_part == ending);
    for (size_t i = 0; i <= length && i <= CLIENT_HEADER_MAX; i++) {
        struct frame frame_so_far = {0};
        HOLDS(frame_decode_header(bytes, i, in_message, deflate_negotiated, &frame_so_far) ==
              header_verdict(bytes, i, in_message, deflate_negotiated));
    }
    HOLDS(ending == NEED_MORE || ending == DONE || outcomes[ending].code == PROTOCOL_ERROR);
    HOLDS(ending != NEED_MORE || length < CLIENT_HEADER_MAX);
    HOLDS(ending != DONE || frame.header_length <= length);
    HOLDS(ending_of_part != DONE || frame_of_part.header_length <= place);
    if (ending == DONE) {
        size_t size = frame_encode_header(header, frame.opcode, frame.length);
        HOLDS(size + sizeof frame.masking_key == frame.header_length);
        header[0] &= (uint8_t)(frame.fin ? 0xff : 0x7f);
        header[0] |= frame.compressed ? RSV1 : 0;
        header[1] |= 0x80;
        memcpy(header + size, &frame.masking_key, sizeof frame.masking_key);
        HOLDS(memcmp(header, bytes, frame.header_length) == 0);
        HOLDS(!is_control(frame.opcode) || (frame.fin && frame.length <= CONTROL_PAYLOAD_MAX));
    }
    free(bytes);
    free(part);
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------ */

/*
 * Decodes UTF-8 by its definition: each scalar value is in as few bytes as possible.  Tells whether all bytes
 * are text.
 */
static bool is_text(const uint8_t *bytes, size_t length)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < length;) {
        size_t more = bytes[i] < 0x80           ? 0
                      : (bytes[i] >> 5) == 0x06 ? 1
                      : (bytes[i] >> 4) == 0x0e ? 2
                      : (bytes[i] >> 3) == 0x1e ? 3
                                                : 4;
        if (more > 3 || i + more >= length)
            return false;
        uint32_t number = more == 0 ? bytes[i] : bytes[i] & (0x3fu >> more);
        for (size_t j = 1; j <= more; j++) {
            if ((bytes[i + j] & 0xc0) != 0x80)
                return false;
            number = number << 6 | (bytes[i + j] & 0x3f);
        }
        if (number < least[more] || number > 0x10ffff || (number >= 0xd800 && number <= 0xdfff))
            return false;
        i += 1 + more;
    }
    return true;
}

static void fuzz_utf8(const uint8_t *input, size_t length)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t place = take_place(&input, &length);
    struct frame frame = {0};
    uint8_t *bytes = copy_of(input, length), *rest = copy_of(input + place, length - place);
    uint8_t *masked = copy_of(input, length), *payload = copy_of(input, length);
    uint8_t *unmasked = copy_of(input, length);
    uint8_t state = utf8_state_after(UTF8_WHOLE, bytes, length), byte_by_byte = UTF8_WHOLE;
    uint8_t of_payload = UTF8_WHOLE, of_unmasked = UTF8_WHOLE;
    for (size_t i = 0; i < length; i++)
        byte_by_byte = utf8_state_after(byte_by_byte, bytes + i, 1);
    HOLDS((state == UTF8_WHOLE) == is_text(bytes, length) &&
          is_utf8(bytes, length) == is_text(bytes, length));
    HOLDS(state == byte_by_byte);
    HOLDS(state == utf8_state_after(utf8_state_after(UTF8_WHOLE, bytes, place), rest, length - place));

    for (size_t i = 0; i < length; i++)
        masked[i] ^= key[i % 4];
    memcpy(&frame.masking_key, key, sizeof key);
    HOLDS((unmask_and_validate(&frame, &of_payload, true, payload, masked, place) &&
           unmask_and_validate(&frame, &of_payload, true, payload + place, masked + place, length - place)) ==
          (state != UTF8_WRONG));
    HOLDS(state == UTF8_WRONG || memcmp(payload, bytes, length) == 0);
    HOLDS(state == of_payload);
    HOLDS((validate_text(&of_unmasked, unmasked, place) &&
           validate_text(&of_unmasked, unmasked + place, length - place)) == (state != UTF8_WRONG));
    HOLDS(state == of_unmasked && memcmp(unmasked, bytes, length) == 0);
    free(bytes);
    free(rest);
    free(masked);
    free(payload);
    free(unmasked);
}

/* ---- Compression ------------------------------------------------------------------------------------ */

enum { INFLATED_MAX = 5000 /* bytes; the limit for a message */ };

/* What inflating a compressed message needs. */
struct inflating {
    struct codec codec;
    struct message message;
    struct compression agreed;
};

/* Inflates a payload that is split in two.  Returns the outcome. */
static enum outcome inflate_parts(struct inflating *into, uint8_t opcode, const uint8_t *payload,
                                  size_t place, size_t length)
{
    uint8_t *first = copy_of(payload, place), *other = copy_of(payload + place, length - place);
    struct message *message = &into->message;
    into->agreed.given[CLIENT_NO_CONTEXT_TAKEOVER] = true;
    message->limit = INFLATED_MAX;
    message->opcode = opcode;
    message->compressed = true;
    message->utf8 = UTF8_WHOLE;
    message->length = 0;
    HOLDS(message_map(message) && begin_inflating(&into->codec, message, &into->agreed));
    enum outcome end = inflate_payload(&into->codec, message, first, place, false);
    if (end == DONE)
        end = inflate_payload(&into->codec, message, other, length - place, true);
    HOLDS(memcmp(first, payload, place) == 0 && memcmp(other, payload + place, length - place) == 0);
    free(first);
    free(other);
    return end;
}

/* Inflates the program's reply with zlib alone, not with the program's functions. */
static void check_reply(const struct reply *reply, const uint8_t *message, size_t message_length)
{
    static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
    static uint8_t inflated[PREFIX_MAX + INFLATED_MAX + 1];
    uint8_t header[REPLY_HEADER_MAX], first_byte = reply->bytes[0];
    size_t header_length = frame_encode_header(header, first_byte & 0x0f, reply->payload_length);
    header[0] |= RSV1;
    HOLDS(header_length + reply->payload_length == reply->length);
    HOLDS(memcmp(header, reply->bytes, header_length) == 0);
    z_stream stream = {.next_in = reply->bytes + header_length,
                       .avail_in = (unsigned)reply->payload_length,
                       .next_out = inflated,
                       .avail_out = sizeof inflated};
    HOLDS((first_byte & ~(TEXT | BINARY)) == (FIN | RSV1) && inflateInit2(&stream, -WINDOW_BITS_MAX) == Z_OK);
    int first = inflate(&stream, Z_SYNC_FLUSH);
    stream.next_in = tail;
    stream.avail_in = sizeof tail;
    HOLDS(first == Z_OK && inflate(&stream, Z_SYNC_FLUSH) == Z_OK && stream.avail_in == 0);
    size_t prefix = (first_byte & 0x0f) == TEXT ? defaults.prefix.length : 0;
    HOLDS(stream.total_out == prefix + message_length);
    HOLDS(memcmp(inflated, defaults.prefix.bytes, prefix) == 0);
    HOLDS(memcmp(inflated + prefix, message, message_length) == 0);
    inflateEnd(&stream);
}

static void fuzz_compressed_message(const uint8_t *input, size_t length)
{
    static struct inflating whole, cut_up;
    size_t place = take_place(&input, &length);
    uint8_t opcode = place % 2 ? TEXT : BINARY;
    enum outcome end = inflate_parts(&whole, opcode, input, 0, length);
    enum outcome end_of_parts = inflate_parts(&cut_up, opcode, input, place, length);
    const struct message *one = &whole.message, *other = &cut_up.message;
    HOLDS(end == end_of_parts && one->utf8 == other->utf8);
    HOLDS(one->length == other->length ||
          end == TEXT_NOT_UTF8); /* found earlier or later, by how the payload is split */
    HOLDS(memcmp(one->memory + REPLY_ROOM, other->memory + REPLY_ROOM, (size_t)other->length) == 0);
    HOLDS(end == DONE || outcomes[end].code == INVALID_PAYLOAD || end == MESSAGE_TOO_BIG);
    HOLDS((one->length > INFLATED_MAX) == (end == MESSAGE_TOO_BIG) || end == TEXT_NOT_UTF8);
    HOLDS(opcode == BINARY || (one->utf8 == UTF8_WRONG) == (end == TEXT_NOT_UTF8));
    if (end != DONE)
        return;
    whole.agreed.given[SERVER_NO_CONTEXT_TAKEOVER] = true;
    struct reply reply = deflate_reply(&whole.codec, &whole.message, &defaults.prefix, &whole.agreed);
    HOLDS(reply.bytes);
    check_reply(&reply, other->memory + REPLY_ROOM, (size_t)other->length);
}

/* ---- Command line ----------------------------------------------------------------------------------- */

/* Tells whether two values of a repeatable option are equal. */
static bool is_same_choices(const struct choices *one, const struct choices *other)
{
    bool same = one->any == other->any && one->none == other->none && one->count == other->count;
    for (unsigned i = 0; same && i < one->count; i++)
        same = strcmp(one->names[i], other->names[i]) == 0;
    return same;
}

/* Writes an option as an argument, printf-like, and adds it to the arguments. */
__attribute__((format(printf, 3, 4))) static void add_word(char **words, int *count, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    HOLDS(vasprintf(&words[(*count)++], format, arguments) > 0);
    va_end(arguments);
}

static void add_choices(char **words, int *count, const char *name, const struct choices *choices)
{
    if (choices->any || choices->none)
        add_word(words, count, "--%s=%s", name, choices->any ? "any" : "none");
    for (unsigned i = 0; i < choices->count; i++)
        add_word(words, count, "--%s=%s", name, choices->names[i]);
}

static void add_duration(char **words, int *count, const char *name, int64_t duration)
{
    add_word(words, count, "--%s=%" PRId64 ".%06" PRId64, name, duration / SECOND, duration % SECOND);
}

/* Writes parsed options as arguments in their long form and parses these: the result must be the same. */
static void check_written_options(const struct options *options_read)
{
    char *words[4 * CHOICES_MAX + 16] = {"ws-echo"}, complaint[COMPLAINT_SIZE],
                                  prefix[3 * PREFIX_MAX + 1] = "";
    int count = 1;
    struct options again;
    for (size_t i = 0; i < options_read->prefix.length; i++)
        sprintf(prefix + 3 * i, "%%%02x", (uint8_t)options_read->prefix.bytes[i]);
    add_choices(words, &count, "path", &options_read->paths);
    add_choices(words, &count, "origin", &options_read->origins);
    add_choices(words, &count, "subprotocol", &options_read->subprotocols);
    add_choices(words, &count, "lab", &options_read->labs);
    add_word(words, &count, "--prefix=%s", prefix);
    add_word(words, &count, "--max-message=%" PRIu64, options_read->max_message);
    add_duration(words, &count, "handshake-timeout", options_read->handshake_timeout);
    add_duration(words, &count, "ping-interval", options_read->ping_interval);
    add_duration(words, &count, "timeout", options_read->timeout);
    HOLDS(options_parse(count, words, &again, complaint));
    HOLDS(is_same_choices(&again.paths, &options_read->paths));
    HOLDS(is_same_choices(&again.origins, &options_read->origins));
    HOLDS(is_same_choices(&again.labs, &options_read->labs));
    HOLDS(is_same_choices(&again.subprotocols, &options_read->subprotocols));
    HOLDS(again.prefix.length == options_read->prefix.length &&
          memcmp(again.prefix.bytes, options_read->prefix.bytes, again.prefix.length) == 0);
    HOLDS(again.max_message == options_read->max_message && again.timeout == options_read->timeout);
    HOLDS(again.handshake_timeout == options_read->handshake_timeout);
    HOLDS(again.ping_interval == options_read->ping_interval);
    while (count > 1)
        free(words[--count]);
}

/* Each argument ends with a NUL byte, the last one with the input. */
static void fuzz_options(const uint8_t *input, size_t length)
{
    enum { WORDS_MAX = 80 };
    char *words[WORDS_MAX + 2] = {"ws-echo"}, complaint[COMPLAINT_SIZE] = "";
    char *bytes = copy_of(input, length), *next = bytes;
    struct options into;
    int count = 1;
    while (next < bytes + length && count <= WORDS_MAX) {
        words[count] = strndup(next, (size_t)(bytes + length - next));
        next += strlen(words[count++]) + 1;
    }
    if (options_parse(count, words, &into, complaint)) {
        HOLDS(*complaint == '\0');
        HOLDS(into.prefix.length <= PREFIX_MAX && into.max_message >= 1 && into.max_message <= MESSAGE_MAX);
        HOLDS(is_utf8((const uint8_t *)into.prefix.bytes, into.prefix.length));
        HOLDS(into.handshake_timeout > 0 && into.ping_interval >= 0 && into.timeout >= 0);
        HOLDS(into.timeout == 0 || into.ping_interval < into.timeout);
        HOLDS(into.paths.any == (into.paths.count == 0) && into.origins.any == (into.origins.count == 0));
        HOLDS((into.subprotocols.any || into.subprotocols.none) == (into.subprotocols.count == 0));
        HOLDS(!into.labs.any && !into.labs.none);
        for (unsigned i = 0; i < into.labs.count; i++)
            HOLDS(into.labs.names[i][0] == '/' && into.labs.names[i][1] != '/');
        HOLDS(!(into.quiet && into.verbose) && *into.user);
        check_written_options(&into);
    } else {
        HOLDS(*complaint && memchr(complaint, '\0', sizeof complaint));
    }
    while (count > 1)
        free(words[--count]);
    free(bytes);
}

/* ---- Words of the lab ------------------------------------------------------------------------------- */

/* A word by its own grammar: which kind its value is of, and what it must be. */
struct word_rule {
    const char *name;
    enum { NO_VALUE, WAIT, SCHEDULE, NUMBER, NAMES, TEXT_VALUE, HEX, CLOSE_VALUE } kind;
    uint64_t least, most; /* of a NUMBER, of microseconds of a SCHEDULE, of bytes */
    const char *names;
};

static const struct word_rule word_rules[] = {
    {"delay", WAIT, 0, 0, NULL},
    {"status", NUMBER, 200, 599, NULL},
    {"bad", NAMES, 0, 0, " accept subprotocol extension "},
    {"headers", NO_VALUE, 0, 0, NULL},
    {"hello", TEXT_VALUE, 0, 1024, NULL},
    {"repeat", SCHEDULE, 100000, 3600000000, NULL},
    {"latency", WAIT, 0, 0, NULL},
    {"fragment", NUMBER, 1, 1000000000, NULL},
    {"slice", NUMBER, 1, 1000000000, NULL},
    {"mute", NAMES, 0, 0, " echo ping pong close "},
    {"after", SCHEDULE, 0, 3600000000, NULL},
    {"count", NUMBER, 1, 1000000000, NULL},
    {"raw", HEX, 1, 512, NULL},
    {"stall", WAIT, 0, 0, NULL},
    {"close", CLOSE_VALUE, 0, 65535, NULL},
    {"reason", TEXT_VALUE, 0, 123, NULL},
};

enum { WORD_RULES = sizeof word_rules / sizeof *word_rules };

/* Returns the place of a word in the table, or WORD_RULES. */
static size_t word_place(const char *name)
{
    size_t i = 0;
    while (i < WORD_RULES && strcmp(word_rules[i].name, name) != 0)
        i++;
    return i;
}

/* Tells whether a string is a decimal number in these limits. */
static bool is_number_from(const char *string, uint64_t least, uint64_t most)
{
    size_t zeros = strspn(string, "0"), digits = strspn(string, "0123456789");
    uint64_t number = strtoull(string, NULL, 10);
    return digits > 0 && string[digits] == '\0' && digits - zeros < 19 && number >= least && number <= most;
}

/* Tells whether a string is a number of seconds in these limits, which are microseconds. */
static bool is_duration_from(const char *string, uint64_t least, uint64_t most)
{
    char whole[32] = "", fraction[7] = "000000";
    size_t zeros = strspn(string, "0"), digits = strspn(string, "0123456789"), decimals = 0;
    if (string[digits] == '.')
        decimals = strspn(string + digits + 1, "0123456789");
    if (digits == 0 || digits - zeros > 12 || string[digits + (decimals > 0 ? 1 + decimals : 0)] != '\0')
        return false;
    memcpy(whole, string + zeros, digits - zeros);
    memcpy(fraction, string + digits + 1, decimals < 6 ? decimals : 6);
    uint64_t duration = strtoull(whole, NULL, 10) * 1000000 + strtoull(fraction, NULL, 10);
    if (duration == 0 && strpbrk(string, "123456789"))
        duration = 1;
    return duration >= least && duration <= most;
}

/* Tells whether a string is a list of these names, each at most once. */
static bool is_list_of(const char *string, const char *names)
{
    for (const char *rest = string; rest; rest = strchr(rest, ',') ? strchr(rest, ',') + 1 : NULL) {
        struct slice name = {rest, strcspn(rest, ",")};
        if (name.length == 0 || !is_one_of(name, names))
            return false;
        for (const char *other = string; other < rest; other += strcspn(other, ",") + 1)
            if (is_same_text(name, (struct slice){other, strcspn(other, ",")}))
                return false;
    }
    return true;
}

/* Decodes a value.  Returns its length, or -1 if it is encoded badly. */
static ptrdiff_t decode_value(const char *text, char *into)
{
    size_t length = 0;
    for (; *text; text++) {
        char digits[3] = "";
        if (*text == '%' && (strspn(text + 1, "0123456789abcdefABCDEF") < 2))
            return -1;
        if (*text == '%') {
            memcpy(digits, text + 1, 2);
            text += 2;
        }
        into[length++] = *digits ? (char)strtoul(digits, NULL, 16) : *text == '+' ? ' ' : *text;
    }
    into[length] = '\0';
    return (ptrdiff_t)length;
}

/* Tells whether a decoded value is right; `length` is -1 if the word has none. */
static bool is_right_value(const struct word_rule *rule, const char *value, ptrdiff_t length,
                           uint64_t longest_wait)
{
    bool is_string = length > 0 && (size_t)length == strlen(value) && length <= 1024;
    switch (rule->kind) {
    case NO_VALUE: return length < 0;
    case WAIT:
        return (length < 0 && longest_wait > 0 && strcmp(rule->name, "stall") == 0) ||
               (is_string && is_duration_from(value, 0, longest_wait));
    case SCHEDULE: return is_string && is_duration_from(value, rule->least, rule->most);
    case NUMBER: return is_string && is_number_from(value, rule->least, rule->most);
    case NAMES: return is_string && is_list_of(value, rule->names);
    case TEXT_VALUE:
        return length >= 0 && (uint64_t)length <= rule->most &&
               is_text((const uint8_t *)value, (size_t)length);
    case HEX:
        return is_string && length % 2 == 0 && strspn(value, "0123456789abcdefABCDEF") == (size_t)length;
    case CLOSE_VALUE:
        return length < 0 || (is_string && (strcmp(value, "eof") == 0 || strcmp(value, "reset") == 0 ||
                                            is_number_from(value, rule->least, rule->most)));
    }
    return false;
}

/* What a query is expected to be. */
struct expected_query {
    enum outcome outcome;
    bool given[WORD_RULES];
    char *values[WORD_RULES]; /* as they stand in the query; NULL: none */
    char *shown;              /* before it is cut; malloc'd */
};

/* Adds to what is expected to be shown. */
static void expect_shown(char **shown, const struct word_rule *rule, const char *value, ptrdiff_t length)
{
    char *before = *shown, number[16];
    snprintf(number, sizeof number, "%d", (int)(rule->kind == HEX ? length / 2 : length));
    if (rule->kind == HEX || rule->kind == TEXT_VALUE)
        value = number;
    HOLDS(asprintf(shown, "%s%s%s%s%s", before, *before ? "&" : "", rule->name, length < 0 ? "" : "=",
                   length < 0 ? "" : value) >= 0);
    free(before);
}

/* Judges the words of a query, a string, which is taken apart. */
static void expect_words(struct expected_query *expected, char *query, uint64_t longest_wait)
{
    char *value = malloc(strlen(query) + 1);
    HOLDS(value);
    expected->outcome = DONE;
    for (char *word; expected->outcome == DONE && (word = strsep(&query, "&"));) {
        char *name = strsep(&word, "=");
        size_t i = word_place(name);
        if (i == WORD_RULES || expected->given[i]) {
            expected->outcome = LAB_WORD_UNKNOWN;
            break;
        }
        ptrdiff_t length = word ? decode_value(word, value) : -1;
        if ((word && length < 0) || !is_right_value(&word_rules[i], value, length, longest_wait)) {
            expected->outcome = LAB_VALUE_WRONG;
            break;
        }
        expected->given[i] = true;
        expected->values[i] = word;
        expect_shown(&expected->shown, &word_rules[i], value, length);
    }
    free(value);
}

/* Judges whether the words go together. */
static void expect_combination(struct expected_query *expected, bool tcp)
{
    const bool *given = expected->given;
    const char *close = expected->values[word_place("close")];
    size_t count = 0;
    for (size_t i = 0; i < WORD_RULES; i++)
        count += given[i];
    char *decoded = strdup(close ? close : "");
    HOLDS(decoded && decode_value(close ? close : "", decoded) >= 0);
    bool reset = strcmp(decoded, "reset") == 0, coded = *decoded >= '0' && *decoded <= '9';
    free(decoded);
    if (given[word_place("status")] && count > 1u + given[word_place("delay")])
        expected->outcome = LAB_STATUS_NOT_ALONE;
    else if ((given[word_place("after")] || given[word_place("count")]) && !given[word_place("raw")] &&
             !given[word_place("stall")] && !given[word_place("close")])
        expected->outcome = LAB_TRIGGERS_NOTHING;
    else if (given[word_place("reason")] && !coded)
        expected->outcome = LAB_REASON_WITHOUT_CODE;
    else if (reset && !tcp)
        expected->outcome = LAB_RESET_WITHOUT_TCP;
}

/* Tells whether two queries ask for the same, whatever their words' order. */
static bool asks_the_same(const struct words *one, const struct words *other)
{
    return one->delay == other->delay && one->latency == other->latency && one->repeat == other->repeat &&
           one->after == other->after && one->stall == other->stall && one->count == other->count &&
           one->fragment == other->fragment && one->slice == other->slice && one->status == other->status &&
           one->bad == other->bad && one->mute == other->mute && one->headers == other->headers &&
           one->hello == other->hello && one->has_after == other->has_after && one->ending == other->ending &&
           one->close_code == other->close_code && one->hello_length == other->hello_length &&
           one->raw_length == other->raw_length && one->reason_length == other->reason_length &&
           memcmp(one->hello_text, other->hello_text, one->hello_length) == 0 &&
           memcmp(one->raw, other->raw, one->raw_length) == 0 &&
           memcmp(one->reason, other->reason, one->reason_length) == 0;
}

/* Writes a word into a query, and its value printf-like. */
__attribute__((format(printf, 3, 4))) static void write_word(FILE *query, const char *name,
                                                             const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(query, "%s%s", ftell(query) > 0 ? "&" : "", name);
    vfprintf(query, format, arguments);
    va_end(arguments);
}

/* Writes a word whose value is bytes in hexadecimal digits, with something before each. */
static void write_bytes(FILE *query, const char *name, const char *before, const uint8_t *bytes,
                        size_t length)
{
    write_word(query, name, "=");
    for (size_t i = 0; i < length; i++)
        fprintf(query, "%s%02x", before, bytes[i]);
}

static void write_duration(FILE *query, const char *name, int64_t duration)
{
    write_word(query, name, "=%" PRId64 ".%06" PRId64, duration / SECOND, duration % SECOND);
}

static void write_names(FILE *query, const char *name, unsigned set, const char *const *names, size_t count)
{
    const char *before = "=";
    write_word(query, name, "%s", "");
    for (size_t i = 0; i < count; i++)
        if (set & 1u << i) {
            fprintf(query, "%s%s", before, names[i]);
            before = ",";
        }
}

/* Writes what is asked for as a query, in the reverse order of the table, and parses that: it must be the
 * same. */
static void judge_written_words(const struct words *words, const bool *given, int64_t timeout, bool tcp)
{
    static const char *const bad[] = {"accept", "subprotocol", "extension"};
    static const char *const mute[] = {"echo", "ping", "pong", "close"};
    struct words again = {0};
    char *bytes = NULL;
    size_t length = 0;
    FILE *query = open_memstream(&bytes, &length);
    HOLDS(query);
    if (given[word_place("reason")])
        write_bytes(query, "reason", "%", words->reason, words->reason_length);
    if (words->ending == CODED_CLOSE)
        write_word(query, "close", "=%d", words->close_code);
    else if (words->ending != NO_ENDING)
        write_word(query, "close", "%s",
                   words->ending == EMPTY_CLOSE  ? ""
                   : words->ending == STREAM_END ? "=eof"
                                                 : "=reset");
    if (given[word_place("stall")])
        write_duration(query, "stall", words->stall);
    if (words->raw_length > 0)
        write_bytes(query, "raw", "", words->raw, words->raw_length);
    if (words->count > 0)
        write_word(query, "count", "=%" PRIu64, words->count);
    if (words->has_after)
        write_duration(query, "after", words->after);
    if (words->mute)
        write_names(query, "mute", words->mute, mute, 4);
    if (words->slice > 0)
        write_word(query, "slice", "=%" PRIu64, words->slice);
    if (words->fragment > 0)
        write_word(query, "fragment", "=%" PRIu64, words->fragment);
    if (given[word_place("latency")])
        write_duration(query, "latency", words->latency);
    if (words->repeat > 0)
        write_duration(query, "repeat", words->repeat);
    if (words->hello)
        write_bytes(query, "hello", "%", words->hello_text, words->hello_length);
    if (words->headers)
        write_word(query, "headers", "%s", "");
    if (words->bad)
        write_names(query, "bad", words->bad, bad, 3);
    if (words->status > 0)
        write_word(query, "status", "=%d", words->status);
    if (given[word_place("delay")])
        write_duration(query, "delay", words->delay);
    fclose(query);
    HOLDS(words_parse((struct slice){bytes, length}, timeout, tcp, &again) == DONE);
    HOLDS(asks_the_same(words, &again));
    free(bytes);
}

/* Judges what is asked for by the limits that the manual promises. */
static void judge_limits(const struct words *words, uint64_t longest_wait)
{
    HOLDS(words->hello_length <= 1024 && words->raw_length <= 512 && words->reason_length <= 123);
    HOLDS(words->shown_length <= WORDS_SHOWN_SIZE);
    HOLDS(is_visible_except((struct slice){words->shown, words->shown_length}, "\"\\ %+"));
    HOLDS(words->status == 0 || (words->status >= 200 && words->status <= 599));
    HOLDS((uint64_t)words->delay <= longest_wait && (uint64_t)words->latency <= longest_wait);
    HOLDS((uint64_t)words->stall <= longest_wait);
    HOLDS((words->has_after || words->after == 0) && words->bad < 8 && words->mute < 16);
    HOLDS(words->ending == CODED_CLOSE || (words->close_code == 0 && words->reason_length == 0));
}

/* The first byte says what --timeout is and whether the connection is TCP; the query follows. */
static void fuzz_words(const uint8_t *input, size_t length)
{
    static const int64_t timeouts[] = {0, 1, 10 * SECOND, 60 * SECOND, 60 * SECOND + 1, 3600 * SECOND};
    static const char rest[] = "41&status=404&nothing";
    if (length == 0 || memchr(input + 1, '\0', length - 1)) /* no head has a NUL */
        return;
    int64_t timeout = timeouts[*input / 2 % COUNT_OF(timeouts)];
    uint64_t longest_wait = timeout > 0 && timeout <= 60 * SECOND ? (uint64_t)timeout - 1 : 60 * SECOND;
    bool tcp = *input++ % 2;
    length--;
    struct words words = {0}, other = {0};
    struct expected_query expected = {.shown = strdup("")};
    char *bytes = copy_of(input, length), *longer = malloc(length + sizeof rest);
    char *copy = strndup(bytes, length);
    HOLDS(expected.shown && longer && copy);
    memcpy(mempcpy(longer, bytes, length), rest, sizeof rest);
    enum outcome outcome = words_parse((struct slice){bytes, length}, timeout, tcp, &words);
    HOLDS(words_parse((struct slice){longer, length}, timeout, tcp, &other) == outcome);
    HOLDS(asks_the_same(&words, &other) && words.shown_length == other.shown_length);
    HOLDS(memcmp(words.shown, other.shown, words.shown_length) == 0);
    if (length > 0)
        expect_words(&expected, copy, longest_wait);
    else
        expected.outcome = DONE;
    if (expected.outcome == DONE)
        expect_combination(&expected, tcp);
    HOLDS(outcome == expected.outcome && (outcome == DONE || outcomes[outcome].code == 400));
    size_t shown_length = strlen(expected.shown);
    HOLDS(words.shown_length == (shown_length < WORDS_SHOWN_SIZE ? shown_length : WORDS_SHOWN_SIZE));
    HOLDS(memcmp(words.shown, expected.shown, words.shown_length) == 0);
    if (outcome == DONE) {
        judge_limits(&words, longest_wait);
        judge_written_words(&words, expected.given, timeout, tcp);
    }
    free(expected.shown);
    free(bytes);
    free(longer);
    free(copy);
}

TARGETS({"head", fuzz_head}, {"proxy", fuzz_proxy_header}, {"frame", fuzz_frame}, {"utf8", fuzz_utf8},
        {"deflate", fuzz_compressed_message}, {"options", fuzz_options}, {"words", fuzz_words})
