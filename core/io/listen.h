/* Listening sockets. Accepts in bursts of at most 128, close-on-exec and
 * non-blocking, TCP_NODELAY set. When descriptors or memory run out it pauses
 * for a while instead of spinning, and logs that once a second at most. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_LISTEN_H
#define CT_LISTEN_H

#include "io/address.h"
#include "io/loop.h"

typedef struct ct_listen ct_listen;

/* Called for each new peer. Takes `fd`. */
typedef void ct_peer_fn(int fd, const ct_address *peer, void *arg);

/* Opens and watches a listening socket. A stale unix socket file (nobody
 * answers) is replaced; mode 0600. On failure returns NULL and writes the reason
 * ("127.0.0.1:80: Permission denied: ...") to `why` (`size` bytes, a string).
 * While loop->staging is set, a socket of the same address that is open already
 * is shared, and nothing is accepted before ct_listen_commit(). Borrows `loop`.
 * Caller frees with ct_listen_free(). */
ct_listen *ct_listen_new(ct_loop *loop, const ct_address *at, int backlog,
                         ct_peer_fn *fn, void *arg, char *why, size_t size);

/* A copy of the socket that waits for whoever asks for that address; -1 for none. */
int ct_listen_inherited(const ct_loop *loop, const ct_address *asked);

/* It belongs to no generation: ct_listen_commit() leaves it alone. */
void ct_listen_keep(ct_listen *l);

/* Only the socket, bound (to what *at becomes) and listening: a descriptor that
 * the caller owns, or -1 and a reason in `why`. */
int ct_listen_socket(ct_address *at, int backlog, char *why, size_t size);

/* Of the sockets that share the address of this one, new connections come to the
 * first `n` alone, in the order in which they were opened. */
void ct_listen_spread(int fd, unsigned n);

/* Takes a listening socket that this process was started with, for whoever will
 * ask for `asked`. False, and closed, when it is none. */
bool ct_listen_inherit(ct_loop *loop, int fd, const ct_address *asked);

/* True when both were asked for with the same address. */
bool ct_listen_is_same(const ct_listen *a, const ct_listen *b);

/* What was opened while loop->staging was set begins to accept, and what was open
 * before, when there is a `later` one, stops; sockets that nobody asked for are
 * closed. */
void ct_listen_commit(ct_loop *loop, bool later);

/* Accepts all that waits, on every socket, for those that are about to be closed. */
void ct_listen_empty(ct_loop *loop);

/* The address bound, with the port that the kernel chose for port 0. Borrows. */
const ct_address *ct_listen_address(const ct_listen *l);

/* Lets peers wait in the kernel's queue until it is called with false. */
void ct_listen_hold(ct_listen *l, bool hold);

/* Closes the socket and removes a unix socket's file; NULL is fine. */
void ct_listen_free(ct_listen *l);

#endif
