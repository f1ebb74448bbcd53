/* The keys that session tickets are made and read with (RFC 5077, RFC 8446
 * §4.6.1), in memory that the processes of a server share: so a client resumes its
 * session with whichever worker it gets. One process changes them, the others read.
 * Lifetime: that of the memory, which begins as zeros. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_TLS_TICKETS_H
#define CT_TLS_TICKETS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The newest makes tickets, those of before take theirs still. */
enum { CT_TLS_TICKETS = 3 };

typedef struct ct_tls_key {
    uint8_t name[16], aes[32], hmac[32];
} ct_tls_key;

typedef struct ct_tls_tickets {
    _Atomic uint32_t turn; /* odd while they change */
    uint32_t count;
    double made; /* seconds since 1970: the newest */
    ct_tls_key keys[CT_TLS_TICKETS];
} ct_tls_tickets;

/* Keeps the memory out of core dumps and swap space, as far as the system allows,
 * and, without `writes`, from being written to by this process. */
void ct_tls_tickets_guard(ct_tls_tickets *t, bool writes);

/* Makes a new key when there is none, or the newest is `period` seconds old at
 * `now` (wall clock; 0: never). True when it did. */
bool ct_tls_tickets_renew(ct_tls_tickets *t, double now, double period);

/* Copies the newest key: false when there is none. The caller wipes it. */
bool ct_tls_tickets_newest(const ct_tls_tickets *t, ct_tls_key *out)
    __attribute__((warn_unused_result));

/* Copies the key of that name: 0 and up, 0 being the newest; -1: there is none.
 * The caller wipes it. */
int ct_tls_tickets_find(const ct_tls_tickets *t, const uint8_t name[16],
                        ct_tls_key *out);

#endif
