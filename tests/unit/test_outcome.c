/* SPDX-License-Identifier: MIT */
/* Tests of outcome.c */
#include <zlib.h>

#include "../../src/outcome.c"
#include "check.h"

/* Adds a string, with the byte that ends it, to a checksum. */
static unsigned long with_text(unsigned long sum, const char *text)
{
    return crc32(sum, (const unsigned char *)text, (unsigned)strlen(text) + 1);
}

/*
 * Peers and readers of the log rely on identities, codes and sentences.  If you change one on purpose, name
 * it in CHANGELOG.md, and put the sum here that the failing test prints.
 */
TEST(no_identity_code_or_sentence_changes_unnoticed)
{
    unsigned long sum = 0;
    for (enum outcome end = 0; end < OUTCOME_COUNT; end++) {
        char code[12];
        snprintf(code, sizeof code, "%d", outcomes[end].code);
        sum = with_text(with_text(with_text(sum, outcomes[end].identity), code), outcomes[end].sentence);
    }
    CHECK_NUMBER(4276576836, sum, "the checksum of the table of outcomes");
}

TEST(five_ends_are_local_faults)
{
    for (enum outcome end = 0; end < OUTCOME_COUNT; end++)
        CHECK_NUMBER(end == NO_MEMORY || end == READ_FAILED || end == WRITE_FAILED || end == CLOCK_FAILED ||
                         end == LINGER_FAILED,
                     outcomes[end].local_fault, "%s", outcomes[end].identity);
}

TEST(an_end_has_the_name_of_its_identity_in_lower_case_with_hyphens)
{
    char name[OUTCOME_NAME_SIZE];
    name_outcome(END_OF_INPUT, name);
    CHECK_STRING("end-of-input", name, "END_OF_INPUT");
    name_outcome(VERSION_NOT_13, name);
    CHECK_STRING("version-not-13", name, "VERSION_NOT_13");
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(REQUEST_LINE_MAX, 16384);
    CHECK_LIMIT(HEAD_MAX, 32768);
    CHECK_LIMIT(SERVED_PATH_MAX, 4095);
    CHECK_LIMIT(CONTENT_DIGITS_MAX, 18);
    CHECK_LIMIT(FIELDS_MAX, 100);
    CHECK_LIMIT(SUBPROTOCOLS_MAX, 64);
    CHECK_LIMIT(OUTCOME_NAME_SIZE, 32);
    CHECK_LIMIT(SENTENCE_TEMPLATE_SIZE, 128);
    CHECK_LIMIT(SENTENCE_SIZE, 4223);
}
