/* The keys of session tickets, for all workers and those that come after them. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_KEYS_H
#define CT_KEYS_H

#include "data/shared.h"
#include "io/loop.h"
#include "io/tls_tickets.h"

/* Those in `shared`, which are made if there are none; `writes`: this process is
 * the one that changes them. NULL, with the reason logged: each context has keys
 * of its own then. */
ct_tls_tickets *ct_keys_get(ct_shared *shared, ct_loop *loop, bool writes);

/* Makes a new key if the last one is `period` seconds old. NULL is fine. */
void ct_keys_renew(ct_tls_tickets *t, const ct_loop *loop, double period);

#endif
