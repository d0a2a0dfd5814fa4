/* SPDX-License-Identifier: MIT */
/*
 * load - measures an echo server, and checks every byte that comes back
 *
 *     load --port=8888 --scenario=big --size=65536 --seconds=2
 *     {"scenario": "big", "kind": "ascii", "size": 65536, "messages": 18, "seconds": 2.000, "rate": 9.0}
 *
 * Scenarios:
 *     connect   connect, handshake, one message and its echo, close; one connection after another
 *     pingpong  one message at a time: the next one is sent when the echo has arrived
 *     big       the same with long messages: the echo is read while the rest of the message is written
 *     pipeline  as fast as possible, writing and reading at the same time
 *     many      pingpong on --connections at the same time
 *     idle      opens --connections, has a message echoed on each, prints its line and keeps them open until
 *               standard input ends
 *
 * All frames, and the expected answer, are prepared before the measurement.  Received bytes are compared with
 * the expected answer as they arrive, with one memcmp over every byte for any server.  With --raw the server
 * is a plain TCP echo such as cat: the same masked frames are sent without a handshake and must come back
 * unchanged.  If bytes differ, prints the expected and the received ones, and exits with status 1.
 * --empty-tail expects replies to end with an empty continuation frame.
 *
 * The rate counts the messages (in connect: connections) whose echo arrives within --seconds, after a
 * warm-up of a quarter of that time; with --count it counts that many messages, without a warm-up.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CYCLE_BYTES = 256 << 10,   /* bytes of prepared payload; streams repeat it */
    RECEIVE_BYTES = 256 << 10, /* at most per recv */
    HEADER_BYTES = 14,         /* longest frame header, with its masking key */
    HEAD_BYTES = 8 << 10,      /* longest response head accepted */
    CONNECTIONS = 50,          /* default of --connections */
    STALL_SECONDS = 60,        /* default of --limit */
    SHOWN_BYTES = 32,          /* bytes of a difference that are shown */
};

enum opcode { TEXT = 0x1, BINARY = 0x2, CLOSE = 0x8 };
enum { FIN = 0x80, MASK = 0x80 };

enum kind { ASCII, UTF8, ANY_BYTES, KINDS };
static const char *const kind_names[KINDS] = {"ascii", "utf8", "binary"};

enum scenario { CONNECT, PINGPONG, BIG, PIPELINE, MANY, IDLE, SCENARIOS };
static const char *const scenario_names[SCENARIOS] = {"connect",  "pingpong", "big",
                                                      "pipeline", "many",     "idle"};

/* The example key of the manual, and the answer to it (RFC 6455 section 4.2.2). */
static const char KEY[] = "PdspSkfns9qGxGTNajm+Tw==";
static const char ACCEPT[] = "Sec-WebSocket-Accept: eO+uwdEEfbO7q68DAzeDjM4Gs8c=\r\n";

/* The options of the command line. */
struct options {
    const char *host, *port, *path, *prefix;
    enum kind kind;
    enum scenario scenario;
    size_t size, connections;
    uint64_t count; /* 0: measure for `seconds` instead */
    double seconds;
    unsigned limit; /* seconds until a stalled run is ended, in addition to the measurement */
    bool raw;       /* no handshake; bytes come back unchanged */
    bool tail;      /* replies end with an empty continuation frame, as on some servers */
};

/* Bytes, and the end of each message in them. */
struct stream {
    unsigned char *bytes;
    size_t length, *ends;
};

/* A cycle of messages: the bytes to send, and the expected bytes. */
struct traffic {
    struct stream sent, expected;
    size_t messages;
};

/* A connection with its state: the current message of the cycle, and how many of its bytes were received. */
struct connection {
    int socket;
    size_t message, received;
};

/* The state of a measurement. Only messages after the warm-up count. */
struct progress {
    const struct options *options;
    bool warm;
    double start, end; /* seconds of the monotonic clock */
    uint64_t before, done;
};

/* The buffer for received bytes. */
static unsigned char buffer[RECEIVE_BYTES];

/* Takes a printf format; prints it to standard error and ends the program with status 1. */
__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* Takes the signal of --limit; ends the program, because the server stalls. */
static void stalled(int signal_number)
{
    (void)signal_number;
    static const char text[] = "load: the server stalls: the echo did not arrive in time\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(1);
}

/* Takes a size; returns that much memory, or ends the program. */
static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        fail("no memory");
    return memory;
}

/* Takes two lengths; returns the smaller one. */
static size_t smaller(uint64_t one, uint64_t other)
{
    return (size_t)(one < other ? one : other);
}

/* Returns the monotonic time in seconds. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Returns the next number of a fixed pseudo-random sequence (xorshift64*). */
static uint32_t next_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545f4914f6cdd1d) >> 32);
}

/* ---- Preparing the traffic ---------------------------------------------------------------------------- */

/* Takes room for `size` bytes (not one); fills it with characters of two, three and four bytes of UTF-8. */
static void fill_utf8(unsigned char *payload, size_t size)
{
    static const struct {
        uint32_t first, last;
        unsigned char lead;
    } lengths[] = {[2] = {0x80, 0x7ff, 0xc0}, {0x800, 0xd7ff, 0xe0}, {0x10000, 0x10ffff, 0xf0}};
    if (size == 1)
        fail("--size=1: no character of two to four bytes fits");
    for (size_t i = 0; i < size;) {
        size_t length = 2 + next_random() % 3, left = size - i;
        if (length > left || left - length == 1)
            continue; /* try another length: this one would leave one byte */
        uint32_t character =
            lengths[length].first + next_random() % (lengths[length].last - lengths[length].first + 1);
        for (size_t k = length - 1; k > 0; k--, character >>= 6)
            payload[i + k] = (unsigned char)(0x80 | (character & 0x3f));
        payload[i] = (unsigned char)(lengths[length].lead | character);
        i += length;
    }
}

/* Takes a kind and room for `size` bytes; fills it with a payload of that kind. */
static void fill(enum kind kind, unsigned char *payload, size_t size)
{
    if (kind == UTF8)
        fill_utf8(payload, size);
    else
        for (size_t i = 0; i < size; i++)
            payload[i] = (unsigned char)(kind == ASCII ? ' ' + next_random() % 95 : next_random());
}

/* Takes a place, the first byte of a frame, MASK or 0, and the payload's length; writes the header in its
 * shortest form (section 5.2) and returns its length, the masking key not included. */
static size_t put_header(unsigned char *at, int first, int mask, uint64_t length)
{
    int extended = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
    at[0] = (unsigned char)first;
    at[1] = (unsigned char)(mask | (extended == 0 ? (int)length : extended == 2 ? 126 : 127));
    for (int i = 0; i < extended; i++)
        at[2 + i] = (unsigned char)(length >> (8 * (extended - 1 - i)));
    return 2 + (size_t)extended;
}

/* Takes a stream, the first byte of a frame and its payload; appends the frame as a client sends it. */
static void append_masked(struct stream *stream, int first, const unsigned char *payload, size_t length)
{
    unsigned char *at = stream->bytes + stream->length, *start = at;
    at += put_header(at, first, MASK, length);
    const uint32_t random = next_random();
    const unsigned char *key = memcpy(at, &random, sizeof random);
    at += sizeof random;
    for (size_t i = 0; i < length; i++)
        at[i] = payload[i] ^ key[i % 4];
    stream->length += (size_t)(at - start) + length;
}

/* Takes a stream, the first byte of a frame, a prefix and the payload; appends the frame as a server does. */
static void append_unmasked(struct stream *stream, int first, const char *prefix,
                            const unsigned char *payload, size_t length)
{
    size_t prefix_length = strlen(prefix);
    unsigned char *at = stream->bytes + stream->length, *start = at;
    at += put_header(at, first, 0, prefix_length + length);
    at = mempcpy(at, prefix, prefix_length);
    at = mempcpy(at, payload, length);
    stream->length += (size_t)(at - start);
}

/* Takes the options; returns the cycle of messages they ask for. A long message is a cycle of its own. */
static struct traffic prepare(const struct options *options)
{
    const enum opcode opcode = options->kind == ANY_BYTES ? BINARY : TEXT;
    const char *prefix = opcode == TEXT ? options->prefix : "";
    struct traffic traffic = {.messages =
                                  options->size < CYCLE_BYTES ? CYCLE_BYTES / (options->size + 1) : 1};
    size_t room = traffic.messages * (options->size + 2 * HEADER_BYTES + strlen(options->prefix));
    struct stream *sent = &traffic.sent, *expected = &traffic.expected;
    sent->bytes = allocate(room);
    sent->ends = allocate(traffic.messages * sizeof *sent->ends);
    expected->bytes = allocate(room);
    expected->ends = allocate(traffic.messages * sizeof *expected->ends);
    unsigned char *payload = allocate(options->size + 1);
    for (size_t i = 0; i < traffic.messages; i++) {
        fill(options->kind, payload, options->size);
        append_masked(sent, FIN | (int)opcode, payload, options->size);
        append_unmasked(expected, (options->tail ? 0 : FIN) | (int)opcode, prefix, payload, options->size);
        if (options->tail)
            append_unmasked(expected, FIN, "", payload, 0);
        sent->ends[i] = sent->length;
        expected->ends[i] = expected->length;
    }
    free(payload);
    if (options->raw)
        *expected = *sent;
    return traffic;
}

/* Takes a stream and the number of a message in the cycle; returns where the message begins. */
static size_t start_of(const struct stream *stream, size_t message)
{
    return message > 0 ? stream->ends[message - 1] : 0;
}

/* Takes a repeating stream, the number of its messages, and a number of messages; returns how many bytes
 * these have, or no limit for 0 messages. */
static uint64_t bytes_of(const struct stream *stream, size_t messages, uint64_t wanted)
{
    if (wanted == 0)
        return UINT64_MAX;
    return wanted / messages * stream->length + start_of(stream, (size_t)(wanted % messages));
}

/* Takes a repeating stream, the number of its messages, and a number of bytes; returns how many messages
 * these complete. */
static uint64_t messages_in(const struct stream *stream, size_t messages, uint64_t bytes)
{
    size_t rest = (size_t)(bytes % stream->length), low = 0, high = messages;
    while (low < high) { /* the number of ends that are not beyond rest */
        size_t middle = (low + high) / 2;
        if (stream->ends[middle] <= rest)
            low = middle + 1;
        else
            high = middle;
    }
    return bytes / stream->length * messages + low;
}

/* ---- The wire ----------------------------------------------------------------------------------------- */

/* Takes a title and bytes; prints them on standard error in hexadecimal and as text. */
static void show(const char *title, const unsigned char *bytes, size_t length)
{
    fprintf(stderr, "  %s", title);
    for (size_t i = 0; i < length; i++)
        fprintf(stderr, " %02x", bytes[i]);
    fputs("  \"", stderr);
    for (size_t i = 0; i < length; i++)
        fputc(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.', stderr);
    fputs("\"\n", stderr);
}

/* Takes the expected and the received bytes; ends the program if they differ. */
static inline void check(const unsigned char *expected, const unsigned char *received, size_t length)
{
    if (memcmp(expected, received, length) == 0)
        return;
    size_t i = 0;
    while (expected[i] == received[i])
        i++;
    size_t shown = smaller(length - i, SHOWN_BYTES);
    show("expected", expected + i, shown);
    show("received", received + i, shown);
    fail("not the echo that was expected");
}

/* Takes a socket, a buffer, its size and flags; returns how many bytes were received, or 0 if the flags
 * forbid waiting and there are none. Ends the program if the server ends the connection. */
static size_t receive(int socket, void *place, size_t size, int flags)
{
    ssize_t length = recv(socket, place, size, flags);
    if (length > 0)
        return (size_t)length;
    if (length < 0 && errno == EAGAIN)
        return 0;
    fail("the server ended the connection before its echo: %s",
         length < 0 ? strerror(errno) : "end of stream");
}

/* Takes a socket and bytes; returns how many it sent without blocking. */
static size_t transmit(int socket, const unsigned char *bytes, size_t length)
{
    ssize_t sent = send(socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        fail("send: %s", strerror(errno));
    return sent < 0 ? 0 : (size_t)sent;
}

/* Takes a socket, bytes to send and expected bytes; returns when all are sent and received. Writes and reads
 * at the same time, because a plain echo of a long message begins before its end is sent. Acknowledges
 * received bytes at once (TCP_QUICKACK): a server without TCP_NODELAY, such as cat, delays its last short
 * segment until then, and a delayed acknowledgement (40 ms) would dominate the result. */
static void exchange(int socket, const unsigned char *sent, size_t sent_length, const unsigned char *expected,
                     size_t expected_length)
{
    size_t o = 0, i = 0;
    while (i < expected_length || o < sent_length) {
        size_t progress = 0;
        if (o < sent_length)
            o += progress = transmit(socket, sent + o, sent_length - o);
        bool wait = o == sent_length;
        size_t room = smaller(expected_length - i, sizeof buffer);
        size_t length = room > 0 ? receive(socket, buffer, room, wait ? 0 : MSG_DONTWAIT) : 0;
        check(expected + i, buffer, length);
        i += length;
        if (wait && i < expected_length)
            setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &(int){1}, sizeof(int));
        if (!wait && progress + length == 0)
            poll(&(struct pollfd){.fd = socket, .events = POLLIN | POLLOUT}, 1, -1);
    }
}

/* Takes a socket, the traffic and the number of a message in its cycle; sends it and reads its echo. */
static void exchange_message(int socket, const struct traffic *traffic, size_t message)
{
    size_t sent = start_of(&traffic->sent, message), expected = start_of(&traffic->expected, message);
    exchange(socket, traffic->sent.bytes + sent, traffic->sent.ends[message] - sent,
             traffic->expected.bytes + expected, traffic->expected.ends[message] - expected);
}

/* Takes the options and a connected socket; sends the opening handshake and checks the answer. */
static void handshake(const struct options *options, int socket)
{
    char head[HEAD_BYTES];
    int request = snprintf(head, sizeof head,
                           "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                           options->path, options->host, options->port, KEY);
    if (request >= (int)sizeof head ||
        transmit(socket, (unsigned char *)head, (size_t)request) != (size_t)request)
        fail("the request head is too long");
    size_t length = 0;
    const char *end;
    do {
        if (length == sizeof head - 1)
            fail("the response head is too long");
        length += receive(socket, head + length, sizeof head - 1 - length, 0);
        head[length] = '\0';
    } while (!(end = strstr(head, "\r\n\r\n")));
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0 || !strcasestr(head, ACCEPT) || end[4] != '\0')
        fail("expected 101 with %sreceived %s", ACCEPT, head);
}

/* Takes the options; returns a connected socket, after the handshake unless the echo is raw. */
static int open_connection(const struct options *options)
{
    static struct addrinfo *address;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int error = address ? 0 : getaddrinfo(options->host, options->port, &hints, &address);
    if (error)
        fail("%s: %s", options->host, gai_strerror(error));
    int connected = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connected < 0 || connect(connected, address->ai_addr, address->ai_addrlen) < 0)
        fail("connect to %s, port %s: %s", options->host, options->port, strerror(errno));
    setsockopt(connected, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (!options->raw)
        handshake(options, connected);
    return connected;
}

/* Takes the options and a connection; closes it as a client should: Close, its answer, end of the stream. */
static void close_connection(const struct options *options, int socket)
{
    static const unsigned char sent[] = {FIN | CLOSE, MASK | 2, 0, 0, 0, 0, 0x03, 0xe8};
    static const unsigned char expected[] = {FIN | CLOSE, 2, 0x03, 0xe8};
    if (!options->raw)
        exchange(socket, sent, sizeof sent, expected, sizeof expected);
    else
        shutdown(socket, SHUT_WR);
    unsigned char extra;
    if (recv(socket, &extra, 1, 0) > 0) /* a reset is no error here */
        fail("expected the end of the stream, received %02x", extra);
    close(socket);
}

/* ---- The scenarios ------------------------------------------------------------------------------------ */

/* Takes the options; returns a measurement that begins now. */
static struct progress begin(const struct options *options)
{
    return (struct progress){.options = options, .warm = options->count > 0, .start = now()};
}

/* Takes a measurement and the current totals of messages and bytes; tells whether to continue. */
static bool go_on(struct progress *progress, uint64_t done)
{
    const struct options *options = progress->options;
    progress->done = done;
    progress->end = now();
    if (!progress->warm && progress->end - progress->start >= options->seconds / 4) {
        progress->warm = true;
        progress->start = progress->end;
        progress->before = done;
    }
    return options->count || progress->end - progress->start < options->seconds;
}

/* Takes the options and the traffic, like all of these functions; returns the measurement. Sends each
 * message after the echo of the previous one; in connect, each on a new connection. */
static struct progress run_turns(const struct options *options, const struct traffic *traffic)
{
    bool connects = options->scenario == CONNECT;
    int socket = connects ? -1 : open_connection(options);
    struct progress progress = begin(options);
    uint64_t done = 0;
    do {
        if (connects)
            socket = open_connection(options);
        exchange_message(socket, traffic, done++ % traffic->messages);
        if (connects)
            close_connection(options, socket);
    } while (go_on(&progress, done) && done != options->count);
    if (!connects)
        close_connection(options, socket);
    return progress;
}

/* Sends without waiting for echoes. With --seconds it stops in the middle of the stream, because a server
 * may take very long to echo everything that it has buffered. */
static struct progress run_pipeline(const struct options *options, const struct traffic *traffic)
{
    const struct stream *sent = &traffic->sent, *expected = &traffic->expected;
    uint64_t last_sent = bytes_of(sent, traffic->messages, options->count);
    uint64_t last_expected = bytes_of(expected, traffic->messages, options->count);
    int socket = open_connection(options);
    struct progress progress = begin(options);
    uint64_t o = 0, i = 0;
    do {
        size_t from = (size_t)(o % sent->length);
        size_t out = transmit(socket, sent->bytes + from, smaller(sent->length - from, last_sent - o));
        size_t in = receive(socket, buffer, sizeof buffer, MSG_DONTWAIT);
        for (size_t checked = 0, length; checked < in; checked += length) {
            from = (size_t)((i + checked) % expected->length);
            length = smaller(expected->length - from, in - checked);
            check(expected->bytes + from, buffer + checked, length);
        }
        o += out;
        i += in;
        short wanted = (short)(POLLIN | (o < last_sent ? POLLOUT : 0));
        if (out + in == 0)
            poll(&(struct pollfd){.fd = socket, .events = wanted}, 1, -1);
    } while (go_on(&progress, i) && i < last_expected);
    if (i > last_expected)
        fail("expected %ju bytes, received %ju", (uintmax_t)last_expected, (uintmax_t)i);
    if (options->count)
        close_connection(options, socket);
    progress.before = messages_in(expected, traffic->messages, progress.before);
    progress.done = messages_in(expected, traffic->messages, progress.done);
    return progress;
}

/* Takes a connection; sends its next message, or ends the program if that would block. */
static void send_next(struct connection *connection, const struct traffic *traffic)
{
    size_t start = start_of(&traffic->sent, connection->message);
    size_t length = traffic->sent.ends[connection->message] - start;
    if (transmit(connection->socket, traffic->sent.bytes + start, length) != length)
        fail("--size: too long for this scenario, the socket does not take a message at once");
}

/* Takes a readable connection; reads and checks what arrived. Tells whether the message is complete. */
static bool receive_some(struct connection *connection, const struct traffic *traffic)
{
    size_t start = start_of(&traffic->expected, connection->message) + connection->received;
    size_t left = traffic->expected.ends[connection->message] - start;
    size_t length = receive(connection->socket, buffer, smaller(left, sizeof buffer), MSG_DONTWAIT);
    check(traffic->expected.bytes + start, buffer, length);
    connection->received += length;
    if (length < left)
        return false;
    connection->received = 0;
    connection->message = (connection->message + 1) % traffic->messages;
    return true;
}

/* Keeps one message in flight on each connection. */
static struct progress run_many(const struct options *options, const struct traffic *traffic)
{
    struct connection *connections = allocate(options->connections * sizeof *connections);
    struct epoll_event events[64];
    int poller = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < options->connections; i++) {
        connections[i] = (struct connection){open_connection(options), i % traffic->messages, 0};
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].socket, &event);
    }
    struct progress progress = begin(options);
    uint64_t done = 0;
    for (size_t i = 0; i < options->connections; i++)
        send_next(&connections[i], traffic);
    do {
        int ready = epoll_wait(poller, events, sizeof events / sizeof *events, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (receive_some(connection, traffic)) {
                done++;
                send_next(connection, traffic);
            }
        }
    } while (go_on(&progress, done) && (options->count == 0 || done < options->count));
    return progress;
}

/* Prints its own line, and keeps the connections open until standard input ends. */
static void run_idle(const struct options *options, const struct traffic *traffic)
{
    for (size_t i = 0; i < options->connections; i++)
        exchange_message(open_connection(options), traffic, i % traffic->messages);
    printf("{\"scenario\": \"idle\", \"connections\": %zu}\n", options->connections);
    fflush(stdout);
    for (char discarded[64]; read(STDIN_FILENO, discarded, sizeof discarded) > 0;)
        ;
}

/* ---- The command line --------------------------------------------------------------------------------- */

/* Takes an option's name and value and the minimum; returns the number, or ends the program. */
static double number(const char *name, const char *value, double least)
{
    char *end;
    double result = strtod(value, &end);
    if (end == value || *end || !(result >= least))
        fail("--%s=%s: not a number of at least %g", name, value, least);
    return result;
}

/* Takes an option's name and value and the allowed words; returns the word's number, or ends the program. */
static int word(const char *name, const char *value, const char *const *words, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(value, words[i]) == 0)
            return i;
    fail("--%s=%s: the manual at the beginning of load.c names what there is", name, value);
}

/* Takes the arguments of the program; returns the options, or ends the program. */
static struct options parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"host", 1, NULL, 'h'},        {"port", 1, NULL, 'p'},  {"path", 1, NULL, 'a'},
        {"prefix", 1, NULL, 'x'},      {"kind", 1, NULL, 'k'},  {"scenario", 1, NULL, 's'},
        {"size", 1, NULL, 'z'},        {"count", 1, NULL, 'n'}, {"seconds", 1, NULL, 't'},
        {"connections", 1, NULL, 'c'}, {"limit", 1, NULL, 'l'}, {"raw", 0, NULL, 'r'},
        {"empty-tail", 0, NULL, 'e'},  {NULL, 0, NULL, 0}};
    struct options options = {"127.0.0.1", "8888", "/socket", "server: ", .size = 16, .seconds = 1};
    options.connections = CONNECTIONS;
    options.limit = STALL_SECONDS;
    for (int option, index; (option = getopt_long(argc, argv, "", names, &index)) != -1;) {
        const char *name = option == '?' ? "" : names[index].name;
        switch (option) {
        case 'h': options.host = optarg; break;
        case 'p': options.port = optarg; break;
        case 'a': options.path = optarg; break;
        case 'x': options.prefix = optarg; break;
        case 'k': options.kind = (enum kind)word(name, optarg, kind_names, KINDS); break;
        case 's': options.scenario = (enum scenario)word(name, optarg, scenario_names, SCENARIOS); break;
        case 'z': options.size = (size_t)number(name, optarg, 0); break;
        case 'n': options.count = (uint64_t)number(name, optarg, 1); break;
        case 't': options.seconds = number(name, optarg, 0.01); break;
        case 'c': options.connections = (size_t)number(name, optarg, 1); break;
        case 'l': options.limit = (unsigned)number(name, optarg, 1); break;
        case 'r': options.raw = true; break;
        case 'e': options.tail = true; break;
        default: exit(64);
        }
    }
    if (optind < argc)
        fail("%s: not an option", argv[optind]);
    return options;
}

int main(int argc, char **argv)
{
    static struct progress (*const runs[SCENARIOS])(const struct options *, const struct traffic *) = {
        run_turns, run_turns, run_turns, run_pipeline, run_many, NULL};
    const struct options options = parse(argc, argv);
    const struct traffic traffic = prepare(&options);
    if (options.scenario == IDLE)
        return run_idle(&options, &traffic), 0;
    signal(SIGALRM, stalled);
    alarm(options.limit + (unsigned)options.seconds);
    const struct progress result = runs[options.scenario](&options, &traffic);
    const uint64_t messages = result.done - result.before;
    const double seconds = result.end - result.start;
    printf("{\"scenario\": \"%s\", \"kind\": \"%s\", \"size\": %zu, \"messages\": %ju, \"seconds\": %.3f, "
           "\"rate\": %.1f}\n",
           scenario_names[options.scenario], kind_names[options.kind], options.size, (uintmax_t)messages,
           seconds, (double)messages / seconds);
    return 0;
}
