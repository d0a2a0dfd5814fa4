/*
 * start - what comes before the first byte: descriptors, command line, the peer's address, giving up root
 *
 * Whatever is wrong here ends the program, with a line in the log that says so: EX_USAGE for what whoever
 * started it can mend, EX_OSERR for what the system refused.
 */
#ifndef START_H
#define START_H

#include <stdbool.h>

#include "address.h"
#include "log.h"
#include "options.h"
#include "stream.h"

/*
 * Puts the connection on standard input and output and closes whatever else was inherited; sd_listen_fds(3).
 * Returns false if something else than one connection was passed in LISTEN_FDS.
 */
bool find_connection(void);

/*
 * Reads the command line and opens the log: the channel and --verbose are noted there, and --check reports on
 * standard error.  --help and --version end the program, and so does standard input that is a terminal;
 * --check is left to main.
 */
void read_command_line(struct log *log, int argc, char **argv, struct options *options);

/*
 * Makes the descriptors block and sets TCP_NODELAY.  Fills in what the stream has to know of them: their
 * flags, and whether they are sockets.  `listen_fds_valid` is what find_connection returned.
 */
void prepare_stream(struct log *log, struct stream *stream, bool listen_fds_valid);

/* Finds the peer's address: from the environment, or else from the kernel; "-" if it is unknown. */
void find_peer(struct address *peer);

/*
 * Becomes `name` for good if the program was started as root; it never serves as root.  If it was not, it
 * drops supplementary groups where the kernel permits it, which takes CAP_SETGID.
 */
void drop_root(struct log *log, const char *name);

#endif
