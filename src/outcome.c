/* SPDX-License-Identifier: MIT */
/* outcome - see outcome.h */
#include <stdio.h>
#include <string.h>

#include "outcome.h"

#define OUTCOME_ROW(identity, code, fault, sentence) {#identity, code, fault, sentence},

const struct outcome_row outcomes[OUTCOME_COUNT] = {
    {"NEED_MORE", 0, ORDINARY, ""}, {"DONE", 0, ORDINARY, ""}, OUTCOMES(OUTCOME_ROW)};

void name_outcome(enum outcome outcome, char name[static OUTCOME_NAME_SIZE])
{
    for (const char *from = outcomes[outcome].identity; *from; from++)
        *name++ = *from == '_' ? '-' : *from | 0x20;
    *name = '\0';
}

void make_sentence(enum outcome outcome, const char *filling, char sentence[static SENTENCE_SIZE])
{
    const char *template = outcomes[outcome].sentence, *place = strstr(template, "%s");
    if (place)
        snprintf(sentence, SENTENCE_SIZE, "%.*s%s%s", (int)(place - template), template, filling,
                 place + strlen("%s"));
    else
        snprintf(sentence, SENTENCE_SIZE, "%s", template);
}
