/* How many connections there are, in all and of each address, over all processes
 * of a server: for limits. Of IPv6 a /64 counts as one, for that is what one client
 * is given. The memory is shared; each process has a row in it that only it writes,
 * and a row of a process that died is cleared, so that nothing it counted stays.
 * Lifetime: process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PEERS_H
#define CT_PEERS_H

#include "base/hash.h"
#include "io/address.h"
#include <stddef.h>
#include <stdint.h>

struct ct_peers_table;

typedef struct ct_peers {
    struct ct_peers_table *table; /* borrowed; NULL: nothing is counted */
    uint32_t row;                 /* ours */
} ct_peers;

/* How many bytes the memory for so many processes has; what is not used of it takes
 * none. */
size_t ct_peers_size(uint32_t rows);

/* Makes zeroed memory ready; nothing happens when it is. Before others look at it. */
void ct_peers_format(void *memory);

/* Counts in memory that is ready, in a row (0 and up) that it clears. */
void ct_peers_init(ct_peers *t, void *memory, uint32_t row);

/* Forgets what a process counted that is gone. */
void ct_peers_clear(void *memory, uint32_t row);

/* Adds one connection, or takes one off; and the sum of all processes. */
void ct_peers_enter(ct_peers *t);
void ct_peers_leave(ct_peers *t);
uint32_t ct_peers_total(const ct_peers *t);

/* How many connections this address has now. */
uint32_t ct_peers_count(const ct_peers *t, const ct_peer *p);

/* Adds one to an address. False: our row is full (24,576 addresses), and it was
 * not counted. */
bool ct_peers_add(ct_peers *t, const ct_peer *p);

/* Takes one off that was added. */
void ct_peers_remove(ct_peers *t, const ct_peer *p);

#endif
