/* SPDX-License-Identifier: MIT */
/* Tests of extension.c */
#include "../../src/extension.c"
#include "check.h"

#define DEFLATE "permessage-deflate"
#define MALFORMED NULL /* is answered so */

/* What a field with this value is answered with; "": with no extension. */
static const struct {
    const char *value, *answer;
} offers[] = {
    {DEFLATE, DEFLATE},
    {" \t" DEFLATE "\t ", DEFLATE},
    {"," DEFLATE " ,,", DEFLATE},
    {DEFLATE "; client_max_window_bits", DEFLATE},
    {DEFLATE ";client_max_window_bits=8", DEFLATE "; client_max_window_bits=8"},
    {DEFLATE "\t;\tclient_max_window_bits = 9", DEFLATE "; client_max_window_bits=9"},
    {DEFLATE "; client_max_window_bits=15", DEFLATE "; client_max_window_bits=15"},
    {DEFLATE "; server_max_window_bits=9", DEFLATE "; server_max_window_bits=9"},
    {DEFLATE "; server_max_window_bits=15", DEFLATE "; server_max_window_bits=15"},
    {DEFLATE "; server_max_window_bits=\"10\"", DEFLATE "; server_max_window_bits=10"},
    {DEFLATE "; server_max_window_bits=\"\\1\\0\"", DEFLATE "; server_max_window_bits=10"},
    {DEFLATE "; server_no_context_takeover", DEFLATE "; server_no_context_takeover"},
    {DEFLATE "; client_no_context_takeover", DEFLATE "; client_no_context_takeover"},
    {DEFLATE "; client_max_window_bits=12; server_max_window_bits=11; client_no_context_takeover"
             "; server_no_context_takeover",
     DEFLATE "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11"
             "; client_max_window_bits=12"},
    /* The first acceptable one of several. */
    {DEFLATE "; server_no_context_takeover, " DEFLATE, DEFLATE "; server_no_context_takeover"},
    {DEFLATE "; server_max_window_bits=8, " DEFLATE "; server_max_window_bits=9",
     DEFLATE "; server_max_window_bits=9"},
    {DEFLATE "; x, " DEFLATE "; client_max_window_bits=16, " DEFLATE, DEFLATE},
    {"x-webkit-deflate-frame; no_context_takeover; a=\"b\", " DEFLATE, DEFLATE},
    /* Declined. */
    {DEFLATE "; server_max_window_bits", ""},
    {DEFLATE "; server_max_window_bits=8", ""},
    {DEFLATE "; server_max_window_bits=7", ""},
    {DEFLATE "; server_max_window_bits=16", ""},
    {DEFLATE "; server_max_window_bits=0", ""},
    {DEFLATE "; server_max_window_bits=1", ""},
    {DEFLATE "; server_max_window_bits=010", ""},
    {DEFLATE "; server_max_window_bits=09", ""},
    {DEFLATE "; server_max_window_bits=10x", ""},
    {DEFLATE "; server_max_window_bits=+9", ""},
    {DEFLATE "; server_max_window_bits=-9", ""},
    {DEFLATE "; server_max_window_bits=9.0", ""},
    {DEFLATE "; server_max_window_bits=100", ""},
    {DEFLATE "; server_max_window_bits=265", ""},
    {DEFLATE "; server_max_window_bits=4294967305", ""},
    {DEFLATE "; client_max_window_bits=7", ""},
    {DEFLATE "; client_max_window_bits=16", ""},
    {DEFLATE "; client_max_window_bits=1", ""},
    {DEFLATE "; client_max_window_bits=0", ""},
    {DEFLATE "; client_max_window_bits=08", ""},
    {DEFLATE "; server_no_context_takeover=1", ""},
    {DEFLATE "; server_no_context_takeover=true", ""},
    {DEFLATE "; client_no_context_takeover=16", ""},
    {DEFLATE "; client_no_context_takeover=\"15\"", ""},
    {DEFLATE "; server_no_context_takeover; server_no_context_takeover", ""},
    {DEFLATE "; client_no_context_takeover; client_no_context_takeover", ""},
    {DEFLATE "; client_max_window_bits; client_max_window_bits", ""},
    {DEFLATE "; client_max_window_bits; client_max_window_bits=10", ""},
    {DEFLATE "; server_max_window_bits=10; server_max_window_bits=10", ""},
    {DEFLATE "; unknown", ""},
    {DEFLATE "; Server_No_Context_Takeover", ""},
    {DEFLATE "; server_max_window_bits=10; unknown=\"x\"", ""},
    {"Permessage-Deflate", ""},
    {DEFLATE "d", ""},
    {"permessage-bzip2; x=\"y\\z\"", ""},
    {"x", ""},
    /* Nothing is offered. */
    {"", ""},
    {" \t ", ""},
    {" , ,", ""},
    /* Malformed, also after an acceptable offer. */
    {";", MALFORMED},
    {", ;", MALFORMED},
    {DEFLATE ";", MALFORMED},
    {DEFLATE "; ;client_max_window_bits", MALFORMED},
    {DEFLATE "; client_max_window_bits=", MALFORMED},
    {DEFLATE "; =10", MALFORMED},
    {DEFLATE "; a b", MALFORMED},
    {DEFLATE "; a=b c", MALFORMED},
    {DEFLATE "; a=b=c", MALFORMED},
    {DEFLATE " client_max_window_bits", MALFORMED},
    {DEFLATE "=1", MALFORMED},
    {"permessage deflate", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"10", MALFORMED},
    {DEFLATE "; server_max_window_bits=10\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\" 10\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"10\"x", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"1\"\"0\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"10\\\"", MALFORMED},
    {DEFLATE "; server_max_window_bits=\"\\\\10\"", MALFORMED},
    {DEFLATE "; server_max_window_bits='10'; \xe4", MALFORMED},
    {DEFLATE "; \"client_max_window_bits\"", MALFORMED},
    {DEFLATE "; a=\"b,c\"", MALFORMED},
    {DEFLATE "; a=\"b;c\"", MALFORMED},
    {DEFLATE ", \"", MALFORMED},
    {DEFLATE ", x;", MALFORMED},
    {"x; a=(b)", MALFORMED},
};

/* Returns what a head with only these fields is answered with, or MALFORMED. */
static const char *negotiate(const char *const *values, size_t count, bool wanted)
{
    static char answer[EXTENSION_SIZE];
    struct head head = {.field_count = count};
    struct compression chosen;
    for (size_t i = 0; i < count; i++)
        head.fields[i] =
            (struct field){SLICE_OF("sec-websocket-extensions"), slice_trimmed(SLICE_OF(values[i]))};
    if (choose_compression(&head, wanted, &chosen) != DONE)
        return MALFORMED;
    memset(answer, 0xee, sizeof answer);
    describe_compression(&chosen, answer);
    return answer;
}

static void check_answer(const char *expected, const char *received, const char *value)
{
    if (expected && received)
        CHECK_STRING(expected, received, "%s", value);
    else
        CHECK(expected == received, "%s: %s", value, received ? received : "malformed");
}

TEST(an_offer_of_compression_is_answered_as_the_table_says)
{
    check_answer("", negotiate(NULL, 0, true), "no field");
    for (size_t i = 0; i < COUNT_OF(offers); i++)
        check_answer(offers[i].answer, negotiate(&offers[i].value, 1, true), offers[i].value);
}

TEST(without_the_option_an_offer_is_declined_and_malformed_all_the_same)
{
    for (size_t i = 0; i < COUNT_OF(offers); i++)
        check_answer(offers[i].answer ? "" : MALFORMED, negotiate(&offers[i].value, 1, false),
                     offers[i].value);
}

TEST(several_fields_of_offers_are_one_list)
{
    for (size_t i = 0; i < COUNT_OF(offers); i++)
        for (size_t j = 0; j < COUNT_OF(offers); j++) {
            const char *values[] = {offers[i].value, offers[j].value};
            bool malformed = !offers[i].answer || !offers[j].answer;
            const char *first = offers[i].answer ? offers[i].answer : "";
            const char *other = offers[j].answer ? offers[j].answer : "";
            check_answer(malformed ? MALFORMED
                         : *first  ? first
                                   : other,
                         negotiate(values, 2, true), about("%s, and %s", values[0], values[1]));
        }
}

TEST(a_number_of_window_bits_has_no_leading_zero_and_two_digits_at_most)
{
    char string[4];
    for (int length = 0; length <= 3; length++)
        for (int number = 0; number < 13 * 13 * 13; number++) {
            static const char bytes[] = "/0123456789:a";
            int digits[] = {number % 13, number / 13 % 13, number / 169}, due = 0;
            bool right = length > 0 && length < 3;
            for (int i = 0; i < length; i++) {
                string[i] = bytes[digits[i]];
                right = right && digits[i] >= (i ? 1 : 2) && digits[i] <= 10;
                due = 10 * due + digits[i] - 1;
            }
            CHECK_NUMBER(right ? due : 0, parse_window_bits((struct slice){string, (size_t)length}), "%.*s",
                         length, string);
        }
    CHECK_NUMBER(15, parse_window_bits((struct slice){"\\1\\5", 4}), "escaped");
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(EXTENSION_SIZE, 160);
    CHECK_LIMIT(WINDOW_BITS_MAX, 15);
}
