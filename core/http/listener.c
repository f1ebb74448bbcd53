/* Connections hold their listener by a count, so that their limits stay theirs
 * and the end of the last one can be told. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listener.h"

#include "base/mem.h"
#include "http/conn.h"
#include "http/preface.h"
#include "http/request.h"
#include "http/seat.h"
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SPARE = 64 }; /* connections of a listener that is not counted */

/* -- Beginning ------------------------------------------------------------- */

/* Whether max_connections keeps a client out. Who looks how the server is, health
 * probes among them, is to get in when everybody else fills it. */
static bool is_full(const ct_listener *l) {
    bool spare = l->counters == l->server->uncounted && l->conns < SPARE;

    return !spare && ct_seat_is_full(l->server);
}

static void complain(ct_server *s, const ct_peer *peer, bool full) {
    char ip[CT_ADDRESS_TEXT];

    if (s->scarce || s->loop->clock.mono_ms < s->complain_at) return;
    s->complain_at = s->loop->clock.mono_ms + 1000;
    ct_peer_ip(peer, ip);
    if (full)
        ct_log_line(s->loop->log, CT_LEVEL_WARNING, "http",
                    "max_connections (%u) reached: new clients get 503",
                    s->options.max_connections);
    else
        ct_log_line(s->loop->log, CT_LEVEL_WARNING, "http",
                    "max_connections_per_ip reached: %s gets 503", ip);
}

/* The table is full: say so, rather than let the client wait. It is counted before
 * the client knows. What that has sent already is taken first: close() would make a
 * reset of it, and many systems drop what they have not read yet behind one, the 503
 * too (RFC 9112 section 9.6). */
static void turn_away(const ct_listener *l, int fd, const ct_peer *peer) {
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
        "Retry-After: 1\r\nConnection: close\r\n\r\n";
    bool full = ct_seat_is_full(l->server);

    ct_count_add(full ? &l->counters->full : &l->counters->full_ip, 1);
    complain(l->server, peer, full);
    if (!l->tls) (void)!write(fd, text, sizeof text - 1); /* best effort */
    (void)!recv(fd, l->server->loop->scratch, CT_LOOP_SCRATCH, 0);
    close(fd);
}

static void open_conn(ct_listener *l, int fd, const ct_peer *peer) {
    ct_count_add(&l->counters->accepted, 1);
    if (is_full(l) ||
        (!l->options->proxy_protocol && ct_preface_is_over(l, peer)))
        turn_away(l, fd, peer);
    else
        ct_conn_open(l, fd, peer);
}

static void on_peer(int fd, const ct_address *address, void *arg) {
    ct_peer peer = ct_address_peer(address);

    open_conn(arg, fd, &peer);
}

static bool open_socket(ct_listener *l, const char *address, char *why,
                        size_t size) {
    ct_server *s = l->server;
    const char *expected;
    ct_address at;

    if (!ct_address_parse(&at, address, &expected)) {
        snprintf(why, size, "%s: %s", address, expected);
        return false;
    }
    l->listen = ct_listen_new(s->loop, &at, (int)s->options.backlog, on_peer, l,
                              why, size);
    return l->listen != NULL;
}

uint32_t ct_listener_open(ct_server *s, ct_events *events, const char *address,
                          char *why, size_t size) {
    ct_listener *l = ct_new(ct_listener);

    l->server = s;
    l->options = &s->options;
    l->counters = s->loop->counters;
    l->events = events;
    if (!address || open_socket(l, address, why, size)) {
        l->handle = ct_slots_add(&s->listeners, l);
        if (!l->handle) snprintf(why, size, "too many listeners");
    }
    if (l->handle) {
        s->listening++;
        return l->handle;
    }
    ct_listen_free(l->listen);
    ct_free(l);
    return 0;
}

ct_server_options *ct_listener_options(ct_listener *l) {
    if (!l->own) {
        l->own = ct_new(ct_server_options);
        *l->own = l->server->options;
        l->options = l->own;
    }
    return l->own;
}

void ct_listener_secure(ct_listener *l, ct_tls_context *tls) {
    ct_tls_context_take(tls);
    ct_tls_context_give(l->tls);
    l->tls = tls;
}

int ct_listener_pair(ct_listener *l, const ct_peer *peer) {
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   ends) != 0)
        return -1;
    open_conn(l, ends[0], peer);
    return ends[1];
}

/* -- Ending ---------------------------------------------------------------- */

void ct_listener_join(ct_listener *l, ct_conn *c) {
    c->listener = l;
    c->options = l->options;
    c->events = l->events;
    c->owner = l->handle;
    l->conns++;
    if (!c->request || c->request->handle) return;
    c->request->owner = l->handle; /* half a head */
    c->request->events = l->events;
}

void ct_listener_left(ct_listener *l) {
    if (--l->conns) return;
    if (l->waited || l->closed)
        ct_events_add(l->events, CT_EVENT_ENDED, l->handle);
    l->waited = false;
    if (!l->closed) return;
    ct_slots_remove(&l->server->listeners, l->handle);
    ct_tls_context_give(l->tls);
    ct_free(l->own);
    ct_free(l->trusted);
    ct_free(l);
}

/* Ends it with the reply under way, or at once when there is none. */
static void retire(ct_conn *c) {
    if (c->request && c->request->handle)
        c->request->wire.keep_alive = false;
    else if (ct_conn_has_output(c))
        c->closing = true;
    else if (!c->shut)
        ct_conn_close(c, false);
}

static void retire_idle(ct_conn *c) {
    if (!c->request || c->request->handle) retire(c);
}

/* Calls fn for all connections, of which it may close the one it is given. */
static void for_each(ct_listener *l, void (*fn)(ct_conn *c)) {
    ct_list *end = &l->server->conns, *n, *next;

    l->conns++; /* not freed under our hands */
    for (n = end->next; n != end; n = next) {
        ct_conn *c = ct_list_of(n, ct_conn, node);

        next = n->next;
        if (c->listener == l) fn(c);
    }
    l->conns--;
}

bool ct_listener_drain(ct_listener *l, bool heads) {
    for_each(l, heads ? retire : retire_idle);
    l->waited = l->conns > 0;
    return !l->waited;
}

void ct_listener_fade(ct_listener *l) {
    l->fading = true;
}

static void drop_conn(ct_conn *c) {
    ct_conn_close(c, false);
}

void ct_listener_close(ct_listener *l, bool drop) {
    if (!l->closed) l->server->listening--;
    l->closed = true;
    ct_listen_free(l->listen);
    l->listen = NULL;
    if (drop) for_each(l, drop_conn);
    l->conns++;
    ct_listener_left(l);
}

/* -- Generations ----------------------------------------------------------- */

/* The listener of `events` whose socket was asked for with the same address. */
static ct_listener *find_heir(const ct_server *s, const ct_events *events,
                              const ct_listener *of) {
    for (uint32_t i = 1; i < s->listeners.used; i++) {
        ct_listener *l = s->listeners.slots[i].object;

        if (l && l->events == events && l->listen && of->listen &&
            ct_listen_is_same(l->listen, of->listen))
            return l;
    }
    return NULL;
}

static void bequeath(ct_listener *l, ct_listener *heir) {
    ct_list *end = &l->server->conns;

    l->conns++; /* not freed under our hands */
    for (ct_list *n = end->next; n != end; n = n->next) {
        ct_conn *c = ct_list_of(n, ct_conn, node);

        if (c->listener != l) continue;
        ct_listener_join(heir, c);
        l->conns--;
    }
    l->conns--;
}

void ct_listener_succeed(ct_server *s, const ct_events *old,
                         const ct_events *new) {
    for (uint32_t i = 1; i < s->listeners.used; i++) {
        ct_listener *l = s->listeners.slots[i].object, *heir;

        if (!l || l->events != old || !l->listen) continue;
        heir = find_heir(s, new, l);
        if (heir)
            bequeath(l, heir);
        else
            (void)ct_listener_drain(l, false);
        ct_listener_close(l, false);
    }
}

void ct_listener_disown(ct_server *s, const ct_events *events) {
    for (uint32_t i = 1; i < s->listeners.used; i++) {
        ct_listener *l = s->listeners.slots[i].object;

        if (l && l->events == events) ct_listener_close(l, true);
    }
    for (uint32_t i = 1; i < s->requests.used; i++) {
        ct_request *r = s->requests.slots[i].object;

        if (!r || r->events != events) continue;
        if (r->conn) ct_conn_close(r->conn, true);
        ct_request_free(r);
    }
}
