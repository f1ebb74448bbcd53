/* How fast the other side has to be: with a body that it sends, and with a reply
 * that it takes. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PACE_H
#define CT_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ct_conn;

/* Of a connection whose socket takes no more: small, since idle ones have it too. */
typedef struct ct_pace {
    uint32_t
        since; /* ms modulo 2^32, when the time that is measured began; 0: it
                       takes */
    uint32_t handed; /* bytes in its queue then, and what went there since; it
                        stays at 2^32 - 1 */
} ct_pace;

/* How fast a reader has to be. */
typedef struct ct_pace_rule {
    uint32_t timeout;  /* ms: how often it is looked at */
    uint32_t min_rate; /* bytes a second in that time; 0: any */
} ct_pace_rule;

/* What was seen of one. */
typedef struct ct_pace_look {
    uint64_t taken; /* bytes */
    uint32_t spent; /* ms */
} ct_pace_look;

/* `n` bytes more went to the socket. */
static inline void ct_pace_hand(ct_pace *p, size_t n) {
    if (__builtin_add_overflow(p->handed, n, &p->handed))
        p->handed = UINT32_MAX;
}

/* Milliseconds that are left for the body that comes: body_timeout, and more the
 * more of it has come. At least 1. */
uint32_t ct_pace_of_body(const struct ct_conn *c);

/* The socket takes no more: from now on, unless it is measured already, the client
 * is. */
void ct_pace_begin(struct ct_conn *c);

/* Milliseconds until it is looked at: write_timeout from the beginning on. */
uint32_t ct_pace_left(const struct ct_conn *c);

/* The time is over: true when the client has taken less than write_min_rate bytes a
 * second, or nothing. Otherwise it is measured anew. */
bool ct_pace_is_slow(struct ct_conn *c);

/* Milliseconds of the monotonic clock, at this moment. */
uint64_t ct_pace_now(void);

/* The same of any socket, at `now`, which is that of ct_pace_now(). */
void ct_pace_start(ct_pace *p, int fd, uint64_t now);

/* True as above when the rule is broken; *look says how. Not before the rule's time
 * is over. */
bool ct_pace_judge(ct_pace *p, const ct_pace_rule *rule, int fd, uint64_t now,
                   ct_pace_look *look);

#endif
