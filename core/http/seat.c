/* SPDX-License-Identifier: Apache-2.0 */
#include "http/seat.h"

#include "base/mem.h"
#include "http/conn.h"
#include "http/server.h"

bool ct_seat_is_full(const ct_server *s) {
    return (s->scarce && !ct_mem_refill()) ||
           ct_peers_total(&s->peers) >= s->options.max_connections;
}

void ct_seat_open(ct_conn *c) {
    c->server->conn_count++;
    ct_peers_enter(&c->server->peers);
}

void ct_seat_close(ct_conn *c) {
    c->server->conn_count--;
    ct_peers_leave(&c->server->peers);
    if (c->counted) ct_peers_remove(&c->server->peers, &c->peer);
    c->counted = false;
}

void ct_seat_move(ct_seat *to, ct_conn *c) {
    *to = (ct_seat){ c->server, c->peer, c->counted };
    c->counted = false;
    ct_peers_enter(&c->server->peers);
}

void ct_seat_leave(ct_seat *seat) {
    ct_server *s = seat->server;

    if (!s) return;
    ct_peers_leave(&s->peers);
    if (seat->counted) ct_peers_remove(&s->peers, &seat->peer);
    *seat = (ct_seat){ 0 };
}
