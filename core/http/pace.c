/* What counts is what the client has acknowledged: the kernel's queue can take
 * megabytes at once, and then nothing until much of it is gone, so that what send()
 * accepts says little of a slow client. The queue is only looked at when the socket
 * takes no more, and again when the rule's time is over. */
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
static uint32_t queued(int fd) {
    int n = 0;

    return ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0 ? (uint32_t)n : 0;
}

/* Not the turn's time: what a handler sends behind a long stall would have been waiting
 * for as long already, and its client be cut off. */
uint64_t ct_pace_now(void) {
    return (uint64_t)(ct_clock_precise() * 1000);
}

static void measure(ct_pace *p, uint64_t now, uint32_t in_queue) {
    p->since = (uint32_t)now ? (uint32_t)now : UINT32_MAX;
    p->handed = in_queue;
}

void ct_pace_start(ct_pace *p, int fd, uint64_t now) {
    if (!p->since) measure(p, now, queued(fd));
}

bool ct_pace_judge(ct_pace *p, const ct_pace_rule *rule, int fd, uint64_t now,
                   ct_pace_look *look) {
    uint32_t left = queued(fd);

    look->spent = (uint32_t)now - p->since;
    look->taken = p->handed > left ? p->handed - left : 0;
    if (look->spent < rule->timeout) return false;
    measure(p, now, left);
    return !look->taken ||
           look->taken * 1000 < (uint64_t)look->spent * rule->min_rate;
}

/* -- Clients ---------------------------------------------------------------- */

void ct_pace_begin(ct_conn *c) {
    ct_pace_start(&c->pace, c->stream.fd, ct_pace_now());
}

uint32_t ct_pace_left(const ct_conn *c) {
    uint32_t all = c->options->write_timeout;
    uint32_t spent = (uint32_t)ct_pace_now() - c->pace.since;

    if (!c->pace.since) return all;
    return spent < all ? all - spent : 1;
}

static void complain(const ct_conn *c, const ct_pace_look *look) {
    char ip[CT_ADDRESS_TEXT];

    ct_peer_ip(&c->peer, ip);
    ct_log_line(c->server->loop->log, CT_LEVEL_DEBUG, "http",
                "%s has taken %llu bytes in %.1f s: it is cut off", ip,
                (unsigned long long)look->taken, (double)look->spent / 1000);
}

bool ct_pace_is_slow(ct_conn *c) {
    const ct_pace_rule rule = { c->options->write_timeout,
                                c->options->write_min_rate };
    ct_pace_look look;

    if (!c->pace.since) return true; /* it has not been sent to at all */
    if (!ct_pace_judge(&c->pace, &rule, c->stream.fd, ct_pace_now(), &look))
        return false;
    complain(c, &look);
    return true;
}
