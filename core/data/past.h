/* What the elders of a server have counted: programs whose place it took. The last of
 * them counts on while it answers what it has begun, in its own pieces "board" and
 * "metrics", which are inherited under other names; here the sums are in a row of
 * their own, CT_BOARD_PAST. So what only grows never goes back. Gauges are not carried
 * over. Lifetime: process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PAST_H
#define CT_PAST_H

#include "data/board.h"
#include "data/metrics.h"
#include "data/shared.h"

typedef struct ct_past {
    ct_shared *shared; /* with the elder's pieces; borrowed, as the next two */
    ct_board *board;
    ct_metrics *metrics;
    const ct_board *old_board; /* the elder's; NULL: there is none */
    const ct_metrics *old_metrics;
    bool loaded; /* the sites of this process have named their metrics */
} ct_past;

/* Finds what an elder has left in `shared`: nothing, if its layout is another one. Of
 * a server whose `elder` (on the board) has been set. */
void ct_past_init(ct_past *p, ct_shared *shared, ct_board *board,
                  ct_metrics *metrics);

/* Brings the row up to date; each process of the server may, but for a master, which
 * is not to follow what workers have written. Metrics that nobody has asked for yet
 * are added when sites are loaded. When the board's `elder` is 0 this is the last
 * time. Costs nothing without an elder. */
void ct_past_carry(ct_past *p);

/* Lets go what an elder has left in `shared`. */
void ct_past_forget(ct_shared *shared);

/* For a program that takes this one's place: lends it the pieces of `shared` that are
 * counted in. */
void ct_past_lend(const ct_shared *shared, ct_shared *heir);

#endif
