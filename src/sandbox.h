/* SPDX-License-Identifier: MIT */
/*
 * sandbox - gives up every privilege that an echo does not need, before the first byte of the peer is read
 *
 * No new privileges, no core dump, no new process, and a seccomp filter, which is a constant array.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>

#include "log.h"

/*
 * Enters the sandbox for good; ends the program if the kernel refuses.  Returns false if only the seccomp
 * filter is missing, because the kernel has no seccomp or there is no filter for this architecture; with
 * --check and --verbose that is logged.
 */
bool enter_sandbox(struct log *log, bool check);

#endif
