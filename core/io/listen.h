/* Listening sockets. Accepts in bursts of at most 128, close-on-exec and
 * non-blocking, TCP_NODELAY set. When descriptors or memory run out it pauses
 * for a while instead of spinning, and logs that once a second at most. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_LISTEN_H
#define CT_LISTEN_H

#include "base/buf.h"
#include "io/address.h"
#include "io/loop.h"

typedef struct ct_listen ct_listen;

/* Called for each new peer. Takes `fd`. */
typedef void ct_peer_fn(int fd, const ct_address *peer, void *arg);

/* Opens and watches a listening socket. A stale unix socket file (nobody
 * answers) is replaced; mode 0600. On failure returns NULL and writes the reason
 * ("127.0.0.1:80: Permission denied: ...") to `why` (`size` bytes, a string).
 * While loop->staging is set, a socket of the same address that is open already
 * is shared, and nothing is accepted before ct_listen_commit(): of several with
 * port 0, each has that of its place, in the order in which they were opened.
 * Borrows `loop`.
 * Caller frees with ct_listen_free(). */
ct_listen *ct_listen_new(ct_loop *loop, const ct_address *at, int backlog,
                         ct_peer_fn *fn, void *arg, char *why, size_t size);

/* Takes a socket that waits for whoever asks for that address, the one that came
 * first: the caller owns it; -1 for none. *borrowed, unless NULL, becomes what was
 * told to ct_listen_inherit(). */
int ct_listen_claim(ct_loop *loop, const ct_address *asked, bool *borrowed);

/* How many wait for whoever asks for that address. */
unsigned ct_listen_unclaimed(const ct_loop *loop, const ct_address *asked);

/* It belongs to no generation: ct_listen_commit() leaves it alone. */
void ct_listen_keep(ct_listen *l);

/* Takes a listening socket that this process was started with, for whoever will
 * ask for `asked`; with several of one address, that listener has all of them.
 * `borrowed`: a unix socket's file is another process's until ct_listen_own().
 * False, and closed, when it is none. */
bool ct_listen_inherit(ct_loop *loop, int fd, const ct_address *asked,
                       bool borrowed);

/* Appends a line for each open socket, for ct_inherit_leave(): "DESCRIPTOR
 * ADDRESS", with a "+" behind the number where a file goes with it. */
void ct_listen_list(const ct_loop *loop, ct_buf *out);

/* From here on the files of borrowed unix sockets are this process's. */
void ct_listen_own(ct_loop *loop);

/* Another process accepts from here on: all sockets are closed, and their files are
 * its. It has those that were inherited, and (`all`) those that were opened here; of
 * what it has not, those that wait in the queue are accepted first. */
void ct_listen_leave(ct_loop *loop, bool all);

/* True when both were asked for with the same address, and have the same port. */
bool ct_listen_is_same(const ct_listen *a, const ct_listen *b);

/* What was opened while loop->staging was set begins to accept, and what was open
 * before, when there is a `later` one, stops; sockets that nobody asked for are
 * closed. */
void ct_listen_commit(ct_loop *loop, bool later);

/* Accepts all that waits, on every socket, for those that are about to be closed. */
void ct_listen_empty(ct_loop *loop);

/* Of several sockets of one address only the first stays: what waits on the others is
 * accepted, and they are closed. */
void ct_listen_trim(ct_loop *loop);

/* The address bound, with the port that the kernel chose for port 0. Borrows. */
const ct_address *ct_listen_address(const ct_listen *l);

/* Lets peers wait in the kernel's queue until it is called with false. */
void ct_listen_hold(ct_listen *l, bool hold);

/* Closes the socket and removes a unix socket's file; NULL is fine. */
void ct_listen_free(ct_listen *l);

#endif
