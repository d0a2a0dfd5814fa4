/*
 * A fuzzer of the pure functions of ws-echo.c, which is included to call them
 *
 * The first byte of an input chooses what is fuzzed, by the letter in the table at the end: h a request head,
 * p a PROXY header, f a frame, u UTF-8, d a compressed message, o a command line.  The result of a function
 * must be consistent, and must depend neither on where its bytes are cut nor on what stands behind them.
 *
 *     clang -fsanitize=fuzzer,address,undefined    libFuzzer searches for inputs until it is stopped
 *     cc -DSTANDALONE                              runs the files named as arguments, and thousands of
 *                                                  changed copies of each, the same in every run
 */
#define main ws_echo_main
#include "../ws-echo.c"
#undef main

static const uint8_t *running; /* the input */
static size_t running_length;

/* Aborts, as a sanitizer does, unless a condition holds. */
#define HOLDS(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "fuzz.c:%d: does not hold: %s\ninput:", __LINE__, #condition);                   \
            for (size_t byte_ = 0; byte_ < running_length; byte_++)                                          \
                fprintf(stderr, " %02x", running[byte_]);                                                    \
            fputc('\n', stderr);                                                                             \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* Takes the first two bytes as the place where the rest is cut. */
static size_t take_place(const uint8_t **bytes, size_t *length)
{
    if (*length < 2)
        return 0;
    size_t place = (size_t)((*bytes)[0] << 8 | (*bytes)[1]);
    *bytes += 2;
    *length -= 2;
    return place % (*length + 1);
}

/* Returns a copy of exactly these bytes, so that a sanitizer notices a read beyond them. */
static void *copy_of(const void *bytes, size_t length)
{
    void *copy = malloc(length > 0 ? length : 1);
    HOLDS(copy);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

static bool lies_within(struct text text, const char *bytes, size_t length)
{
    return text.bytes >= bytes && text.length <= length && text.bytes + text.length <= bytes + length;
}

static bool is_same_text(struct text one, struct text other)
{
    return one.length == other.length && (one.length == 0 || memcmp(one.bytes, other.bytes, one.length) == 0);
}

/* ---- Request head ----------------------------------------------------------------------------------- */

/* Tells whether what was agreed to is an acceptable offer too, and leads to the same agreement. */
static bool agreed_again(const char *extension, const struct compression *agreed)
{
    struct compression again = {0};
    bool whole = parse_extension(TEXT_OF(extension), &again);
    if (agreed->parameters[CLIENT_MAX_WINDOW_BITS] == WITHOUT_VALUE) /* which is not answered */
        again.parameters[CLIENT_MAX_WINDOW_BITS] = WITHOUT_VALUE;
    return whole == agreed->acceptable && memcmp(&again, agreed, whole ? sizeof again : 0) == 0;
}

/* Judges a readable head, as the program does next. */
static void judge_readable(const struct head *head, const char *bytes, size_t length)
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
        struct text subprotocol;
        char extension[EXTENSION_SIZE];
        enum end answer = judge_request(head, &served[i], &agreed);
        subprotocol = agreed.subprotocol;
        HOLDS(answer == ACCEPTED || ends[answer].code >= 200);
        HOLDS(answer != ACCEPTED || list_includes(head, "Upgrade", "websocket"));
        if (answer == ACCEPTED && subprotocol.length > 0)
            HOLDS(is_token(subprotocol) && lies_within(subprotocol, bytes, length));
        if (answer == ACCEPTED) {
            describe_compression(&agreed.compression, extension);
            HOLDS(memchr(extension, '\0', sizeof extension) && (served[i].deflate || !*extension));
            HOLDS(agreed_again(extension, &agreed.compression));
        }
    }
    HOLDS(head->field_count <= FIELDS_MAX && head->scanned <= HEAD_MAX);
    HOLDS(bytes[head->scanned - 1] == '\n' && is_token(head->method));
    HOLDS(lies_within(head->method, bytes, length) && lies_within(head->target, bytes, length));
    HOLDS(head->path.length > 0 && head->path.bytes[0] == '/' && is_visible(head->path, "?#"));
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

static void fuzz_head(const uint8_t *input, size_t length)
{
    struct head whole = {0}, parts = {0};
    size_t place = take_place(&input, &length);
    char *bytes = copy_of(input, length), *cut_off = copy_of(input, place);
    enum end answer = parse_head(&whole, bytes, length);
    enum end first = parse_head(&parts, cut_off, place);
    HOLDS(first == MORE || first == answer);
    parts = (struct head){0}; /* its texts point into `cut_off`; now the rest follows in `bytes` */
    HOLDS(parse_head(&parts, bytes, place) == first);
    HOLDS(parts.scanned <= place);
    if (first == MORE)
        HOLDS(parse_head(&parts, bytes, length) == answer);
    HOLDS(whole.scanned == parts.scanned && whole.field_count == parts.field_count);
    HOLDS(whole.minor_version == parts.minor_version && is_same_text(whole.method, parts.method));
    HOLDS(is_same_text(whole.target, parts.target) && is_same_text(whole.path, parts.path));
    for (size_t i = 0; i < whole.field_count; i++)
        HOLDS(is_same_text(whole.fields[i].name, parts.fields[i].name) &&
              is_same_text(whole.fields[i].value, parts.fields[i].value));
    HOLDS(answer == MORE || answer == ACCEPTED || ends[answer].code >= 400);
    HOLDS(answer != MORE || (whole.scanned == length && length <= HEAD_MAX));
    if (answer == ACCEPTED)
        judge_readable(&whole, bytes, length);
    free(bytes);
    free(cut_off);
}

/* ---- PROXY header ----------------------------------------------------------------------------------- */

static void fuzz_proxy_header(const uint8_t *input, size_t length)
{
    const struct address before = {.host = "192.0.2.1", .port = "1"};
    struct address peer = before, peer_of_part = before;
    size_t place = take_place(&input, &length);
    char *bytes = copy_of(input, length), *part = copy_of(input, place);
    ssize_t taken = parse_proxy_header(bytes, length, &peer);
    ssize_t taken_of_part = parse_proxy_header(part, place, &peer_of_part);
    HOLDS(taken >= -1 && taken <= (ssize_t)length && taken <= PROXY_BINARY_MAX);
    HOLDS(taken != 0 || length < PROXY_BINARY_MAX);
    HOLDS(taken_of_part == 0 || taken_of_part == taken);
    HOLDS(taken <= 0 || taken_of_part == taken || (size_t)taken > place);
    HOLDS(memchr(peer.host, '\0', sizeof peer.host) && memchr(peer.port, '\0', sizeof peer.port));
    HOLDS(*peer.host && strspn(peer.port, "0123456789") == strlen(peer.port));
    HOLDS(is_visible(TEXT_OF(peer.host), "\"\\"));
    HOLDS(taken > 0 || (strcmp(peer.host, before.host) == 0 && strcmp(peer.port, before.port) == 0));
    HOLDS(taken_of_part != taken || strcmp(peer.host, peer_of_part.host) == 0);
    free(bytes);
    free(part);
}

/* ---- Frame ------------------------------------------------------------------------------------------ */

enum { CLIENT_HEADER_MAX = 14 /* bytes, section 5.2: two, eight of length, four of key */ };

static void fuzz_frame(const uint8_t *input, size_t length)
{
    size_t place = take_place(&input, &length);
    bool in_message = place % 2, extended = place / 2 % 2;
    uint8_t *bytes = copy_of(input, length), *part = copy_of(input, place), header[CLIENT_HEADER_MAX];
    struct frame frame = {0}, frame_of_part = {0};
    enum end ending = decode_frame_header(bytes, length, in_message, extended, &frame);
    enum end ending_of_part = decode_frame_header(part, place, in_message, extended, &frame_of_part);
    HOLDS(ending_of_part == MORE || ending_of_part == ending);
    HOLDS(ending == MORE || ending == ACCEPTED || ends[ending].code == PROTOCOL_ERROR);
    HOLDS(ending != MORE || length < CLIENT_HEADER_MAX);
    HOLDS(ending != ACCEPTED || frame.header_length <= length);
    HOLDS(ending_of_part != ACCEPTED || frame_of_part.header_length <= place);
    if (ending == ACCEPTED) {
        size_t size = encode_frame_header(header, frame.opcode, frame.length);
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

/* Decodes by the definition: each scalar value is in as few bytes as hold it.  Tells whether all bytes are
 * text. */
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
    uint8_t state = utf8_state_after(UTF8_WHOLE, bytes, length), byte_by_byte = UTF8_WHOLE;
    uint8_t of_payload = UTF8_WHOLE;
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
    free(bytes);
    free(rest);
    free(masked);
    free(payload);
}

/* ---- Compression ------------------------------------------------------------------------------------ */

enum { INFLATED_MAX = 5000 /* bytes; more is too large */ };

/* Inflates the two parts of a message's payload into a connection.  Returns how that ends. */
static enum end inflate_parts(struct connection *c, uint8_t opcode, const uint8_t *payload, size_t place,
                              size_t length)
{
    uint8_t *first = copy_of(payload, place), *other = copy_of(payload + place, length - place);
    c->agreed.compression.parameters[CLIENT_NO_CONTEXT_TAKEOVER] = WITHOUT_VALUE;
    c->message.opcode = opcode;
    c->message.compressed = true;
    c->message.utf8 = UTF8_WHOLE;
    c->message.length = 0;
    HOLDS(map_message(&c->message) && begin_inflating(c));
    enum end end = inflate_payload(c, first, place, false);
    if (end == ACCEPTED)
        end = inflate_payload(c, other, length - place, true);
    free(first);
    free(other);
    return end;
}

/* Inflates our reply, without what the program has for that. */
static void judge_reply(const uint8_t *reply, size_t length, const uint8_t *message, size_t message_length)
{
    static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
    static uint8_t inflated[PREFIX_MAX + INFLATED_MAX + 1];
    size_t header = reply_header_length(reply);
    z_stream stream = {.next_in = reply + header,
                       .avail_in = (unsigned)(length - header),
                       .next_out = inflated,
                       .avail_out = sizeof inflated};
    HOLDS((reply[0] & ~(TEXT | BINARY)) == (FIN | RSV1) && inflateInit2(&stream, -WINDOW_BITS_MAX) == Z_OK);
    int first = inflate(&stream, Z_SYNC_FLUSH);
    stream.next_in = tail;
    stream.avail_in = sizeof tail;
    HOLDS(first == Z_OK && inflate(&stream, Z_SYNC_FLUSH) == Z_OK && stream.avail_in == 0);
    size_t prefix = (reply[0] & 0x0f) == TEXT ? options.prefix.length : 0;
    HOLDS(stream.total_out == prefix + message_length);
    HOLDS(memcmp(inflated, options.prefix.bytes, prefix) == 0);
    HOLDS(memcmp(inflated + prefix, message, message_length) == 0);
    inflateEnd(&stream);
}

static void fuzz_compressed_message(const uint8_t *input, size_t length)
{
    static struct connection whole, cut_up;
    size_t place = take_place(&input, &length), reply_length;
    uint8_t opcode = place % 2 ? TEXT : BINARY;
    options.max_message = INFLATED_MAX;
    enum end end = inflate_parts(&whole, opcode, input, 0, length);
    enum end end_of_parts = inflate_parts(&cut_up, opcode, input, place, length);
    const struct message *one = &whole.message, *other = &cut_up.message;
    HOLDS(end == end_of_parts && one->utf8 == other->utf8);
    HOLDS(one->length == other->length || end == TEXT_NOT_UTF8); /* which is found out piece by piece */
    HOLDS(memcmp(one->memory + REPLY_ROOM, other->memory + REPLY_ROOM, (size_t)other->length) == 0);
    HOLDS(end == ACCEPTED || ends[end].code == INVALID_PAYLOAD || end == MESSAGE_TOO_BIG);
    HOLDS((one->length > INFLATED_MAX) == (end == MESSAGE_TOO_BIG) || end == TEXT_NOT_UTF8);
    HOLDS(opcode == BINARY || (one->utf8 == UTF8_WRONG) == (end == TEXT_NOT_UTF8));
    if (end != ACCEPTED)
        return;
    whole.agreed.compression.parameters[SERVER_NO_CONTEXT_TAKEOVER] = WITHOUT_VALUE;
    const uint8_t *reply = deflate_message(&whole, &reply_length);
    HOLDS(reply);
    judge_reply(reply, reply_length, other->memory + REPLY_ROOM, (size_t)other->length);
}

/* ---- Command line ----------------------------------------------------------------------------------- */

/* Each word ends with a NUL byte, the last one with the input. */
static void fuzz_options(const uint8_t *input, size_t length)
{
    enum { WORDS_MAX = 80 };
    char *words[WORDS_MAX + 2] = {"ws-echo"}, complaint[LOGGED_MAX] = "";
    char *bytes = copy_of(input, length), *next = bytes;
    struct options into = options;
    int count = 1;
    while (next < bytes + length && count <= WORDS_MAX) {
        words[count] = strndup(next, (size_t)(bytes + length - next));
        next += strlen(words[count++]) + 1;
    }
    if (parse_options(count, words, &into, complaint)) {
        HOLDS(*complaint == '\0');
        HOLDS(into.prefix.length <= PREFIX_MAX && into.max_message >= 1 && into.max_message <= MESSAGE_MAX);
        HOLDS(is_utf8((const uint8_t *)into.prefix.bytes, into.prefix.length));
        HOLDS(into.handshake_timeout > 0 && into.ping_interval >= 0 && into.timeout >= 0);
        HOLDS(into.timeout == 0 || into.ping_interval < into.timeout);
        HOLDS(into.paths.any == (into.paths.count == 0) && into.origins.any == (into.origins.count == 0));
        HOLDS((into.subprotocols.any || into.subprotocols.none) == (into.subprotocols.count == 0));
        HOLDS(!(into.quiet && into.verbose) && *into.user);
    } else {
        HOLDS(*complaint && memchr(complaint, '\0', sizeof complaint));
    }
    while (count > 1)
        free(words[--count]);
    free(bytes);
}

/* ---- Start ------------------------------------------------------------------------------------------ */

static const struct {
    uint8_t letter;
    void (*fuzz)(const uint8_t *input, size_t length);
} targets[] = {
    {'h', fuzz_head}, {'p', fuzz_proxy_header},       {'f', fuzz_frame},
    {'u', fuzz_utf8}, {'d', fuzz_compressed_message}, {'o', fuzz_options},
};

/* What libFuzzer calls for every input. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    running = input;
    running_length = length;
    for (size_t i = 0; length > 0 && i < sizeof targets / sizeof *targets; i++)
        if (input[0] == targets[i].letter)
            targets[i].fuzz(input + 1, length - 1);
    return 0;
}

#ifdef STANDALONE
enum {
    INPUT_MAX = 1 << 17,
    CHANGED = 5000, /* copies of each input */
    CHANGES_MAX = 4,
};

/* Returns a number below `limit`, which looks random and is the same in every run: xorshift64*. */
static size_t random_below(size_t limit)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * 0x2545f4914f6cdd1d >> 20) % limit);
}

/* Changes an input somewhere behind its first byte.  Returns its new length. */
static size_t change(uint8_t *input, size_t length)
{
    static const uint8_t bytes[] = "\0\r\n\t :,/?#%%-=0A\x7f\x80\xbf\xc2\xe0\xed\xf0\xf4\xff";
    size_t place = 1 + random_below(length), count = 1 + random_below(random_below(8) ? 4 : 64);
    uint8_t byte = random_below(2) ? bytes[random_below(sizeof bytes)] : (uint8_t)random_below(256);
    if (count > length - place)
        count = length - place;
    switch (random_below(5)) {
    case 0: /* insert */
        if (length == INPUT_MAX)
            break;
        memmove(input + place + 1, input + place, length - place);
        input[place] = byte;
        return length + 1;
    case 1: /* remove */
        memmove(input + place, input + place + count, length - place - count);
        return length - count;
    case 2: /* repeat */
        if (length + count > INPUT_MAX)
            break;
        memmove(input + place + count, input + place, length - place);
        return length + count;
    case 3: /* flip */
        if (count > 0)
            input[place] ^= (uint8_t)(1 << random_below(8));
        break;
    case 4: /* replace */
        if (count > 0)
            input[place] = byte;
        break;
    }
    return length;
}

int main(int argc, char **argv)
{
    static uint8_t input[INPUT_MAX], changed[INPUT_MAX];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        size_t length = fread(input, 1, sizeof input, file);
        fclose(file);
        LLVMFuzzerTestOneInput(input, length);
        for (int round = 0; round < CHANGED && length > 0; round++) {
            size_t changed_length = length;
            memcpy(changed, input, length);
            for (size_t changes = 1 + random_below(CHANGES_MAX); changes > 0; changes--)
                changed_length = change(changed, changed_length);
            LLVMFuzzerTestOneInput(changed, changed_length);
        }
    }
    printf("%d inputs, each in %d changes\n", argc - 1, CHANGED);
    return EXIT_SUCCESS;
}
#endif
