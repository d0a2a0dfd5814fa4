/* SPDX-License-Identifier: MIT */
/*
 * start - what happens before the first byte is read: descriptors, command line, peer's address, giving up
 * root
 *
 * Any error here ends the program with a line in the log: status EX_USAGE if the person who started it can
 * correct it, EX_OSERR if the system refused something.
 */
#ifndef START_H
#define START_H

#include <stdbool.h>

#include "address.h"
#include "log.h"
#include "options.h"
#include "stream.h"

/*
 * Puts the connection on standard input and output, also if it was passed as LISTEN_FDS (sd_listen_fds(3)),
 * opens /dev/null as standard error if that is closed, and closes all other descriptors.  Returns false if
 * LISTEN_FDS is meant for this process and is neither 0 nor 1.
 */
bool find_connection(void);

/*
 * Parses the command line into `options` and opens the log, on the channel that --log names.  With --check
 * the log is standard error.  Ends the program after --help and --version, for a wrong command line, and if
 * standard input is a terminal.
 */
void read_command_line(struct log *log, int argc, char **argv, struct options *options);

/*
 * Clears O_NONBLOCK, sets TCP_NODELAY, and sets stream->sockets and the descriptors' flags.
 * `listen_fds_valid` is what find_connection returned; false ends the program.
 */
void prepare_stream(struct log *log, struct stream *stream, bool listen_fds_valid);

/*
 * Finds the peer's address: from the environment variables that launchers set, or else from getpeername.  The
 * host is "-" if it is unknown.
 */
void find_peer(struct address *peer);

/*
 * Switches to user `name` permanently if the program was started as root; refuses a name that is root.  If it
 * was not started as root, drops supplementary groups, which works only with CAP_SETGID; without it (EPERM)
 * they stay.
 */
void drop_root(struct log *log, const char *name);

#endif
