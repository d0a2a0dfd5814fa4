/* SPDX-License-Identifier: MIT */
/* Tests of send.c */
#include "../../src/send.c"
#include "check.h"

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(COPY_REPLY_MAX, 64 << 10);
    CHECK_LIMIT(SHORT_COPY_MAX, 256);
}
