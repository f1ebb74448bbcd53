/* A name server for tests, on the loop of who asks: UDP and TCP on one port of
 * 127.0.0.1. The first label of a name says what the answer is like. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_H
#define DNS_H

#include "io/loop.h"
#include <arpa/inet.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28, DNS_MOST = 60000 };

typedef struct dns {
    struct event *udp, *tcp, *conn;
    int port, asked, asked_tcp;
    bool mute;      /* never answers */
    bool random;    /* answers with noise */
    char last[256]; /* the last name asked for */
} dns;

typedef struct dns_question {
    uint8_t in[512];
    char name[256], label[64];
    int n, end, type; /* bytes; where the question ends */
    bool edns, tcp;
} dns_question;

static inline bool dns_read(dns_question *q) {
    int at = 12, out = 0;

    if (q->n < 17) return false;
    q->label[0] = 0;
    while (at < q->n && q->in[at]) {
        int n = q->in[at++];
        if (n > 63 || at + n >= q->n || out + n + 1 > 255) return false;
        memcpy(q->name + out, q->in + at, (size_t)n);
        if (!q->label[0]) snprintf(q->label, 64, "%.*s", n, q->name);
        at += n, out += n;
        q->name[out++] = '.';
    }
    q->name[out ? out - 1 : 0] = 0;
    q->type = q->in[at + 1] << 8 | q->in[at + 2];
    q->end = at + 5;
    q->edns = q->in[11] > 0;
    return q->end <= q->n;
}

static inline int dns_record(uint8_t *p, int type, uint32_t ttl,
                             const void *data, int size) {
    const uint8_t head[12] = { 0xc0,
                               12,
                               0,
                               (uint8_t)type,
                               0,
                               1,
                               (uint8_t)(ttl >> 24),
                               (uint8_t)(ttl >> 16),
                               (uint8_t)(ttl >> 8),
                               (uint8_t)ttl,
                               (uint8_t)(size >> 8),
                               (uint8_t)size };

    memcpy(p, head, sizeof head);
    memcpy(p + sizeof head, data, (size_t)size);
    return (int)sizeof head + size;
}

/* The header and the question back. */
static inline int dns_head(const dns_question *q, uint8_t *out, int rcode,
                           int answers) {
    memcpy(out, q->in, (size_t)q->end);
    out[2] = 0x81, out[3] = (uint8_t)(0x80 | rcode);
    out[6] = (uint8_t)(answers >> 8), out[7] = (uint8_t)answers;
    out[8] = out[9] = out[10] = out[11] = 0;
    return q->end;
}

/* `count` addresses that end in `last`, of the type asked for. */
static inline int dns_addresses(const dns_question *q, uint8_t *out, int count,
                                uint32_t ttl, int last) {
    uint8_t v4[4] = { 192, 0, 2, (uint8_t)last };
    uint8_t v6[16] = { 0x20, 1, 0xd, 0xb8 };
    int n = dns_head(q, out, 0, count);

    v6[15] = (uint8_t)last;
    for (int i = 0; i < count; i++) {
        v4[2] = (uint8_t)(2 + (i >> 8)), v6[14] = (uint8_t)(i >> 8);
        if (count > 1) v4[3] = v6[15] = (uint8_t)i;
        n += q->type == DNS_A ? dns_record(out + n, DNS_A, ttl, v4, 4)
                              : dns_record(out + n, DNS_AAAA, ttl, v6, 16);
    }
    return n;
}

static inline bool dns_is(const dns_question *q, const char *label) {
    return strcmp(q->label, label) == 0;
}

/* Wrong answers, that nobody may believe: 192.0.2.66 before the right one. */
static inline int dns_wrong(const dns_question *q, uint8_t *out) {
    int n = dns_addresses(q, out, 1, 60, 66);

    if (dns_is(q, "wrongid"))
        out[0] ^= 0x55;
    else if (dns_is(q, "wrongname"))
        out[13] ^= 1;
    else if (dns_is(q, "wrongtype"))
        out[q->end - 3] = 16;
    else if (dns_is(q, "noquestion"))
        out[5] = 0;
    else
        return 0;
    return n;
}

/* Answers that are broken, and all there is. */
static inline int dns_broken(const dns_question *q, uint8_t *out) {
    static const uint8_t self[2] = { 0xc0, 12 };
    int n = dns_addresses(q, out, 1, 60, 66);

    if (dns_is(q, "cnameloop")) {
        n = dns_head(q, out, 0, 2);
        n += dns_record(out + n, DNS_CNAME, 60, self, 2);
        return n + dns_record(out + n, DNS_CNAME, 60, self, 2);
    }
    if (dns_is(q, "pointerloop")) {
        out[q->end + 1] = (uint8_t)q->end; /* the record's name is itself */
        return n;
    }
    if (dns_is(q, "cut")) return n - 2;
    if (dns_is(q, "countless")) return out[6] = 0xff, n;
    if (dns_is(q, "long")) return out[q->end + 10] = 0x7f, n;
    return 0;
}

/* Two addresses, the one that is nearer (RFC 6724 §6, rule 1 or 6) last. */
static inline int dns_order(const dns_question *q, uint8_t *out) {
    const uint8_t far[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 },
                  near[16] = { [15] = 1 };
    int n = dns_head(q, out, 0, 2);

    n += dns_record(out + n, DNS_AAAA, 60, far, 16);
    return n + dns_record(out + n, DNS_AAAA, 60, near, 16);
}

/* The right answer by label; 0: none. */
static inline int dns_right(const dns_question *q, uint8_t *out) {
    bool a = q->type == DNS_A;

    if (dns_is(q, "mute") || (dns_is(q, "half") && !a)) return 0;
    if (dns_is(q, "nx")) return dns_head(q, out, 3, 0);
    if (dns_is(q, "servfail")) return dns_head(q, out, 2, 0);
    if (dns_is(q, "refused")) return dns_head(q, out, 5, 0);
    if (dns_is(q, "noedns") && q->edns) return dns_head(q, out, 1, 0);
    if (dns_is(q, "six") ? a : !a && !dns_is(q, "both") && !dns_is(q, "order"))
        return dns_head(q, out, 0, 0);
    if (dns_is(q, "large")) {
        int n = dns_addresses(q, out, q->tcp ? 200 : 1, 60, 66);
        if (!q->tcp) out[2] |= 2; /* truncated */
        return n;
    }
    if (dns_is(q, "order")) return dns_order(q, out);
    if (dns_is(q, "zero")) return dns_addresses(q, out, 1, 0, 1);
    if (dns_is(q, "negative")) return dns_addresses(q, out, 1, 0x80000001, 1);
    if (dns_is(q, "second")) return dns_addresses(q, out, 1, 1, 1);
    if (strncmp(q->name, "only", 4) == 0 && !strstr(q->name, ".example."))
        return dns_head(q, out, 3, 0);
    return dns_addresses(q, out, 1, 60, 1);
}

static inline int dns_noise(const dns_question *q, uint8_t *out) {
    int n = dns_addresses(q, out, 1 + rand() % 20, 60, 66);
    int from = rand() % 4 ? 2 : q->end; /* most keep the id */

    for (int i = rand() % 30; i >= 0; i--)
        out[from + rand() % (n - from)] = (uint8_t)rand();
    if (rand() % 4 == 0) n = 2 + rand() % (n - 2);
    return n;
}

static inline void on_dns_udp(evutil_socket_t fd, short what, void *arg) {
    static uint8_t out[DNS_MOST];
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    dns *d = arg;
    dns_question q = { 0 };
    int n;

    (void)what;
    q.n = (int)recvfrom(fd, q.in, sizeof q.in, 0, (struct sockaddr *)&from,
                        &size);
    if (!dns_read(&q)) return;
    d->asked++;
    memcpy(d->last, q.name, sizeof d->last);
    if (d->mute) return;
    n = d->random ? dns_noise(&q, out) : dns_wrong(&q, out);
    if (n) sendto(fd, out, (size_t)n, 0, (struct sockaddr *)&from, size);
    if (d->random) return;
    n = dns_broken(&q, out);
    if (!n) n = dns_right(&q, out);
    if (n) sendto(fd, out, (size_t)n, 0, (struct sockaddr *)&from, size);
}

/* One question, one answer, in two pieces. */
static inline void on_dns_conn(evutil_socket_t fd, short what, void *arg) {
    static uint8_t out[DNS_MOST];
    dns *d = arg;
    dns_question q = { .tcp = true };
    uint8_t size[2];
    int n;

    (void)what;
    if (recv(fd, size, 2, 0) != 2 ||
        (q.n = (int)recv(fd, q.in, sizeof q.in, 0)) <= 0) {
        event_del(d->conn);
        event_free(d->conn);
        d->conn = NULL;
        close(fd);
        return;
    }
    if (!dns_read(&q)) return;
    d->asked_tcp++;
    n = d->random ? dns_noise(&q, out) : dns_right(&q, out);
    size[0] = (uint8_t)(n >> 8), size[1] = (uint8_t)n;
    (void)!write(fd, size, 2);
    (void)!write(fd, out, (size_t)n);
}

static inline void on_dns_tcp(evutil_socket_t fd, short what, void *arg) {
    dns *d = arg;
    int conn = accept(fd, NULL, NULL);

    (void)what;
    if (d->conn) {
        close(event_get_fd(d->conn));
        event_free(d->conn);
    }
    d->conn = event_new(event_get_base(d->tcp), conn, EV_READ | EV_PERSIST,
                        on_dns_conn, d);
    event_add(d->conn, NULL);
}

static inline struct event *dns_open(dns *d, ct_loop *loop, int type,
                                     event_callback_fn fn) {
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)d->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    struct event *e;

    if (bind(fd, (struct sockaddr *)&at, size) != 0) {
        close(fd);
        return NULL;
    }
    getsockname(fd, (struct sockaddr *)&at, &size);
    d->port = ntohs(at.sin_port);
    if (type == SOCK_STREAM) listen(fd, 10);
    e = event_new(loop->base, fd, EV_READ | EV_PERSIST, fn, d);
    event_add(e, NULL);
    return e;
}

static inline void dns_close(struct event **e) {
    if (!*e) return;
    close(event_get_fd(*e));
    event_free(*e);
    *e = NULL;
}

static inline void dns_fini(dns *d) {
    dns_close(&d->udp);
    dns_close(&d->tcp);
    dns_close(&d->conn);
}

/* A port that is free for both. */
static inline void dns_init(dns *d, ct_loop *loop) {
    do {
        dns_fini(d);
        *d = (dns){ 0 };
        d->udp = dns_open(d, loop, SOCK_DGRAM, on_dns_udp);
        d->tcp = dns_open(d, loop, SOCK_STREAM, on_dns_tcp);
    } while (!d->udp || !d->tcp);
}

#endif
