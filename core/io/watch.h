/* Waits for a descriptor that somebody else reads and writes, level-triggered.
 * Lifetime: its owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WATCH_H
#define CT_WATCH_H

#include "io/loop.h"
#include <stdint.h>

typedef struct ct_watch ct_watch;

/* Called in each turn in which the descriptor is ready, with ct_ready bits. */
typedef void ct_watch_fn(uint32_t ready, void *arg);

/* Watches `fd` for a set of ct_ready; errors always. NULL when that cannot be:
 * errno says why (EPERM: a file). Borrows `loop` and `fd`. Caller frees with ct_watch_free(). */
ct_watch *ct_watch_new(ct_loop *loop, int fd, uint32_t events, ct_watch_fn *fn,
                       void *arg);

/* Watches for something else from now on; false as above. */
bool ct_watch_update(ct_watch *w, uint32_t events)
    __attribute__((warn_unused_result));

/* Stops watching; NULL is fine. */
void ct_watch_free(ct_watch *w);

#endif
