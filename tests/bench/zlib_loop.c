/* SPDX-License-Identifier: MIT */
/*
 * zlib_loop - measures compression alone: zlib_loop PREFIX <MESSAGES
 *
 * Inflates each message and deflates it again with the prefix in front, at level 6 and memory level 8, like
 * the compared servers, but in one process, without a network, without frames and without checking the bytes.
 * On standard input, each message follows its length in four bytes of native byte order. Prints the
 * processor time per message in nanoseconds.
 */
#define _GNU_SOURCE
#define ZLIB_CONST
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { MESSAGE_MAX = 32 << 20, INPUT_MAX = 256 << 20 };

static unsigned char input[INPUT_MAX], inflated[MESSAGE_MAX], deflated[MESSAGE_MAX];

/* Ends the program unless a condition holds. */
static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "zlib_loop: %s\n", what);
        exit(1);
    }
}

/* Inflates a message, then the four removed bytes. Returns the inflated length. */
static size_t inflate_message(z_stream *stream, const unsigned char *bytes, size_t length)
{
    static const unsigned char tail[] = {0x00, 0x00, 0xff, 0xff};
    stream->next_out = inflated;
    stream->avail_out = sizeof inflated;
    stream->next_in = bytes;
    stream->avail_in = (unsigned)length;
    must(inflate(stream, Z_SYNC_FLUSH) == Z_OK && stream->avail_in == 0, "not DEFLATE");
    stream->next_in = tail;
    stream->avail_in = sizeof tail;
    must(inflate(stream, Z_SYNC_FLUSH) == Z_OK && stream->avail_in == 0, "cut off");
    return (size_t)(stream->next_out - inflated);
}

static void deflate_message(z_stream *stream, const char *prefix, size_t length)
{
    stream->next_out = deflated;
    stream->avail_out = sizeof deflated;
    stream->next_in = (const unsigned char *)prefix;
    stream->avail_in = (unsigned)strlen(prefix);
    if (*prefix)
        must(deflate(stream, Z_NO_FLUSH) == Z_OK, "prefix");
    stream->next_in = inflated;
    stream->avail_in = (unsigned)length;
    must(deflate(stream, Z_SYNC_FLUSH) == Z_OK && stream->avail_out > 0, "too large");
}

static double processor_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv)
{
    z_stream inflater = {0}, deflater = {0};
    size_t size = fread(input, 1, sizeof input, stdin), at = 0, count = 0;
    must(argc == 2 && size < sizeof input, "zlib_loop PREFIX <MESSAGES");
    must(inflateInit2(&inflater, -15) == Z_OK, "inflateInit2");
    must(deflateInit2(&deflater, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK, "deflateInit2");
    memset(inflated, 1, sizeof inflated); /* touches all pages, so that no page fault is counted */
    memset(deflated, 1, sizeof deflated);
    double start = processor_time();
    for (uint32_t length; at < size; at += length, count++) {
        memcpy(&length, input + at, sizeof length);
        at += sizeof length;
        deflate_message(&deflater, argv[1], inflate_message(&inflater, input + at, length));
    }
    printf("%.0f\n", (processor_time() - start) / (double)count);
    return 0;
}
