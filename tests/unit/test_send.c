/* Tests of send.c */
#include "../../src/send.c"
#include "check.h"

/* To change one of these is to change what the manual promises, how much memory is used, or the speed. */
TEST(each_limit_has_its_value)
{
    static const struct {
        const char *name;
        long long due, value;
    } rows[] = {
#define LIMIT(name, due) {#name, due, name}
        LIMIT(COPY_REPLY_MAX, 64 << 10),
        LIMIT(SHORT_COPY_MAX, 256),
#undef LIMIT
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_NUMBER(rows[i].due, rows[i].value, "%s", rows[i].name);
}
