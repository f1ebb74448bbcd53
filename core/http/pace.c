/* What counts is what the client has acknowledged: the kernel's queue can take
 * megabytes at once, and then nothing until much of it is gone, so that what send()
 * accepts says little of a slow client. The queue is only looked at when the socket
 * takes no more, and again each write_timeout seconds. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/pace.h"

#include "http/conn.h"
#include "http/server.h"
#include <linux/sockios.h>
#include <sys/ioctl.h>

uint32_t ct_pace_of_body(const ct_conn *c) {
    const ct_server_options *o = c->options;
    ct_body *b = &c->request->body;
    uint64_t now = c->server->loop->clock.mono_ms, spent, allowed;

    if (!b->began) b->began = now;
    spent = now - b->began;
    allowed = o->body_timeout;
    if (o->body_min_rate)
        allowed += (uint64_t)(b->size * 1000 / o->body_min_rate);
    else
        allowed += spent;
    return allowed > spent ? (uint32_t)(allowed - spent) : 1;
}

/* Bytes that were sent and not acknowledged. */
static uint32_t queued(const ct_conn *c) {
    int n = 0;

    return ioctl(c->stream.fd, SIOCOUTQ, &n) == 0 && n > 0 ? (uint32_t)n : 0;
}

static uint32_t spent_of(const ct_conn *c) {
    return (uint32_t)c->server->loop->clock.mono_ms - c->pace.since;
}

static void measure(ct_conn *c, uint32_t in_queue) {
    uint32_t now = (uint32_t)c->server->loop->clock.mono_ms;

    c->pace.since = now ? now : UINT32_MAX;
    c->pace.handed = in_queue;
}

void ct_pace_begin(ct_conn *c) {
    if (!c->pace.since) measure(c, queued(c));
}

uint32_t ct_pace_left(const ct_conn *c) {
    uint32_t all = c->options->write_timeout, spent = spent_of(c);

    if (!c->pace.since) return all;
    return spent < all ? all - spent : 1;
}

static void complain(const ct_conn *c, uint64_t taken, uint32_t spent) {
    char ip[CT_ADDRESS_TEXT];

    ct_peer_ip(&c->peer, ip);
    ct_log_line(c->server->loop->log, CT_LEVEL_DEBUG, "http",
                "%s has taken %llu bytes in %.1f s: it is cut off", ip,
                (unsigned long long)taken, (double)spent / 1000);
}

bool ct_pace_is_slow(ct_conn *c) {
    const ct_server_options *o = c->options;
    uint32_t spent = spent_of(c), left = queued(c);
    uint64_t taken = c->pace.handed > left ? c->pace.handed - left : 0;

    if (!c->pace.since) return true; /* it has not been sent to at all */
    if (spent < o->write_timeout) return false;
    measure(c, left);
    if (taken && taken * 1000 >= (uint64_t)spent * o->write_min_rate)
        return false;
    complain(c, taken, spent);
    return true;
}
