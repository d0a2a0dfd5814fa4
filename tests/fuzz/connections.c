/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer of a whole connection: see driver.h
 *
 * The program is included, and its system calls are replaced by functions here, called the world.  The input
 * decides what the world does: the options, what the peer sends, how many bytes each read and write moves,
 * when signals arrive and the clock jumps, and which call fails.  A small model, which shares nothing with
 * the program except limits and names, derives from what the peer sent what the answer must be and how the
 * connection must end; functions named check_* compare.
 *
 * An input is a struct setting, the bytes that the peer sends, and the steps: one byte for each read, write
 * or sleep, see enum step.  After the last step every call succeeds, and the peer ends or stays silent.  With
 * the switch WITH_LAB the bytes begin with words of the lab and a space.
 */
#include <errno.h>
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

static ssize_t world_read(int descriptor, void *buffer, size_t size);
static ssize_t world_write(int descriptor, const void *bytes, size_t length);
static ssize_t world_writev(int descriptor, const struct iovec *parts, int count);
static int world_setitimer(int which, const struct itimerval *timer, void *old);
static int world_clock_gettime(clockid_t which, struct timespec *time);
static int world_clock_nanosleep(clockid_t which, int flags, const struct timespec *until,
                                 struct timespec *left);
static int world_fcntl(int descriptor, int command, ...);
static int world_shutdown(int descriptor, int how);
static int world_close(int descriptor);
static int world_setsockopt(int descriptor, int level, int name, const void *value, socklen_t length);
static void *world_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
static int world_madvise(void *at, size_t size, int advice);
static void world_syslog(int priority, const char *format, ...);
static _Noreturn void world_exit(int status);

#define main ws_echo_main
#define read(...) world_read(__VA_ARGS__)
#define write(...) world_write(__VA_ARGS__)
#define writev(...) world_writev(__VA_ARGS__)
#define setitimer(...) world_setitimer(__VA_ARGS__)
#define clock_gettime(...) world_clock_gettime(__VA_ARGS__)
#define clock_nanosleep(...) world_clock_nanosleep(__VA_ARGS__)
#define fcntl(...) world_fcntl(__VA_ARGS__)
#define shutdown(...) world_shutdown(__VA_ARGS__)
#define close(...) world_close(__VA_ARGS__)
#define setsockopt(...) world_setsockopt(__VA_ARGS__)
#define mmap(...) world_mmap(__VA_ARGS__)
#define madvise(...) world_madvise(__VA_ARGS__)
#undef syslog /* a macro already, in some libraries */
#define syslog(...) world_syslog(__VA_ARGS__)
#define exit(...) world_exit(__VA_ARGS__)
#include "../../build/ws-echo.c"
/* The rest only checks the program; libFuzzer need not seek to cover it. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#endif

#undef main
#undef madvise

/* ---- Input ------------------------------------------------------------------------------------------ */

/* The first bytes of an input. */
struct setting {
    uint8_t switches;      /* enum switch_bit */
    uint8_t more_switches; /* enum more_switch_bit */
    uint8_t sizes;         /* of messages and the prefix: see begin_options */
    uint8_t times;         /* timeouts and intervals: see begin_options */
    uint8_t names;         /* paths, origins, subprotocols: see begin_options */
    uint8_t beginning;     /* index into beginnings: the first bytes of the peer */
    uint8_t fault;         /* which kind of call fails (enum fault), and how many succeed before */
    uint8_t signal_at;     /* the number of the call in which SIGTERM arrives; 0: none */
    uint8_t stall;         /* how long the program is suspended (stalls), and in which call */
    uint8_t step_count;
};

enum switch_bit {
    PROXY = 1,
    NO_PAGE = 2,
    DEFLATE = 4,
    QUIET = 8,
    VERBOSE = 16,
    SOCKETS = 32,
    SILENT = 64,
    BLOCKED_LOG = 128
};
enum more_switch_bit {
    CHANNEL = 3,
    UNDER_SYSTEMD = 4,
    SANDBOXED = 8,
    VERSION_4 = 16,
    WITH_LAB = 32,
    TCP = 64
};

enum fault {
    NO_FAULT,
    TIMER_FAULT,
    MEMORY_FAULT,
    FLAGS_FAULT,
    LINGER_FAULT,
    SHUTDOWN_FAULT,
    ADVICE_FAULT,
    SLEEP_FAULT,
    FAULTS,
};

/* What happens in a read or write: the lower half of a step.  The upper half is an argument. */
enum step {
    WHOLE,       /* it moves all available bytes */
    FEW,         /* it moves argument + 1 bytes; the first read also the beginning */
    PART,        /* it moves 64 times as many */
    LONG,        /* a write moves sixteenths; for reads, the last byte is repeated thousands of times */
    INTERRUPT,   /* EINTR by a signal without effect */
    ALARM,       /* EINTR by SIGALRM */
    TERMINATE,   /* SIGTERM arrives; its handler has SA_RESTART */
    WAIT,        /* it blocks until the timer expires */
    WAIT_AFTER,  /* a write moves one byte, and then blocks */
    JUMP,        /* the program is suspended in it, as by SIGSTOP */
    FAIL,        /* it fails: see failures */
    NONBLOCKING, /* EAGAIN: another process has set O_NONBLOCK */
    END,         /* the peer has ended its stream */
};

#define LAB_TARGET "GET /lab?"
#define SOCKET_TARGET "GET /socket"
#define GET SOCKET_TARGET " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define REST "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
#define EXTENSION "Sec-WebSocket-Extensions: permessage-deflate"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" /* section 1.3 */

static const char *const beginnings[] = {
    GET REST "\r\n",
    "",
    GET REST EXTENSION "\r\n\r\n",
    GET REST EXTENSION "; server_no_context_takeover; client_no_context_takeover\r\n\r\n",
    GET REST EXTENSION "; server_max_window_bits=9; client_max_window_bits=9\r\n\r\n",
    GET REST EXTENSION "; client_no_context_takeover; server_max_window_bits=15\r\n\r\n",
    GET REST
    "Sec-WebSocket-Protocol: a, chat\r\nOrigin: null\r\nUser-Agent: \"x\"\r\nForwarded: for=y\r\n\r\n",
    GET,
};

static const struct failure {
    int error;
    enum outcome end; /* FAILED: READ_FAILED or WRITE_FAILED */
} failures[16] = {
#define FAILED READ_FAILED
    {ECONNRESET, RESET},
    {EPIPE, RESET},
    {ETIMEDOUT, NETWORK_LOST},
    {EHOSTUNREACH, NETWORK_LOST},
    {ENETUNREACH, NETWORK_LOST},
    {ECONNREFUSED, NETWORK_LOST},
    {EACCES, NETWORK_LOST},
    {EPROTO, NETWORK_LOST},
    {EIO, FAILED},
    {ENOMEM, FAILED},
    {ENOBUFS, FAILED},
    {EPERM, FAILED},
    {EBADF, FAILED},
    {EFAULT, FAILED},
    {EINVAL, FAILED},
    {ENOSPC, FAILED},
};

/* ---- World ------------------------------------------------------------------------------------------ */

enum { EXITED = 1, IGNORED = 2 };

enum {
    SENT_MAX = 1 << 19,        /* bytes that the peer sends */
    RECEIVED_MAX = 1 << 24,    /* bytes that the peer receives */
    POOL_SIZE = 2 * HUGE_PAGE, /* bytes, for one mapping */
    CALLS_MAX = 200,           /* calls between two that move bytes or wait */
    WAITS_MAX = 1000,
    SHORT_WAITS_MAX = 8,   /* waits in a row of at most a TICK */
    SILENT_WAITS_MAX = 40, /* after so many the peer ends its stream */
    SLACK = 100 * 1000,    /* microseconds: tolerance for calls and ticks */
};

static struct world {
    jmp_buf over; /* all members after it start as zeros */

    /* The rest of the input. */
    struct setting setting;
    const uint8_t *bytes, *steps;
    size_t beginning_left, bytes_left, steps_left, repeated;
    unsigned faults[FAULTS]; /* calls of each kind so far */

    /* Times, in microseconds; NEVER: not yet. */
    int64_t time, began;
    int64_t expiry, interval;   /* of the timer */
    bool expired;               /* since it was set */
    int64_t lost_time;          /* in which the program was suspended or waited for the log */
    int64_t last_activity;      /* when bytes last arrived or a waiting write was completed */
    int64_t write_completed_at; /* of the last write that had to be continued */
    int64_t released_at;        /* when memory was last released */
    int64_t blamed_since;       /* since when an unread write counts against the peer */
    int64_t write_began;        /* or last moved bytes */
    int64_t terminated_at;
    int64_t goodbye_at;     /* when the program began to wait after its Close or HTTP answer */
    int64_t shut_at;        /* when the program ended its output */
    int64_t last_read;      /* when the last bytes came */
    int64_t write_deadline; /* after SIGTERM */
    int64_t write_called;   /* when a write was last called */
    int64_t lost_at_write;  /* `lost_time` then */

    /* What the program does. */
    unsigned calls; /* since bytes moved or time passed */
    unsigned all_calls, waits, short_waits, silent_waits, write_calls, pings, maps, blocked_logs, records;
    size_t sent, sent_before_goodbye; /* bytes that the program has read */
    size_t received;                  /* bytes that the program has written */
    unsigned pauses;                  /* sleeps between slices, and others */
    bool write_unfinished;            /* a write moved only a part, and must be continued */
    bool stream_ended;                /* the program read the end of the stream before its goodbye */
    bool peer_gone;                   /* the same at any time, or a read failed */
    bool lost;                        /* a write or the timer failed: the output may be incomplete */
    bool local_fault;                 /* one happened, and must be reported */
    bool refused;                     /* mmap failed */
    bool lingering;                   /* SO_LINGER was set */
    bool owes_memory;                 /* a large message's memory must be released */
    bool flags_due;                   /* O_NONBLOCK must be cleared */
    enum outcome failure;             /* of the read or write that failed; NEED_MORE: none */
    int exit_status;
    enum outcome end; /* as the record says; NEED_MORE: no record yet */
} w;

static struct options options;
static uint8_t sent[SENT_MAX], received[RECEIVED_MAX];
static _Alignas(HUGE_PAGE) uint8_t pools[2][POOL_SIZE];
static size_t pool_sizes[2];

/*
 * Returns the address of a mapping.  The program moves it up to a multiple of PAGE_MAX, which is then shortly
 * in front of a multiple of HUGE_PAGE.
 */
static uint8_t *pool_of(unsigned number)
{
    return pools[number] + HUGE_PAGE - 2 * PAGE_MAX + 4096;
}

/* Tells whether bytes lie in one mapping. */
static bool is_mapped(const uint8_t *bytes, size_t length)
{
    for (unsigned i = 0; i < COUNT_OF(pools); i++)
        if (bytes >= pool_of(i) && bytes <= pool_of(i) + pool_sizes[i] &&
            length <= (size_t)(pool_of(i) + pool_sizes[i] - bytes))
            return true;
    return false;
}

/* Ends an input that is too large for the arrays here. */
static _Noreturn void ignore(void)
{
    longjmp(w.over, IGNORED);
}

static void check_so_far(void);
static void check_write(size_t length);
static bool is_withheld(void);
static const struct words *words_of_request(void);
static void check_end_of_output(void);
static void check_record(const char *line);
static bool answer_is_forbidden(void);

/* Lets time pass in which the program is suspended. */
static void lose_time(int64_t time)
{
    w.time += time;
    w.lost_time += time;
}

static void expire(void)
{
    w.expired = true;
    note_expiry(SIGALRM);
}

/* Every call of the world passes here: time advances, and signals arrive. */
static void pass(void)
{
    static const int64_t stalls[] = {0, 1000, 3 * SECOND, 100 * SECOND};
    unsigned stall = w.setting.stall;
    w.time++;
    HOLDS(++w.calls < CALLS_MAX);
    if (w.all_calls++ == stall / COUNT_OF(stalls))
        lose_time(stalls[stall % COUNT_OF(stalls)]);
    if (w.setting.signal_at > 0 && w.all_calls == w.setting.signal_at && w.terminated_at == NEVER) {
        w.terminated_at = w.time;
        request_stop(SIGTERM);
    }
    if (w.time >= w.expiry) {
        w.expiry = w.interval > 0 ? w.time + w.interval : NEVER;
        expire();
    }
}

/* Tells whether this call of its kind is the one that must fail. */
static bool fails(enum fault kind)
{
    return w.setting.fault % FAULTS == kind && ++w.faults[kind] == 1u + w.setting.fault / FAULTS;
}

static int fail_with(int error)
{
    errno = error;
    return -1;
}

/* Blocks until the timer expires, which must happen at `latest` at the latest. */
static void wait_until(int64_t latest)
{
    HOLDS(++w.waits < WAITS_MAX);
    w.short_waits = w.expiry <= w.time + TICK ? w.short_waits + 1 : 0;
    HOLDS(w.short_waits < SHORT_WAITS_MAX);
    HOLDS(latest == NEVER || w.expiry <= latest + w.lost_time + SLACK);
    if (w.time < w.expiry)
        w.time = w.expiry;
    w.calls = 0;
    pass();
}

/* Returns the next step. */
static uint8_t next_step(void)
{
    if (w.steps_left == 0)
        return WHOLE;
    w.steps_left--;
    w.calls = 0;
    return *w.steps++;
}

/* Suspends the program in a read or write.  A long suspension does not count against the peer. */
static void jump(unsigned argument)
{
    int64_t time = (INT64_C(1) << argument) * 10000;
    lose_time(time);
    if (time > options.timeout / 2 + options.timeout / 4 + SECOND)
        w.blamed_since = w.time;
    pass();
}

static void terminate(void)
{
    if (w.terminated_at == NEVER)
        w.terminated_at = w.time;
    w.short_waits = 0;
    request_stop(SIGTERM);
    pass();
}

/* Fails a read or write permanently.  After our Close or HTTP answer only a local fault is reported. */
static ssize_t fail_transfer(unsigned argument, enum outcome fault)
{
    const struct failure *failure = &failures[argument];
    enum outcome end = failure->end == FAILED ? fault : failure->end;
    if (end == fault)
        w.local_fault = true;
    if (end == fault || w.goodbye_at == NEVER)
        w.failure = end;
    if (fault == WRITE_FAILED)
        w.lost = true;
    else
        w.peer_gone = true;
    return fail_with(failure->error);
}

static int set_nonblocking(void)
{
    w.flags_due = true;
    return fail_with(EAGAIN);
}

/* Delivers at most `size` bytes of the peer. */
static size_t deliver(uint8_t *buffer, size_t size)
{
    size_t most = size < SENT_MAX - w.sent ? size : SENT_MAX - w.sent;
    bool repeat = w.bytes_left == 0;
    size_t *left = repeat ? &w.repeated : &w.bytes_left, count = *left < most ? *left : most;
    w.beginning_left = 0;
    w.stream_ended = w.goodbye_at == NEVER ? count == 0 : w.stream_ended;
    w.peer_gone = count == 0;
    if (count == 0)
        return 0;
    if (repeat)
        memset(buffer, w.sent > 0 ? sent[w.sent - 1] : 0, count);
    else
        memcpy(buffer, w.bytes, count);
    w.bytes += repeat ? 0 : count;
    *left -= count;
    memcpy(sent + w.sent, buffer, count);
    w.sent += count;
    w.last_read = w.time;
    if (w.goodbye_at == NEVER) {
        w.sent_before_goodbye = w.sent;
        w.last_activity = w.time;
        w.pings = 0;
    }
    return count;
}

/* Returns until when a read may wait; NEVER: without a limit. */
static int64_t latest_return(void)
{
    if (w.goodbye_at != NEVER && w.shut_at == NEVER && answer_is_forbidden() &&
        w.time + CLOSING_QUIET < w.goodbye_at + CLOSING_TIME)
        return w.time + CLOSING_QUIET;
    if (w.goodbye_at != NEVER)
        return w.goodbye_at + CLOSING_TIME;
    if (is_withheld())
        return options.timeout > 0 ? w.time + options.timeout : NEVER;
    HOLDS(w.terminated_at == NEVER || w.expiry <= w.time + TICK);
    if (w.received == 0)
        return w.began + options.handshake_timeout;
    int64_t wait = options.ping_interval > 0 ? options.ping_interval : options.timeout;
    return wait > 0 ? w.time + wait : NEVER;
}

/* Waits for bytes that do not arrive.  If no timer is set, the peer ends its stream. */
static ssize_t wait_for_bytes(void)
{
    int64_t latest = latest_return();
    w.silent_waits++;
    if (latest == NEVER && w.expiry == NEVER) {
        w.bytes_left = w.repeated = 0;
        return (ssize_t)deliver(NULL, 0);
    }
    HOLDS(w.goodbye_at != NEVER || w.received == 0 || options.timeout == 0 ||
          w.time - w.last_activity <= options.timeout + w.lost_time + SLACK);
    HOLDS(w.goodbye_at != NEVER || !w.owes_memory || w.expiry <= w.time + QUIET_TIME + w.lost_time + SLACK);
    wait_until(latest);
    return fail_with(EINTR);
}

static ssize_t world_read(int descriptor, void *buffer, size_t size)
{
    uint8_t step, argument, *to = buffer;
    const struct stream *stream = &connection.stream;
    size_t count = size;
    HOLDS(descriptor == STDIN_FILENO && size > 0 && !w.lost && !w.write_unfinished && !w.flags_due);
    HOLDS(to == stream->input + stream->input_end && size == INPUT_SIZE - stream->input_end);
    HOLDS(w.shut_at != NEVER || !w.peer_gone);
    pass();
    w.write_began = NEVER;
    if (w.shut_at == NEVER)
        check_so_far();
    if (w.goodbye_at == NEVER) {
        if (w.write_completed_at > w.last_activity) {
            w.last_activity = w.write_completed_at;
            w.pings = 0;
        }
    }
    for (;;) {
        step = next_step();
        argument = step >> 4;
        switch (step % 16) {
        case FEW: count = w.beginning_left + argument + 1u; break;
        case PART: count = w.beginning_left + 64 * (argument + 1u); break;
        case LONG: w.repeated += 2048 * (argument + 1u); continue;
        case INTERRUPT: return fail_with(EINTR);
        case ALARM: expire(); return fail_with(EINTR);
        case TERMINATE: /* the call goes on, until the timer expires */
            terminate();
            wait_until(w.time);
            return fail_with(EINTR);
        case WAIT: return wait_for_bytes();
        case JUMP:
            jump(argument);
            if (expired)
                return fail_with(EINTR);
            continue;
        case FAIL: return fail_transfer(argument, READ_FAILED);
        case NONBLOCKING: return set_nonblocking();
        case END: w.bytes_left = w.repeated = 0; break;
        default: break;
        }
        break;
    }
    if (w.bytes_left == 0 && w.repeated == 0 && step % 16 != END && w.setting.switches & SILENT &&
        w.silent_waits < SILENT_WAITS_MAX)
        return wait_for_bytes();
    ASAN_UNPOISON_MEMORY_REGION(to, size);
    count = deliver(to, count < size ? count : size);
    ASAN_POISON_MEMORY_REGION(to + count,
                              size - count); /* a sanitizer reports reads beyond the received bytes */
    return (ssize_t)count;
}

/* Receives a line of the log; `with_end`: standard error, where it has a prefix and a newline. */
static void take_log(const char *line, size_t length, bool with_end)
{
    pass();
    HOLDS(length > 0 && length <= PIPE_BUF && w.interval > 0 && w.expiry <= w.time + LOG_TIME);
    for (size_t i = 0; i < length - with_end; i++)
        HOLDS(line[i] >= ' ' && line[i] <= '~');
    const char *text = *line == '<' ? strchr(line, '>') + 1 : with_end ? strstr(line, "]: ") + 3 : line;
    bool record = strncmp(text, "peer=", 5) == 0;
    HOLDS(w.blocked_logs == 0 || record); /* after blocking once, the log gets only the record */
    if (record)
        check_record(text);
    w.calls = 0;
    if (!w.write_unfinished)
        w.write_began = NEVER;
    if (w.setting.switches & BLOCKED_LOG) {
        w.blocked_logs++;
        w.lost_time += LOG_TIME; /* does not count as silence of the peer */
        wait_until(w.time + LOG_TIME);
    }
}

/* Moves at most `size` bytes of a write of `whole` bytes to the peer. */
static ssize_t take_bytes(const struct iovec *parts, int count, size_t size, size_t whole)
{
    size_t taken = 0;
    for (int i = 0; i < count && taken < size; i++) {
        size_t part = parts[i].iov_len < size - taken ? parts[i].iov_len : size - taken;
        if (w.received + part > RECEIVED_MAX)
            ignore();
        memcpy(received + w.received, parts[i].iov_base, part);
        w.received += part;
        taken += part;
    }
    if (taken == whole && w.write_calls > 1)
        w.write_completed_at = w.time;
    w.write_unfinished = taken < whole;
    w.write_began = w.write_unfinished ? w.time : NEVER;
    return (ssize_t)taken;
}

/*
 * Lets a write wait for the peer until the timer expires.  Returns false if nothing limits the wait; then the
 * peer reads on.
 */
static bool wait_for_peer(void)
{
    int64_t latest = options.timeout > 0 ? w.time + options.timeout / 4 : NEVER;
    if (w.terminated_at != NEVER && w.write_deadline == NEVER)
        w.write_deadline = w.time + STOP_TIME;
    if (w.write_deadline != NEVER)
        latest = w.write_deadline;
    if (latest == NEVER && w.expiry == NEVER)
        return false;
    /* After a jump of half the timeout the whole timeout starts again. */
    HOLDS(options.timeout == 0 ||
          w.time - w.write_began <= options.timeout + options.timeout / 2 + 3 * w.lost_time + SLACK);
    wait_until(latest > w.time ? latest : w.time);
    return true;
}

static ssize_t world_writev(int descriptor, const struct iovec *parts, int count)
{
    size_t whole = 0, size;
    HOLDS(descriptor == STDOUT_FILENO && w.shut_at == NEVER && !w.lost && !w.flags_due);
    for (int i = 0; i < count; i++)
        whole += parts[i].iov_len;
    HOLDS(whole > 0);
    pass();
    check_write(whole);
    w.write_calls = w.write_unfinished ? w.write_calls + 1 : 1;
    w.write_unfinished = true;
    if (w.write_began == NEVER)
        w.write_began = w.time;
    for (;;) {
        uint8_t step = next_step(), argument = step >> 4;
        size = whole;
        switch (step % 16) {
        case FEW: size = argument + 1u; break;
        case PART: size = 64 * (argument + 1u); break;
        case LONG: size = 1 + whole / 16 * argument; break;
        case INTERRUPT: return fail_with(EINTR);
        case ALARM: expire(); return fail_with(EINTR);
        case TERMINATE: terminate(); continue;
        case WAIT:
            if (!wait_for_peer())
                continue;
            return fail_with(EINTR);
        case WAIT_AFTER: {
            if (whole == 1)
                break;
            ssize_t taken = take_bytes(parts, count, 1, whole);
            wait_for_peer();
            return taken;
        }
        case JUMP: jump(argument); continue;
        case FAIL: return fail_transfer(argument, WRITE_FAILED);
        case NONBLOCKING: return set_nonblocking();
        default: break;
        }
        break;
    }
    w.calls = 0;
    return take_bytes(parts, count, size < whole ? size : whole, whole);
}

static ssize_t world_write(int descriptor, const void *bytes, size_t length)
{
    if (descriptor != STDERR_FILENO)
        return world_writev(descriptor, &(struct iovec){(void *)(uintptr_t)bytes, length}, 1);
    char line[PIPE_BUF + 1];
    HOLDS(connection.log.channel != SYSLOG && length < sizeof line &&
          ((const char *)bytes)[length - 1] == '\n');
    memcpy(line, bytes, length);
    line[length] = '\0';
    take_log(line, length, true);
    return (ssize_t)length;
}

static void world_syslog(int priority, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *line = va_arg(arguments, const char *);
    va_end(arguments);
    HOLDS(priority >= LOG_ERR && priority <= LOG_DEBUG && strcmp(format, "%s") == 0);
    take_log(line, strlen(line), false);
}

static int world_journal(const struct iovec *fields, int count)
{
    const char *message = NULL;
    for (int i = 0; i < count; i++) {
        const char *field = fields[i].iov_base;
        HOLDS(strlen(field) == fields[i].iov_len && strchr(field, '='));
        HOLDS(strspn(field, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == (size_t)(strchr(field, '=') - field));
        if (strncmp(field, "MESSAGE=", 8) == 0)
            message = field + 8;
    }
    HOLDS(message);
    take_log(message, strlen(message), false);
    return 0;
}

static int world_notify(int unset, const char *status)
{
    HOLDS(unset == 0 && strncmp(status, "STATUS=", 7) == 0 && w.blocked_logs == 0);
    pass();
    return 1;
}

static int world_setitimer(int which, const struct itimerval *timer, void *old)
{
    HOLDS(which == ITIMER_REAL && !old && timer->it_value.tv_sec >= 0 && timer->it_value.tv_usec >= 0);
    HOLDS(timer->it_value.tv_usec < SECOND);
    int64_t delay = timer->it_value.tv_sec * SECOND + timer->it_value.tv_usec;
    pass();
    if (!timer_bounds_log && delay > 1 && fails(TIMER_FAULT)) {
        w.local_fault = true;
        w.lost = w.goodbye_at == NEVER;
        return fail_with(EPERM);
    }
    /* It may only be set to expire earlier, or after it has expired, so that most reads need no such call. */
    HOLDS(timer_bounds_log || delay <= 1 || w.expired || w.time + delay < w.expiry);
    w.expired = delay <= 1 || expired; /* disarmed, set by the handler of a signal, or expired meanwhile */
    w.interval = timer->it_interval.tv_sec * SECOND + timer->it_interval.tv_usec;
    w.expiry = delay > 0 ? w.time + delay : NEVER;
    pass(); /* a signal may arrive here */
    return 0;
}

static int world_clock_gettime(clockid_t which, struct timespec *time)
{
    pass();
    *time = (struct timespec){.tv_sec = (time_t)(w.time / SECOND), .tv_nsec = (long)(w.time % SECOND * 1000)};
    HOLDS(which == CLOCK_MONOTONIC || which == CLOCK_REALTIME);
    return 0;
}

/* Sleeps for the lab until a time, or until a stop signal interrupts it; then the timer is running. */
static int world_clock_nanosleep(clockid_t which, int flags, const struct timespec *until,
                                 struct timespec *left)
{
    const struct words *words = words_of_request();
    int64_t end = until->tv_sec * SECOND + until->tv_nsec / 1000;
    HOLDS(which == CLOCK_MONOTONIC && flags == TIMER_ABSTIME && !left && !w.lost && w.shut_at == NEVER);
    HOLDS(until->tv_nsec >= 0 && until->tv_nsec < 1000 * SECOND);
    HOLDS(words->delay > 0 || words->latency > 0 || words->stall > 0 || words->slice > 0);
    HOLDS(w.expiry == NEVER || stopping);
    HOLDS(end <= w.time + 60 * SECOND && (options.timeout == 0 || end < w.time + options.timeout));
    pass();
    w.pauses++;
    if (fails(SLEEP_FAULT)) {
        w.lost = w.local_fault = true;
        return EINVAL;
    }
    uint8_t step = next_step();
    switch (step % 16) {
    case TERMINATE: terminate(); break;
    case INTERRUPT: return EINTR;
    case JUMP: jump(step >> 4); break;
    default: break;
    }
    if (stopping)
        return EINTR;
    w.calls = 0;
    if (end > w.time) {
        if (end - w.time > SLACK)
            w.blamed_since = end;
        lose_time(end - w.time); /* does not count as silence of the peer */
    }
    return 0;
}

static int world_fcntl(int descriptor, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    int flags = va_arg(arguments, int);
    va_end(arguments);
    HOLDS((descriptor == STDIN_FILENO || descriptor == STDOUT_FILENO) && command == F_SETFL &&
          flags == O_RDWR);
    HOLDS(w.flags_due);
    pass();
    w.flags_due = false;
    if (!fails(FLAGS_FAULT))
        return 0;
    fail_transfer(11, descriptor == STDIN_FILENO ? READ_FAILED : WRITE_FAILED);
    return fail_with(EPERM);
}

/* Notes that the program ends its output. */
static void shut(void)
{
    if (w.shut_at != NEVER)
        return;
    check_end_of_output();
    w.shut_at = w.time;
    if (w.goodbye_at == NEVER)
        w.goodbye_at = w.time;
}

static int world_shutdown(int descriptor, int how)
{
    HOLDS(descriptor == STDOUT_FILENO && (how == SHUT_WR || how == SHUT_RDWR) &&
          w.setting.switches & SOCKETS);
    pass();
    shut();
    return fails(SHUTDOWN_FAULT) ? fail_with(ENOTCONN) : 0;
}

static int world_close(int descriptor)
{
    HOLDS(descriptor == STDOUT_FILENO && !(w.setting.switches & SOCKETS) && w.shut_at == NEVER);
    pass();
    shut();
    return 0;
}

static int world_setsockopt(int descriptor, int level, int name, const void *value, socklen_t length)
{
    const struct linger *linger = value;
    HOLDS(descriptor == STDOUT_FILENO && level == SOL_SOCKET && name == SO_LINGER &&
          length == sizeof *linger);
    HOLDS(linger->l_onoff == 1 && linger->l_linger == 0);
    pass();
    w.lingering = true;
    if (!fails(LINGER_FAULT))
        return 0;
    w.local_fault = true;
    return fail_with(EINVAL);
}

static void *world_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    HOLDS(!at && protection == (PROT_READ | PROT_WRITE) && descriptor == -1 && offset == 0);
    HOLDS(flags == (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE));
    pass();
    if (fails(MEMORY_FAULT)) {
        w.refused = w.local_fault = true;
        errno = ENOMEM;
        return MAP_FAILED;
    }
    HOLDS(w.maps < COUNT_OF(pools) && size > 2 * PAGE_MAX && size < HUGE_PAGE - 4096);
    uint8_t *pool = pool_of(w.maps), *begin = pools[w.maps] + HUGE_PAGE - PAGE_MAX;
    pool_sizes[w.maps++] = size;
    /*
     * The program uses what begins at the next multiple of PAGE_MAX; the memory around it is only released.
     */
    ASAN_POISON_MEMORY_REGION(pool, (size_t)(begin - pool));
    ASAN_POISON_MEMORY_REGION(begin + size - 2 * PAGE_MAX, 2 * PAGE_MAX);
    return pool;
}

/* Tells whether pages are in the unused part of a stream's buffer. */
static bool is_free(const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size;
    const struct stream *stream = &connection.stream;
    return (at >= stream->input + stream->input_end && end <= stream->input + INPUT_SIZE) ||
           (at >= stream->output + stream->output_used && end <= stream->output + OUTPUT_SIZE);
}

static int world_madvise(void *at, size_t size, int advice)
{
    bool mapped = is_mapped(at, size);
    HOLDS((mapped || is_free(at, size)) && (uintptr_t)at % 4096 == 0);
    pass();
    if (fails(ADVICE_FAULT))
        return fail_with(EINVAL);
    if (advice == MADV_DONTNEED && mapped) {
        w.owes_memory = false;
        w.released_at = w.time;
    }
    return advice == MADV_DONTNEED ? madvise(at, size, advice) : 0;
}

static _Noreturn void world_exit(int status)
{
    w.exit_status = status;
    longjmp(w.over, EXITED);
}

/* ---- Model of the answer ---------------------------------------------------------------------------- */

enum {
    EXPECTED_MAX = 1 << 23, /* bytes of messages to be echoed */
    REPLIES_MAX = 1 << 17,
};

/* A frame that the peer must receive. */
struct due_frame {
    uint8_t opcode;
    bool compressed;
    bool gathered;        /* the message arrived in several reads or frames */
    size_t begin, length; /* in `expected` */
};

/* State of a UTF-8 decoder: bytes that the character still needs, and the range of the next one. */
struct character {
    unsigned needed;
    uint8_t low, high;
};

static struct model {
    int status; /* HTTP status of the answer; 0: none yet */
    bool deflate, server_resets, client_resets;
    enum outcome verdict;       /* how the peer's frames end the connection; NEED_MORE: not yet */
    enum outcome close_outcome; /* of the program's Close; NEED_MORE: none yet */
    size_t parsed, checked;     /* bytes of `sent`, and of `received` */
    bool ended_by_close;        /* the frame that caused the verdict is a Close */
    bool skipping;              /* the program has sent its Close first, and skips the peer's frames */
    bool skipping_ended;        /* at the header of the peer's Close, or an invalid header */

    unsigned header_length;
    uint8_t header[14];
    bool in_payload, in_message, compressed, gathered;
    uint8_t opcode;        /* of the message */
    uint64_t length, left; /* of the frame */
    size_t begin, end;     /* of the message, in `expected` */
    struct character character;
    bool octet_ends; /* the last block of a compressed message ended at a byte boundary */
    uint8_t control[CONTROL_PAYLOAD_MAX];

    size_t reply_count, replies_checked;

    /* What the words of the lab ask for. */
    struct words words;
    bool has_words;      /* `words` is set */
    uint64_t count_left; /* messages until the trigger; 0: it does not wait for them */
    bool headers_due, hello_due, raw_due;
    size_t raw_after;    /* replies */
    size_t head_begin;   /* in `sent` */
    bool triggered;      /* since the last read */
    size_t trigger_at;   /* in `sent` */
    uint64_t fragments;  /* of the message that the peer is receiving */
    uint8_t first;       /* byte of that message's first frame */
    size_t message_size; /* bytes of that message in `message_bytes` */
    unsigned hellos;     /* that were repeated */
} m;

static uint8_t message_bytes[RECEIVED_MAX];

static uint8_t expected[EXPECTED_MAX];
static struct due_frame replies[REPLIES_MAX];
static z_stream peer_inflater, model_inflater; /* for `received` and for `sent` */
static const uint8_t deflate_tail[] = {0x00, 0x00, 0xff, 0xff};

static bool take_character(struct character *character, uint8_t byte)
{
    if (character->needed > 0) {
        bool fits = byte >= character->low && byte <= character->high;
        character->needed--;
        character->low = 0x80;
        character->high = 0xbf;
        return fits;
    }
    character->needed = byte < 0x80 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    character->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    character->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    return byte < 0x80 || (byte >= 0xc2 && byte <= 0xf4);
}

static void expect(uint8_t opcode, bool compressed, size_t begin, size_t length)
{
    if (m.reply_count == REPLIES_MAX)
        ignore();
    replies[m.reply_count++] = (struct due_frame){opcode, compressed, m.gathered, begin, length};
}

/* Adds a byte to the message.  Returns what is wrong with it, or NEED_MORE. */
static enum outcome take_message_byte(uint8_t byte)
{
    if (m.end == EXPECTED_MAX)
        ignore();
    expected[m.end++] = byte;
    if (m.opcode == TEXT && !take_character(&m.character, byte))
        return TEXT_NOT_UTF8;
    return m.end - m.begin > options.max_message ? MESSAGE_TOO_BIG : NEED_MORE;
}

/* Inflates bytes and adds the result to the message.  Returns what is wrong, or NEED_MORE. */
static enum outcome take_compressed(const uint8_t *bytes, size_t length)
{
    static uint8_t inflated[512], window[WINDOW_SIZE];
    z_stream *z = &model_inflater;
    int result;
    z->next_in = bytes;
    z->avail_in = (unsigned)length;
    do {
        z->next_out = inflated;
        z->avail_out = sizeof inflated;
        result = inflate(z, Z_SYNC_FLUSH);
        for (const uint8_t *next = inflated; next < z->next_out; next++) {
            enum outcome wrong = take_message_byte(*next);
            if (wrong != NEED_MORE)
                return wrong;
        }
        m.octet_ends = result == Z_STREAM_END || (z->data_type & 128 && (z->data_type & 63) == 0);
        if (result == Z_STREAM_END) { /* keep the window for the next block */
            unsigned size = 0;
            inflateGetDictionary(z, window, &size);
            inflateReset(z);
            inflateSetDictionary(z, window, size);
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return INFLATE_FAILED;
        }
    } while (z->avail_in > 0 || z->avail_out == 0);
    return NEED_MORE;
}

/* Tells whether the message could also be ended by a stored block with the single byte x. */
static bool may_end_with_other_block(void)
{
    static const uint8_t block[] = {0x01, 0x00, 0xfe, 0xff, 'x'};
    uint8_t inflated[2];
    z_stream copy;
    HOLDS(inflateCopy(&copy, &model_inflater) == Z_OK);
    copy.next_in = block;
    copy.avail_in = sizeof block;
    copy.next_out = inflated;
    copy.avail_out = sizeof inflated;
    inflate(&copy, Z_SYNC_FLUSH);
    inflateEnd(&copy);
    return copy.avail_in == 0 && copy.avail_out == 1 && inflated[0] == 'x';
}

/*
 * Ends a compressed message: RFC 7692 section 7.2.2.  If its last block ends at a byte boundary, nothing more
 * is needed.  Otherwise the header of a stored block must be there.
 */
static enum outcome end_compressed(void)
{
    size_t before = m.end;
    if (m.octet_ends)
        return NEED_MORE;
    bool other = may_end_with_other_block();
    enum outcome wrong = take_compressed(deflate_tail, sizeof deflate_tail);
    return wrong == NEED_MORE && other && m.octet_ends && m.end == before ? NEED_MORE : INFLATE_UNFINISHED;
}

/*
 * Checks a complete header and begins the payload.  Returns what is wrong, or NEED_MORE, as the next
 * functions do.
 */
static enum outcome begin_payload(void)
{
    uint8_t opcode = m.header[0] & 15;
    m.in_payload = true;
    m.left = m.length;
    if (m.skipping)
        return opcode == CLOSE ? CLOSED_BY_PEER : NEED_MORE;
    if (opcode == CLOSE && m.length == 1)
        return CLOSE_TRUNCATED;
    if (opcode & 8) {
        if (opcode == CLOSE)
            m.character = (struct character){0};
        return NEED_MORE;
    }
    if (opcode != CONTINUATION) {
        m.in_message = true;
        m.opcode = opcode;
        m.gathered = !(m.header[0] & FIN);
        m.compressed = m.header[0] & RSV1;
        m.begin = m.end;
        m.character = (struct character){0};
        m.octet_ends = true;
        if (m.compressed && m.client_resets)
            inflateReset(&model_inflater);
    }
    return !m.compressed && m.length > options.max_message - (m.end - m.begin) ? MESSAGE_TOO_BIG : NEED_MORE;
}

/* Checks the next byte of a header: sections 5.2, 5.4, 5.5. */
static enum outcome take_header_byte(uint8_t byte)
{
    m.header[m.header_length++] = byte;
    unsigned opcode = m.header[0] & 15, kind = m.header[1] & 127, at = m.header_length;
    bool control = opcode & 8, begins = opcode == TEXT || opcode == BINARY;
    unsigned size = at < 2 ? 0 : kind == 127 ? 8 : kind == 126 ? 2 : 0;
    if (at == 1) {
        m.in_message = m.skipping ? !begins : m.in_message; /* then fragments are accepted in any order */
        if (byte & 0x30 || (byte & RSV1 && !(m.deflate && begins)))
            return RSV_SET;
        if ((opcode & 7) > 2)
            return OPCODE_RESERVED;
        if (control)
            return byte & FIN ? NEED_MORE : CONTROL_FRAGMENTED;
        return begins != m.in_message ? NEED_MORE : begins ? MESSAGE_UNFINISHED : NO_MESSAGE;
    }
    if (at == 2) {
        m.length = size > 0 ? 0 : kind;
        return byte < 0x80 ? UNMASKED : control && kind > CONTROL_PAYLOAD_MAX ? CONTROL_TOO_LONG : NEED_MORE;
    }
    if (at == 3 && size == 8 && byte & 0x80)
        return LENGTH_TOP_BIT;
    if (at <= 2 + size)
        m.length = m.length << 8 | byte;
    if (at == 2 + size && m.length < (size == 2 ? 126 : 65536))
        return LENGTH_NOT_MINIMAL;
    return at == 2 + size + 4 ? begin_payload() : NEED_MORE;
}

/* Checks the next byte of a payload. */
static enum outcome take_payload_byte(uint8_t byte)
{
    uint64_t at = m.length - m.left--;
    byte ^= m.header[m.header_length - 4 + at % 4];
    if (!(m.header[0] & 8))
        return m.compressed ? take_compressed(&byte, 1) : take_message_byte(byte);
    m.control[at] = byte;
    unsigned code = (unsigned)(m.control[0] << 8 | byte);
    if ((m.header[0] & 15) != CLOSE || at == 0)
        return NEED_MORE;
    if (at == 1)
        return (code >= 1000 && code < 1004) || (code > 1006 && code < 1015) || (code > 2999 && code < 5000)
                   ? NEED_MORE
                   : CLOSE_CODE_INVALID;
    return take_character(&m.character, byte) ? NEED_MORE : CLOSE_NOT_UTF8;
}

/*
 * Expects what the lab does at its trigger, which comes when the program has consumed so many bytes.  Returns
 * LAB if it ends the connection, or NEED_MORE.
 */
static enum outcome trigger(size_t consumed)
{
    m.triggered = true;
    m.trigger_at = consumed;
    m.raw_due = m.words.raw_length > 0;
    m.raw_after = m.reply_count;
    return m.words.ending != NO_ENDING ? LAB : NEED_MORE;
}

/* Checks a complete message, and expects its echo. */
static enum outcome end_message(void)
{
    enum outcome wrong = m.compressed ? end_compressed() : NEED_MORE;
    if (wrong != NEED_MORE)
        return wrong;
    if (m.opcode == TEXT && m.character.needed > 0)
        return TEXT_NOT_UTF8;
    if (!(m.words.mute & MUTE_ECHO))
        expect(m.opcode, m.compressed, m.begin, m.end - m.begin);
    m.in_message = false;
    return m.count_left > 0 && --m.count_left == 0 ? trigger(m.parsed + 1) : NEED_MORE;
}

/* Ends a frame, whose payload is complete. */
static enum outcome end_frame(void)
{
    uint8_t opcode = m.header[0] & 15;
    m.in_payload = false;
    m.header_length = 0;
    if (opcode == PING) { /* in `expected`, insert its payload before the unfinished message */
        size_t length = (size_t)m.length, moved = m.in_message ? m.end - m.begin : 0, at = m.end - moved;
        if (m.end > EXPECTED_MAX - CONTROL_PAYLOAD_MAX)
            ignore();
        memmove(expected + at + length, expected + at, moved);
        memcpy(expected + at, m.control, length);
        m.begin += m.in_message ? length : 0;
        m.end += length;
        if (!(m.words.mute & MUTE_PONG))
            expect(PONG, false, at, length);
    }
    if (opcode == CLOSE)
        return m.character.needed > 0 ? CLOSE_NOT_UTF8 : CLOSED_BY_PEER;
    return opcode & 8 || !(m.header[0] & FIN) ? NEED_MORE : end_message();
}

/* Parses what the peer has sent, up to an offset, as the model understands it. */
static void feed(size_t until)
{
    m.gathered = m.gathered || (m.in_payload && m.in_message);
    for (; m.verdict == NEED_MORE && m.parsed < until; m.parsed++) {
        m.verdict = m.in_payload ? take_payload_byte(sent[m.parsed]) : take_header_byte(sent[m.parsed]);
        if (m.verdict == NEED_MORE && m.in_payload && m.left == 0)
            m.verdict = end_frame();
    }
    m.ended_by_close =
        m.verdict != NEED_MORE && (m.skipping ? m.ended_by_close : (m.header[0] & 15) == CLOSE);
}

/* Skips what the peer sends after our Close, up to an offset. */
static void skip(size_t until)
{
    m.skipping_ended = m.skipping_ended || (m.in_payload && (m.header[0] & 15) == CLOSE);
    for (;; m.parsed++) {
        if (m.in_payload && m.left == 0) {
            m.in_payload = false;
            m.header_length = 0;
        }
        if (m.skipping_ended || m.parsed >= until)
            return;
        if (m.in_payload)
            m.left--;
        else
            m.skipping_ended = take_header_byte(sent[m.parsed]) != NEED_MORE;
    }
}

/* ---- Checks ----------------------------------------------------------------------------------------- */

/* Reads the words of a request for the lab.  Returns the outcome that refuses them, LAB for `status`, or
 * DONE. */
static enum outcome lab_request_end(const struct head *head)
{
    struct slice origin;
    memset(&m.words, 0, sizeof m.words);
    enum outcome end = words_parse(head->query, options.timeout, connection.stream.tcp, &m.words);
    if (end != DONE) {
        memset(&m.words, 0, sizeof m.words);
        return end;
    }
    if (m.words.headers && head_find_field(head, "Origin", &origin) > 0 &&
        (options.origins.any || !choices_include(&options.origins, origin)))
        return LAB_HEADERS_FORBIDDEN;
    return m.words.status > 0 ? LAB : DONE;
}

/*
 * Returns the outcome and the length of the request according to the program's own parsers, if they get it in
 * one piece.
 */
static enum outcome request_end(struct head *head, size_t *length)
{
    struct address peer = {.host = "-"};
    struct agreement agreed;
    ssize_t proxy = 0;
    *head = (struct head){0};
    if (options.proxy_protocol) {
        proxy = proxy_parse_header((const char *)sent, w.sent_before_goodbye, &peer);
        if (proxy < 0)
            return sent[0] == 0x16 ? TLS_HELLO : PROXY_MALFORMED;
        if (proxy == 0)
            return NEED_MORE;
    }
    enum outcome end = head_parse(head, (const char *)sent + proxy, w.sent_before_goodbye - (size_t)proxy);
    *length = (size_t)proxy + head->scanned;
    end = end == DONE ? check_request(head, &options, &agreed) : end;
    return end == DONE && choices_include(&options.labs, head->path) ? lab_request_end(head) : end;
}

/* Returns the words of the request, all zeros if it has none, or is none yet. */
static const struct words *words_of_request(void)
{
    static struct head head;
    size_t length;
    if (!m.has_words && request_end(&head, &length) != NEED_MORE)
        m.has_words = true;
    return &m.words;
}

/*
 * Returns the length of a head, with the empty line that ends it; one empty line in front of the head is not
 * that line.
 */
static size_t end_of_head(const uint8_t *bytes, size_t length)
{
    size_t begin = length > 2 && bytes[0] == '\r' ? 2 : 0;
    const uint8_t *end = memmem(bytes + begin, length - begin, "\r\n\r\n", 4);
    return end ? (size_t)(end - bytes) + 4 : 0;
}

/* Returns where the head of the answer contains a string, or NULL. */
static const char *find_in_head(size_t head_length, const char *wanted)
{
    return memmem(received, head_length, wanted, strlen(wanted));
}

/* Checks the head of the answer, and prepares for its frames. */
static void check_answer(void)
{
    size_t length = end_of_head(received, w.received), request = 0;
    if (m.status > 0 || length == 0)
        return;
    HOLDS(strncmp((const char *)received, "HTTP/1.1 ", 9) == 0);
    m.status = atoi((const char *)received + 9);
    m.checked = length;
    if (m.status != 101)
        return;
    if (options.proxy_protocol)
        request = sent[0] == 'P' ? (size_t)((uint8_t *)memchr(sent, '\n', w.sent) - sent) + 1
                                 : 16u + (unsigned)(sent[14] << 8 | sent[15]);
    m.parsed = request + end_of_head(sent + request, w.sent - request);
    m.head_begin = request;
    const struct words *words = words_of_request();
    bool sample_key = strstr(beginnings[w.setting.beginning % COUNT_OF(beginnings)], REST);
    if (sample_key && !options.proxy_protocol && !(w.setting.more_switches & WITH_LAB))
        HOLDS(find_in_head(length, ACCEPT));
    if (words->bad & BAD_ACCEPT)
        HOLDS(!find_in_head(length, ACCEPT));
    const char *bits = find_in_head(length, "server_max_window_bits=");
    m.deflate = find_in_head(length, EXTENSION);
    m.server_resets = find_in_head(length, "server_no_context_takeover");
    m.client_resets = find_in_head(length, "client_no_context_takeover");
    HOLDS(!m.deflate || options.deflate);
    if (m.deflate) {
        inflateReset2(&peer_inflater, bits ? -atoi(bits + strlen("server_max_window_bits=")) : -15);
        inflateReset(&model_inflater);
    }
    if (words->has_after && words->raw_length > 0)
        ignore(); /* the model does not know where among the frames the raw bytes are */
    m.headers_due = words->headers;
    m.hello_due = words->hello;
    m.count_left = words->count;
    if (!words->has_after && words->count == 0 &&
        (words->raw_length > 0 || words->stall > 0 || words->ending != NO_ENDING))
        m.verdict = trigger(m.parsed);
}

/* Inflates the payload of a reply.  Returns its length. */
static size_t inflate_reply(const uint8_t *payload, size_t length, uint8_t *into, size_t size)
{
    z_stream *z = &peer_inflater;
    if (m.server_resets)
        inflateReset(z);
    z->next_in = payload;
    z->avail_in = (unsigned)length;
    z->next_out = into;
    z->avail_out = (unsigned)size;
    HOLDS(length > 0 && inflate(z, Z_SYNC_FLUSH) == Z_OK && z->avail_in == 0);
    z->next_in = deflate_tail;
    z->avail_in = sizeof deflate_tail;
    HOLDS(inflate(z, Z_SYNC_FLUSH) == Z_OK && z->avail_in == 0 && z->avail_out > 0);
    HOLDS(z->data_type == 128); /* at the end of a block, and at a byte boundary */
    return (size_t)(z->next_out - into);
}

/* Checks a frame that is neither Ping nor Close: a reply or a Pong. */
static void check_reply(uint8_t first, const uint8_t *payload, size_t length)
{
    static uint8_t inflated[PREFIX_MAX + HUGE_PAGE];
    HOLDS(m.replies_checked < m.reply_count);
    const struct due_frame *reply = &replies[m.replies_checked++];
    size_t prefix = reply->opcode == TEXT ? options.prefix.length : 0;
    HOLDS(first == (FIN | reply->opcode | (reply->compressed ? RSV1 : 0)));
    if (reply->compressed) {
        length = inflate_reply(payload, length, inflated, sizeof inflated);
        payload = inflated;
    }
    HOLDS(length == prefix + reply->length);
    HOLDS(memcmp(payload, options.prefix.bytes, prefix) == 0);
    HOLDS(memcmp(payload + prefix, expected + reply->begin, reply->length) == 0);
    if (w.released_at <= w.last_activity &&
        (reply->compressed || (reply->gathered && reply->length > RESIDENT_MAX)))
        w.owes_memory = true;
}

/* Checks the message of the lab that shows the request: the peer's address, CRLF, and the head as it came. */
static void check_headers(uint8_t first, const uint8_t *payload, size_t length)
{
    size_t head = end_of_head(sent + m.head_begin, w.sent - m.head_begin);
    struct character character = {0};
    bool text = true;
    for (size_t i = 0; i < length; i++)
        text = text && take_character(&character, payload[i]);
    HOLDS(first == (FIN | (text && character.needed == 0 ? TEXT : BINARY)));
    HOLDS(length > head + 2 && memcmp(payload + length - head, sent + m.head_begin, head) == 0);
    HOLDS(memmem(payload, length, "\r\n", 2) == payload + length - head - 2);
}

/* Tells whether a message is the lab's hello. */
static bool is_hello(uint8_t first, const uint8_t *payload, size_t length)
{
    return first == (FIN | TEXT) && length == m.words.hello_length &&
           memcmp(payload, m.words.hello_text, length) == 0;
}

/* Tells whether a message is the next reply, unless that is compressed. */
static bool is_reply(uint8_t first, const uint8_t *payload, size_t length)
{
    if (m.replies_checked == m.reply_count)
        return false;
    const struct due_frame *reply = &replies[m.replies_checked];
    size_t prefix = reply->opcode == TEXT ? options.prefix.length : 0;
    return reply->compressed || (first == (FIN | reply->opcode) && length == prefix + reply->length &&
                                 memcmp(payload + prefix, expected + reply->begin, reply->length) == 0);
}

/* Checks a complete message or Pong that the peer has received. */
static void check_message(uint8_t first, const uint8_t *payload, size_t length)
{
    if (m.headers_due && first != (FIN | PONG)) {
        m.headers_due = false;
        check_headers(first, payload, length);
    } else if (m.hello_due && first != (FIN | PONG)) {
        m.hello_due = false;
        HOLDS(is_hello(first, payload, length));
    } else if (m.words.repeat > 0 && is_hello(first, payload, length) && !is_reply(first, payload, length)) {
        HOLDS(++m.hellos <= 1000 && w.time >= w.began + m.hellos * m.words.repeat);
    } else {
        check_reply(first, payload, length);
    }
}

/* Adds a fragment to the message that the peer is receiving; the lab may ask for them. */
static void check_fragment(uint8_t first, const uint8_t *payload, size_t length)
{
    bool begins = m.fragments++ == 0;
    HOLDS(m.words.fragment > 0 && begins == ((first & 15) != CONTINUATION) && (begins || !(first & RSV1)));
    HOLDS(length <= m.words.fragment || m.fragments > 1000);
    HOLDS(first & FIN || length == m.words.fragment);
    if (begins) {
        m.first = first | FIN;
        m.message_size = 0;
    }
    memcpy(message_bytes + m.message_size, payload, length);
    m.message_size += length;
    if (!(first & FIN))
        return;
    HOLDS(m.fragments <= 1001);
    m.fragments = 0;
    check_message(m.first, message_bytes, m.message_size);
}

/* Tells whether the lab may have ended the connection by now. */
static bool may_lab_end(void)
{
    return m.words.ending != NO_ENDING &&
           (m.verdict == LAB || (m.words.has_after && w.time >= w.began + m.words.after));
}

/* Tells whether a Close is the one that the lab was asked for. */
static bool is_lab_close(const uint8_t *payload, size_t length)
{
    const struct words *words = &m.words;
    if (words->ending == EMPTY_CLOSE)
        return length == 0;
    return words->ending == CODED_CLOSE && length == 2 + (size_t)words->reason_length &&
           (payload[0] << 8 | payload[1]) == words->close_code &&
           memcmp(payload + 2, words->reason, words->reason_length) == 0;
}

/* Tells whether the peer's Close has come and the lab was asked not to answer it. */
static bool is_withheld(void)
{
    return m.words.mute & MUTE_CLOSE && m.verdict == CLOSED_BY_PEER;
}

/*
 * Checks the program's Close: it must name what the peer's frames did wrong, or what happened in the world.
 */
static void check_close(const uint8_t *payload, size_t length)
{
    if (may_lab_end() && (m.verdict == LAB || m.verdict == NEED_MORE) && is_lab_close(payload, length))
        m.close_outcome = LAB;
    if (m.verdict == CLOSED_BY_PEER && !is_withheld() && length == m.length &&
        memcmp(payload, m.control, length) == 0)
        m.close_outcome = CLOSED_BY_PEER;
    for (enum outcome end = DONE + 1; end < OUTCOME_COUNT && m.close_outcome == NEED_MORE && length > 2;
         end++)
        if (outcomes[end].code == (payload[0] << 8 | payload[1]) &&
            strlen(outcomes[end].sentence) == length - 2 &&
            memcmp(outcomes[end].sentence, payload + 2, length - 2) == 0)
            m.close_outcome = end;
    HOLDS(m.close_outcome != NEED_MORE);
    if (m.close_outcome == STOPPED && m.triggered) { /* the program has not parsed what came later */
        m.parsed = m.trigger_at;
        m.in_payload = m.ended_by_close = false;
        m.header_length = 0;
        m.verdict = NEED_MORE;
        m.reply_count = m.replies_checked;
    }
    HOLDS((m.close_outcome == NO_MEMORY) == w.refused);
    HOLDS(m.close_outcome != IDLE || (options.timeout > 0 && w.time - w.last_activity >= options.timeout));
    HOLDS(m.close_outcome != IDLE || options.ping_interval == 0 || w.pings > 0 || m.words.mute & MUTE_PING);
    HOLDS(m.close_outcome != STOPPED || w.terminated_at != NEVER);
    if (m.close_outcome == STOPPED || m.close_outcome == IDLE || m.close_outcome == LAB)
        HOLDS(m.verdict == NEED_MORE || m.verdict == LAB || is_withheld());
    else
        HOLDS(m.close_outcome == NO_MEMORY || m.close_outcome == m.verdict);
    HOLDS(m.close_outcome == NO_MEMORY || m.replies_checked == m.reply_count);
}

/* Checks all complete frames that the peer has received. */
static void check_frames(void)
{
    for (;;) {
        const uint8_t *frame = received + m.checked;
        size_t available = w.received - m.checked, header = 2;
        if (m.raw_due && !m.headers_due && !m.hello_due && m.replies_checked == m.raw_after) {
            if (available < m.words.raw_length)
                return;
            HOLDS(m.fragments == 0 && memcmp(frame, m.words.raw, m.words.raw_length) == 0);
            m.checked += m.words.raw_length;
            m.raw_due = false;
            continue;
        }
        if (available < 2)
            return;
        uint64_t length = frame[1];
        HOLDS(!(frame[0] & 0x30) && length < 0x80 && m.close_outcome == NEED_MORE);
        if (length > 125)
            header += length == 126 ? 2 : 8;
        if (available < header)
            return;
        if (header > 2)
            length = 0;
        for (size_t i = 2; i < header; i++)
            length = length << 8 | frame[i];
        HOLDS(header == 2 || length >= (header == 4 ? 126 : 65536));
        if (available - header < length)
            return;
        m.checked += header + (size_t)length;
        if (m.fragments > 0 || !(frame[0] & FIN))
            check_fragment(frame[0], frame + header, (size_t)length);
        else if (frame[0] == (FIN | PING))
            HOLDS(length == 0 && !(m.words.mute & MUTE_PING) && options.ping_interval > 0 &&
                  w.time - w.last_activity >= ++w.pings * options.ping_interval);
        else if (frame[0] == (FIN | CLOSE))
            check_close(frame + header, (size_t)length);
        else
            check_message(frame[0], frame + header, (size_t)length);
    }
}

/* Tells whether the program's Close forbids to process the peer's: section 7.1.7. */
static bool answer_is_forbidden(void)
{
    return outcomes[m.close_outcome].code == PROTOCOL_ERROR ||
           outcomes[m.close_outcome].code == INVALID_PAYLOAD;
}

/* Tells whether the program has sent a Close that the peer must answer. */
static bool awaits_close(void)
{
    return w.setting.switches & SOCKETS && m.close_outcome != NEED_MORE && !is_withheld() &&
           !(m.close_outcome == m.verdict && m.ended_by_close);
}

/*
 * Checks that the program may read on after its own Close: the peer's has not arrived yet, and may be
 * processed.  After NO_MEMORY nothing is skipped, since the model does not know where in the input that
 * happened.
 */
static void check_wait_for_close(void)
{
    if (w.goodbye_at == NEVER)
        w.goodbye_at = w.time;
    HOLDS(awaits_close());
    m.skipping = !answer_is_forbidden() && m.close_outcome != NO_MEMORY;
    if (m.skipping)
        skip(w.sent);
    HOLDS(!m.skipping_ended);
}

/* Checks the end of the output: after our Close the peer's must have arrived, or its time must be over. */
static void check_end_of_output(void)
{
    check_answer();
    if (m.status != 101 || w.lost || w.write_unfinished || w.failure != NEED_MORE)
        return;
    if (w.goodbye_at == NEVER) {
        feed(w.sent);
        check_frames();
        m.skipping = awaits_close() && !answer_is_forbidden();
    }
    if (!awaits_close() || w.peer_gone || w.local_fault || m.close_outcome == NO_MEMORY)
        return;
    if (m.skipping)
        skip(w.sent);
    if (m.skipping_ended)
        return;
    HOLDS(w.goodbye_at != NEVER); /* the program has waited for the Close */
    HOLDS((answer_is_forbidden() && w.time >= w.last_read + CLOSING_QUIET) ||
          w.time + w.lost_time + SLACK >= w.goodbye_at + CLOSING_TIME);
}

/* Checks, before the program reads, that it has waited for the latency and the stall. */
static void check_waits(void)
{
    bool replied = false;
    for (size_t i = 0; i < m.reply_count; i++)
        replied = replied || replies[i].opcode != PONG;
    if (w.terminated_at != NEVER || w.goodbye_at != NEVER || m.words.has_after)
        return;
    HOLDS(!replied || w.time >= w.last_read + m.words.latency);
    HOLDS(!m.triggered || w.time >= w.last_read + m.words.stall);
    m.triggered = false;
}

/* Checks that a write is no longer than the slice, and comes after a pause and the delay of the answer. */
static void check_write(size_t length)
{
    const struct words *words = words_of_request();
    int64_t since = w.time - w.write_called;
    bool was_suspended = w.lost_time > w.lost_at_write; /* or slept */
    w.write_called = w.time;
    w.lost_at_write = w.lost_time;
    if (w.terminated_at != NEVER)
        return;
    HOLDS(w.received > 0 || w.time >= w.last_read + words->delay);
    HOLDS(words->slice == 0 || w.pauses >= 1000 || words->slice >= length);
    HOLDS(words->slice == 0 || w.pauses >= 1000 || was_suspended || since >= SECOND / 100);
}

/* Checks the answer before the program reads more: everything that was sent must be answered. */
static void check_so_far(void)
{
    check_answer();
    HOLDS(w.received == 0 || m.status == 101);
    if (m.status != 101)
        return;
    if (w.goodbye_at == NEVER) {
        feed(w.sent);
        check_frames();
    }
    check_waits();
    if (m.close_outcome != NEED_MORE) {
        check_wait_for_close();
        return;
    }
    HOLDS((m.verdict == NEED_MORE || is_withheld()) && m.close_outcome == NEED_MORE &&
          w.failure == NEED_MORE && !w.refused);
    HOLDS(m.checked == w.received && m.replies_checked == m.reply_count);
    size_t unfinished = m.in_message ? m.end - m.begin : 0;
    memmove(expected, expected + m.begin, unfinished);
    m.begin = 0;
    m.end = unfinished;
    m.reply_count = m.replies_checked = 0;
}

/* Returns the number after a key in the record; 0: the key is missing. */
static uint64_t number_in(const char *record, const char *key)
{
    const char *found = strstr(record, key);
    return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

/* Copies a record without its quoted values, which the peer may have chosen. */
static void take_out_quoted(const char *record, char *into)
{
    for (bool quoted = false; *record; record++) {
        if (*record == '"')
            quoted = !quoted;
        else if (*record == '\\')
            record++;
        else if (!quoted)
            *into++ = *record;
    }
    HOLDS(record[-1] != '\\');
    *into = '\0';
}

/* Checks the record, and stores its outcome. */
static void check_record(const char *line)
{
    char record[PIPE_BUF + 1];
    take_out_quoted(line, record);
    char identity[OUTCOME_NAME_SIZE] = "";
    const char *name = strstr(record, " end_id=");
    HOLDS(name);
    name += strlen(" end_id=");
    for (size_t i = 0; name[i] != ' '; i++) {
        HOLDS(i < sizeof identity - 1 && (name[i] == '-' || (name[i] >= '0' && name[i] <= 'z')));
        identity[i] = name[i] == '-' ? '_' : name[i] >= 'a' ? (char)(name[i] - 0x20) : name[i];
    }
    for (enum outcome end = DONE + 1; end < OUTCOME_COUNT && w.end == NEED_MORE; end++)
        if (strcmp(identity, outcomes[end].identity) == 0)
            w.end = end;
    HOLDS(w.end != NEED_MORE && ++w.records == 1);
    HOLDS(number_in(record, " bytes_in=") == w.sent && number_in(record, " bytes_out=") == w.received);
    check_answer();
    HOLDS(m.status == (int)number_in(record, " status=") || w.lost || w.write_unfinished);
}

/* Checks an answer other than 101; `end` is the length of the request as far as it was parsed. */
static void check_refusal(const struct head *head, size_t end, enum outcome request)
{
    const uint8_t *line = sent + end - head->scanned + head->line_start;
    bool whole_line = head->lines > 0,
         begins = sent + w.sent_before_goodbye - line >= 5 && memcmp(line, "HEAD ", 5) == 0;
    bool without_content = whole_line ? slice_is(head->method, "HEAD") : begins;
    const char *length = find_in_head(m.checked, "Content-Length: ");
    HOLDS(find_in_head(m.checked, "\r\nDate: ") && find_in_head(m.checked, "close\r\n"));
    HOLDS((m.status == 204 || m.status == 304) == !length);
    without_content = without_content || m.status == 304;
    HOLDS(w.received - m.checked == (length && !without_content ? strtoul(length + 16, NULL, 10) : 0));
    if (request != NEED_MORE)
        HOLDS(m.status == (request == LAB ? m.words.status : outcomes[request].code));
    else
        HOLDS(m.status == (w.stream_ended ? 400 : 408));
}

/* Tells whether the program was allowed to give up a write. */
static bool may_be_given_up(void)
{
    int64_t since = w.write_began > w.blamed_since ? w.write_began : w.blamed_since;
    bool paced = m.words.slice > 0 || m.words.latency > 0; /* what it writes next is not known */
    return (w.write_unfinished || paced) &&
           ((options.timeout > 0 && w.time - since >= options.timeout) ||
            (w.terminated_at != NEVER && w.time - w.terminated_at >= STOP_TIME));
}

/* Tells whether the world or the peer has caused an outcome. */
static bool is_caused(enum outcome end, enum outcome request)
{
    switch (end) {
    case SILENCE:
    case CUT_OFF:
        return request == NEED_MORE &&
               (w.stream_ended || (end == SILENCE && w.time >= w.began + options.handshake_timeout));
    case HEAD_TIMEOUT: return request == NEED_MORE && w.time >= w.began + options.handshake_timeout;
    case STOPPED_IN_HEAD: return request == NEED_MORE && w.terminated_at != NEVER;
    case END_OF_INPUT: return m.status == 101 && m.verdict == NEED_MORE && w.stream_ended;
    case NOT_READ: return may_be_given_up() && (w.lingering || !(w.setting.switches & SOCKETS));
    case LINGER_FAILED: return w.lingering && w.local_fault;
    case CLOCK_FAILED: return (w.faults[TIMER_FAULT] > 0 || w.faults[SLEEP_FAULT] > 0) && w.local_fault;
    case CLOSED_BY_PEER: return is_withheld() || m.close_outcome == end || w.lost || w.write_unfinished;
    case LAB: return request == LAB || may_lab_end();
    case RESET:
    case NETWORK_LOST:
    case READ_FAILED:
    case WRITE_FAILED: return w.failure == end;
    default:
        return outcomes[end].code >= 1000 ? m.close_outcome == end || w.lost || w.write_unfinished
                                          : request == end;
    }
}

/* Checks the connection after the program has ended. */
static void check_end(void)
{
    static struct head head;
    size_t length = 0;
    enum outcome request = request_end(&head, &length);
    bool cut = w.lost || may_be_given_up();
    HOLDS(w.exit_status == (w.local_fault ? EX_OSERR : EXIT_SUCCESS));
    HOLDS(cut || !w.write_unfinished);
    check_answer();
    HOLDS(w.received == 0 || m.status > 0 || cut);
    if (m.status == 101) {
        HOLDS(request == DONE && (m.parsed > length || m.parsed == length));
        feed(w.sent_before_goodbye);
        check_frames();
        HOLDS(cut || m.checked == w.received);
        bool without_close = is_withheld() || (may_lab_end() && m.words.ending >= STREAM_END);
        HOLDS(cut || m.close_outcome != NEED_MORE || m.replies_checked == m.reply_count);
        HOLDS(cut || m.close_outcome != NEED_MORE || without_close ||
              (m.verdict == NEED_MORE && (w.stream_ended || w.failure != NEED_MORE)));
    } else if (m.status > 0 && !cut) {
        check_refusal(&head, length, request);
    } else if (!cut) {
        HOLDS(w.failure != NEED_MORE ||
              (request == NEED_MORE && (w.stream_ended || w.terminated_at != NEVER ||
                                        w.time >= w.began + options.handshake_timeout)));
    }
    HOLDS(w.end == NEED_MORE || is_caused(w.end, request));
    HOLDS(w.records == 1 || w.setting.switches & QUIET || outcomes[request].code == 200 ||
          outcomes[request].code == 204 || (m.status == 0 && head.scanned == 0));
}

/* ---- Start ------------------------------------------------------------------------------------------ */

static void choose_names(struct choices *choices, const char *const names[static 3])
{
    for (size_t i = 0; i < 3 && names[i]; i++)
        HOLDS(choices_add(choices, names[i], true));
}

/* Sets the options that an input chooses. */
static void begin_options(const struct setting *setting)
{
    static const uint64_t sizes[] = {65536, 1, 2, 125, 1000, 100000, 300000, 400000};
    static const char *const prefixes[] = {"server:%20", "", "%c3%a4", NULL};
    static const int64_t timeouts[] = {60 * SECOND, 0, 1 * SECOND, 3 * SECOND};
    static const int64_t intervals[] = {PING_INTERVAL_UNSET, 0, SECOND / 3, SECOND * 9 / 10};
    static const int64_t handshakes[] = {10 * SECOND, 1 * SECOND, SECOND / 2, 1};
    static const char *const paths[][3] = {{NULL}, {"any"}, {"/<&\"", "/socket"}, {"/"}};
    static const char *const origins[][3] = {
        {NULL}, {"null", "https://a.example"}, {"any"}, {"http://b.example"}};
    static const char *const subprotocols[][3] = {{NULL}, {"none"}, {"chat", "b"}, {"any"}};
    char complaint[COMPLAINT_SIZE], long_prefix[PREFIX_MAX + 1] = "";
    const char *prefix = prefixes[setting->sizes >> 3 & 3];
    options = (struct options){
        .max_message = sizes[setting->sizes & 7],
        .timeout = timeouts[setting->times & 3],
        .ping_interval = intervals[setting->times >> 2 & 3],
        .handshake_timeout = handshakes[setting->times >> 4 & 3],
        .proxy_protocol = setting->switches & PROXY,
        .no_page = setting->switches & NO_PAGE,
        .deflate = setting->switches & DEFLATE,
        .quiet = setting->switches & QUIET,
        .verbose = setting->switches & VERBOSE && !(setting->switches & QUIET),
    };
    if (setting->more_switches & WITH_LAB)
        HOLDS(choices_add(&options.labs, "/lab", false));
    choose_names(&options.paths, paths[setting->names & 3]);
    choose_names(&options.origins, origins[setting->names >> 2 & 3]);
    choose_names(&options.subprotocols, subprotocols[setting->names >> 4 & 3]);
    memset(long_prefix, 'p', PREFIX_MAX);
    HOLDS(parse_prefix(prefix ? prefix : long_prefix, &options.prefix));
    HOLDS(complete_options(&options, complaint));
}

/* Resets the world and the connection in it. */
static void begin_world(const uint8_t *input, size_t length, size_t beginning)
{
    static const enum channel channels[] = {STANDARD_ERROR, JOURNAL, SYSLOG, STANDARD_ERROR};
    struct connection *c = &connection;
    size_t steps;
    memset(&w.setting, 0, sizeof w - offsetof(struct world, setting));
    memset(&m, 0, sizeof m);
    memset(pool_sizes, 0, sizeof pool_sizes);
    memcpy(&w.setting, input, sizeof w.setting);
    steps = w.setting.step_count;
    if (steps > length - sizeof w.setting)
        steps = length - sizeof w.setting;
    w.steps = input + length - steps;
    w.steps_left = steps;
    w.bytes = input + sizeof w.setting;
    w.beginning_left = beginning;
    w.bytes_left = length - sizeof w.setting - steps;
    w.time = w.began = w.last_activity = 1000 * SECOND;
    w.expiry = w.write_began = w.terminated_at = w.goodbye_at = w.shut_at = w.write_deadline = NEVER;
    begin_options(&w.setting);

    memset(c, 0, offsetof(struct connection, stream.input));
    memset(&c->codec, 0, sizeof *c - offsetof(struct connection, codec));
    c->options = &options;
    stopping = expired = timer_bounds_log = 0;
    armed_for = NEVER;
    c->log.channel = channels[w.setting.more_switches & CHANNEL];
    c->log.verbose = options.verbose;
    c->log.under_systemd = w.setting.more_switches & UNDER_SYSTEMD;
    c->log.journal_sendv = world_journal;
    c->log.notify = world_notify;
    c->stream.sockets = w.setting.switches & SOCKETS;
    c->stream.tcp = c->stream.sockets && w.setting.more_switches & TCP;
    c->sandboxed = w.setting.more_switches & SANDBOXED;
    c->stream.input_flags = c->stream.output_flags = O_RDWR;
    c->peer = w.setting.more_switches & VERSION_4 ? (struct address){"192.0.2.1", "7"}
                                                  : (struct address){"2001:db8::1", ""};
}

static void fuzz_connection(const uint8_t *input, size_t length)
{
    static uint8_t completed[INPUT_SIZE];
    if (length < sizeof(struct setting) || length > sizeof completed - 1024)
        return;
    const struct setting *setting = (const struct setting *)input;
    const char *beginning = beginnings[setting->beginning % COUNT_OF(beginnings)];
    const uint8_t *bytes = input + sizeof *setting, *end = input + length, *frames = bytes;
    uint8_t *next = mempcpy(completed, input, sizeof *setting);
    if (setting->more_switches & WITH_LAB && *beginning) { /* the words are put into the request */
        const uint8_t *space = memchr(bytes, ' ', (size_t)(end - bytes));
        frames = space ? space + 1 : end;
        next = mempcpy(next, LAB_TARGET, strlen(LAB_TARGET));
        next = mempcpy(next, bytes, (size_t)((space ? space : end) - bytes));
        beginning += strlen(SOCKET_TARGET);
    }
    next = mempcpy(next, beginning, strlen(beginning));
    size_t beginning_length = (size_t)(next - completed) - sizeof *setting;
    next = mempcpy(next, frames, (size_t)(end - frames));
    length = (size_t)(next - completed);
    if (!peer_inflater.state)
        HOLDS(inflateInit2(&peer_inflater, -15) == Z_OK && inflateInit2(&model_inflater, -15) == Z_OK);
    begin_world(completed, length, beginning_length);
    int over = setjmp(w.over);
    if (over == 0)
        serve(&connection);
    if (over == EXITED)
        check_end();
    for (unsigned i = 0; i < w.maps; i++)
        ASAN_UNPOISON_MEMORY_REGION(pools[i], POOL_SIZE);
    ASAN_UNPOISON_MEMORY_REGION(connection.stream.input, INPUT_SIZE);
}

TARGETS({"connection", fuzz_connection})

#ifdef __clang__
#pragma clang attribute pop
#endif
