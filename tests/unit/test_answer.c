/* SPDX-License-Identifier: MIT */
/* Tests of answer.c */
#include "../../src/answer.c"
#include "check.h"

TEST(what_a_sentence_leaves_open_is_filled_in)
{
    static const struct options any = {.paths = {.any = true}},
                                no_page = {.paths = {.any = true}, .no_page = true},
                                two = {.paths = {.count = 2, .names = {"/a", "/%s"}}},
                                other = {.paths = {.count = 2, .names = {"/%s%n%", "/b"}}};
    static const struct {
        enum outcome outcome;
        const struct options *options;
        const char *sentence, *what;
    } rows[] = {
        {SOCKET_ELSEWHERE, &two, "There is no WebSocket at this path; connect to /a instead.", "two paths"},
        {PATH_TOLD, &any, "Connect a WebSocket to /.", "any path"},
        {SOCKET_ELSEWHERE, &other, "There is no WebSocket at this path; connect to /%s%n% instead.",
         "a percent sign in a path"},
        {UPGRADE_REQUIRED, &two,
         "This is a WebSocket; send Upgrade: websocket over HTTP/1.1, or open the test page at / in a "
         "browser.",
         "with the page"},
        {UPGRADE_REQUIRED, &no_page, "This is a WebSocket; send Upgrade: websocket over HTTP/1.1.",
         "without the page"},
        {TARGET_FRAGMENT, &two, "The request target contains #; leave the fragment out, or write # as %23.",
         "a percent sign in a sentence"},
        {IDLE, &two, "nothing received in time", "nothing is left open"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char sentence[SENTENCE_SIZE];
        describe_outcome(rows[i].outcome, rows[i].options, sentence);
        CHECK_STRING(rows[i].sentence, sentence, "%s", rows[i].what);
    }
    CHECK_STRING(outcomes[TARGET_FRAGMENT].sentence, rows[5].sentence, "as in the table");
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(PAGE_HEAD_MAX, 4096);
}
