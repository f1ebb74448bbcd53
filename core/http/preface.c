/* Whoever may say who a client is may pretend to be anybody: the peer must be
 * known before its word counts, and a connection without it is refused, for else
 * a client that reaches the listener itself would choose its address. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/preface.h"

#include "base/mem.h"
#include "http/conn.h"
#include "http/listener.h"
#include "http/proxy_protocol.h"
#include "http/secure.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { NETWORKS_MOST = 1024 };

static bool lies_in(const ct_peer *p, const ct_network *net) {
    unsigned whole = net->bits / 8, rest = net->bits % 8;

    if (p->family != net->base.family) return false;
    if (memcmp(p->ip, net->base.ip, whole) != 0) return false;
    return !rest || (p->ip[whole] ^ net->base.ip[whole]) >> (8 - rest) == 0;
}

static bool is_local(const ct_peer *p) {
    static const uint8_t v6[16] = { [15] = 1 };

    if (p->family == AF_UNIX) return true;
    if (p->family == AF_INET) return p->ip[0] == 127;
    return memcmp(p->ip, v6, sizeof v6) == 0;
}

static bool is_trusted(const ct_listener *l, const ct_peer *p) {
    for (uint32_t i = 0; i < l->trusted_count; i++)
        if (lies_in(p, &l->trusted[i])) return true;
    return is_local(p);
}

bool ct_preface_is_over(const ct_listener *l, const ct_peer *p) {
    uint32_t limit = l->options->max_connections_per_ip;

    return limit && !is_trusted(l, p) &&
           ct_peers_count(&l->server->peers, p) >= limit;
}

/* False when it is one too many. */
static bool count(ct_conn *c) {
    const ct_listener *l = c->listener;

    if (!l->options->max_connections_per_ip || is_trusted(l, &c->peer))
        return true;
    if (ct_preface_is_over(l, &c->peer)) return false;
    c->counted = ct_peers_add(&c->server->peers, &c->peer);
    return true;
}

void ct_preface_begin(ct_conn *c) {
    c->preface = c->options->proxy_protocol;
    if (!c->preface) (void)count(c); /* who accepted it has looked */
}

/* At most one line a second, as for a full table. */
static size_t refuse(ct_conn *c, const char *why, size_t n) {
    ct_server *s = c->server;
    char ip[CT_ADDRESS_TEXT];

    ct_peer_ip(&c->peer, ip);
    if (s->loop->clock.mono_ms >= s->complain_at) {
        s->complain_at = s->loop->clock.mono_ms + 1000;
        ct_log_line(s->loop->log, CT_LEVEL_WARNING, "http",
                    "proxy_protocol: connection from %s refused: %s", ip, why);
    }
    ct_conn_close(c, true);
    return n;
}

size_t ct_preface_take(ct_conn *c, const char *p, size_t n) {
    ct_proxy proxy;

    if (!is_trusted(c->listener, &c->peer))
        return refuse(c, "not in trusted_downstream", n);
    switch (ct_proxy_parse(&proxy, p, n)) {
    case CT_PROXY_MORE: return 0;
    case CT_PROXY_BAD: return refuse(c, proxy.why, n);
    case CT_PROXY_DONE: break;
    }
    c->preface = false;
    c->secure = proxy.tls;
    if (proxy.has_peer) c->peer = proxy.peer;
    if (!count(c)) {
        ct_count_add(&c->listener->counters->full_ip, 1);
        return refuse(c, "max_connections_per_ip", n);
    }
    ct_secure_open(c);
    return proxy.used;
}

/* Behind the header TLS may begin, which reads the socket itself: what is not the
 * header's stays there. */
ssize_t ct_preface_recv(ct_conn *c, char *p) {
    ct_stream *s = &c->stream;
    ct_proxy proxy;
    ssize_t got;

    if (!c->listener->tls) return ct_stream_recv(s, p, CT_PROXY_MOST);
    got = recv(s->fd, p, CT_PROXY_MOST, MSG_PEEK | MSG_DONTWAIT);
    if (got <= 0) return ct_stream_recv(s, p, 1); /* says what it is */
    switch (ct_proxy_parse(&proxy, p, (size_t)got)) {
    case CT_PROXY_DONE: return ct_stream_recv(s, p, proxy.used);
    case CT_PROXY_BAD: return ct_stream_recv(s, p, (size_t)got);
    case CT_PROXY_MORE: break;
    }
    s->readable = false; /* an edge comes with the rest */
    return s->shut ? CT_STREAM_EOF : CT_STREAM_AGAIN;
}

/* "10.0.0.0/8" */
static bool parse_network(ct_network *net, const char *p, size_t n) {
    const char *slash = memchr(p, '/', n);
    int most;

    if (!slash || !ct_peer_parse(&net->base, p, (size_t)(slash - p)))
        return false;
    most = net->base.family == AF_INET ? 32 : 128;
    net->bits = (uint8_t)atoi(slash + 1); /* NOLINT: checked by who wrote it */
    return net->bits <= most;
}

bool ct_preface_trust(ct_listener *l, const char *networks, size_t n) {
    ct_network *list = ct_alloc(NETWORKS_MOST * sizeof *list);
    uint32_t used = 0;

    while (n) {
        const char *space = memchr(networks, ' ', n);
        size_t size = space ? (size_t)(space - networks) : n;

        if (used == NETWORKS_MOST ||
            !parse_network(&list[used++], networks, size)) {
            ct_free(list);
            return false;
        }
        networks += size + (space != NULL);
        n -= size + (space != NULL);
    }
    ct_free(l->trusted);
    l->trusted = ct_realloc(list, (used ? used : 1) * sizeof *list);
    l->trusted_count = used;
    return true;
}
