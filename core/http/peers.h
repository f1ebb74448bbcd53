/* How many connections each address has: for a limit of them. Of IPv6 a /64
 * counts as one, for that is what one client is given. Lifetime: process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PEERS_H
#define CT_PEERS_H

#include "base/hash.h"
#include "io/address.h"
#include <stdint.h>

struct ct_peers_entry;

typedef struct ct_peers {
    struct ct_peers_entry *entries; /* NULL while there are none */
    uint32_t size, used;
    ct_hash_key key;
} ct_peers;

/* How many it has now. */
uint32_t ct_peers_count(const ct_peers *t, const ct_peer *p);

/* Adds one; makes the table when it is the first (all zero is an empty one). */
void ct_peers_add(ct_peers *t, const ct_peer *p);

/* Takes one off that was added. */
void ct_peers_remove(ct_peers *t, const ct_peer *p);

/* Frees the table. */
void ct_peers_fini(ct_peers *t);

#endif
