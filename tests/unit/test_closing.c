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

/* To change one of these is to change what the manual promises, how much memory is used, or the speed. */
TEST(each_limit_has_its_value)
{
    static const struct {
        const char *name;
        long long due, value;
    } rows[] = {
#define LIMIT(name, due) {#name, due, name}
        LIMIT(CLOSING_MAX, 64 << 20),
        LIMIT(CLOSING_TIME, 2000000),
        LIMIT(CLOSING_QUIET, 100000),
#undef LIMIT
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_NUMBER(rows[i].due, rows[i].value, "%s", rows[i].name);
}
