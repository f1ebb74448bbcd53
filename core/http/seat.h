/* The place of a connection among those that are counted: it is kept when the
 * connection leaves HTTP (WebSockets, detached ones), so that limits hold for
 * them, too. Lifetime: connection. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_SEAT_H
#define CT_SEAT_H

#include "io/address.h"
#include <stdbool.h>

struct ct_conn;
struct ct_server;

/* All zero is none. */
typedef struct ct_seat {
    struct ct_server *server;
    ct_peer peer;
    bool counted; /* in server->peers, by its address */
} ct_seat;

/* Whether max_connections is reached, over all processes, or there is no memory. */
bool ct_seat_is_full(const struct ct_server *s);

/* A connection has come, or ends. */
void ct_seat_open(struct ct_conn *c);
void ct_seat_close(struct ct_conn *c);

/* The connection's stream goes to another owner, which has to give the seat back.
 * The connection itself is to be closed. */
void ct_seat_move(ct_seat *to, struct ct_conn *c);

/* Gives it back; fine when there is none. */
void ct_seat_leave(ct_seat *seat);

#endif
