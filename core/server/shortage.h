/* What a worker does when malloc has failed: the reserve of base/mem.h has carried
 * it to the end of the turn. Lifetime: the worker's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_SHORTAGE_H
#define CT_SHORTAGE_H

#include "server/generations.h"
#include <stdbool.h>
#include <stdint.h>

/* All zero is the beginning. Times are monotonic ms. */
typedef struct ct_shortage {
    uint64_t shrink_at;  /* when to close again what is idle */
    uint64_t collect_at; /* and to collect all garbage */
    uint64_t failed_at;  /* malloc's last failure */
    uint64_t mute_till;
    unsigned failures; /* of malloc, as counted then */
    bool told;         /* the log has a line that all is not well */
} ct_shortage;

/* At the end of a turn, while ct_mem_is_short() or server->scarce. Fills the reserve
 * up again. Where that cannot be done, it gives back what can be done without
 * (garbage, idle connections, cached files) and lets new requests be answered with
 * 503, until it can, or malloc has not failed for a while. */
void ct_shortage_turn(ct_shortage *s, ct_generations *g);

#endif
