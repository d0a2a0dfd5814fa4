/*
 * sandbox - gives up all that an echo does not need, before the first byte of the peer is read
 *
 * No new privileges, no core, no new process, and a filter of system calls, which is a constant array.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>

#include "log.h"

/*
 * Enters the sandbox; ends the program if that is refused.  Returns false if there is no filter of system
 * calls, because of the kernel or the architecture, which is logged for --check and --verbose.
 */
bool enter_sandbox(struct log *log, bool check);

#endif
