/* SPDX-License-Identifier: MIT */
/* utf8 - see utf8.h */
#include "utf8.h"

/*
 * The other states of the validator, which is a shift-based DFA: a state is an offset in bits, and the low 6
 * bits of utf8_steps[byte] >> state are the next state.  Transitions that are not listed are 0, which is
 * UTF8_WRONG; all transitions from there lead to UTF8_WRONG.  UTF8_TAIL_n: n continuation bytes are missing.
 */
enum utf8_state {
    UTF8_TAIL_1 = 12,
    UTF8_TAIL_2 = 18,
    UTF8_TAIL_3 = 24,
    UTF8_AFTER_E0 = 30,
    UTF8_AFTER_ED = 36,
    UTF8_AFTER_F0 = 42,
    UTF8_AFTER_F4 = 48,
};

#define STEP(from, to) ((uint64_t)(to) << (from))
#define ANY_TAIL                                                                                             \
    STEP(UTF8_TAIL_1, UTF8_WHOLE) | STEP(UTF8_TAIL_2, UTF8_TAIL_1) | STEP(UTF8_TAIL_3, UTF8_TAIL_2)

/* The grammar of RFC 3629 section 4, a row for each range of bytes that it distinguishes. */
static const uint64_t utf8_steps[256] = {
    [0x00 ... 0x7f] = STEP(UTF8_WHOLE, UTF8_WHOLE),
    [0x80 ... 0x8f] = ANY_TAIL | STEP(UTF8_AFTER_ED, UTF8_TAIL_1) | STEP(UTF8_AFTER_F4, UTF8_TAIL_2),
    [0x90 ... 0x9f] = ANY_TAIL | STEP(UTF8_AFTER_ED, UTF8_TAIL_1) | STEP(UTF8_AFTER_F0, UTF8_TAIL_2),
    [0xa0 ... 0xbf] = ANY_TAIL | STEP(UTF8_AFTER_E0, UTF8_TAIL_1) | STEP(UTF8_AFTER_F0, UTF8_TAIL_2),
    [0xc2 ... 0xdf] = STEP(UTF8_WHOLE, UTF8_TAIL_1),
    [0xe0] = STEP(UTF8_WHOLE, UTF8_AFTER_E0),
    [0xe1 ... 0xec] = STEP(UTF8_WHOLE, UTF8_TAIL_2),
    [0xed] = STEP(UTF8_WHOLE, UTF8_AFTER_ED),
    [0xee ... 0xef] = STEP(UTF8_WHOLE, UTF8_TAIL_2),
    [0xf0] = STEP(UTF8_WHOLE, UTF8_AFTER_F0),
    [0xf1 ... 0xf3] = STEP(UTF8_WHOLE, UTF8_TAIL_3),
    [0xf4] = STEP(UTF8_WHOLE, UTF8_AFTER_F4),
};

/* Each step is one load and one shift, without a branch. */
uint8_t utf8_state_after(uint8_t state, const uint8_t *bytes, size_t length)
{
    uint64_t step = state;
#pragma GCC unroll 8
    for (size_t i = 0; i < length; i++)
        step = utf8_steps[bytes[i]] >> (step & 63);
    return step & 63;
}

bool is_utf8(const uint8_t *bytes, size_t length)
{
    return utf8_state_after(UTF8_WHOLE, bytes, length) == UTF8_WHOLE;
}
