/* SPDX-License-Identifier: MIT */
/* Tests of closing.c */
#include "../../src/closing.c"
#include "check.h"

TEST(our_close_has_to_be_answered_over_sockets_if_the_peers_has_not_come)
{
    static struct connection c;
    for (int row = 0; row < 8; row++) {
        c.stream.sockets = row & 1;
        c.close_sent = row & 2;
        c.close_received = row & 4;
        CHECK_NUMBER(row == 3, expects_close(&c), "row %d", row);
    }
}

TEST(each_limit_has_its_value)
{
    CHECK_LIMIT(CLOSING_MAX, 64 << 20);
    CHECK_LIMIT(CLOSING_TIME, 2000000);
    CHECK_LIMIT(CLOSING_QUIET, 100000);
}
