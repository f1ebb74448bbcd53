/* Names to addresses, without blocking: what is known is kept as long as its
 * time to live allows, and those who ask for the same at once share one lookup.
 * Nothing is opened or read before the first name is asked for. "localhost" and
 * what is below it is this machine, whatever anybody says (RFC 6761 §6.3), and
 * "invalid" and "onion" have no addresses.
 * Lifetime: its owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_RESOLVER_H
#define CT_RESOLVER_H

#include "io/lookup.h"

enum {
    CT_RESOLVER_NAMES = 1024, /* kept, those being asked for included */
    CT_RESOLVER_NAME = 254    /* bytes of a name, with a dot at its end */
};

typedef struct ct_resolver_options {
    ct_lookup_options lookup;
    double max_ttl; /* seconds that an answer is kept at most; 0: never */
} ct_resolver_options;

typedef struct ct_resolver ct_resolver;

/* Somebody who asked for a name. */
typedef struct ct_resolve ct_resolve;

/* The answer has come; ct_resolve_free() may be called. */
typedef void ct_resolve_fn(void *arg);

/* Copies `options`. Borrows `loop`. Caller frees with ct_resolver_free(). */
ct_resolver *ct_resolver_new(ct_loop *loop, const ct_resolver_options *options);

/* Further lookups go by other options; what was known is forgotten. */
void ct_resolver_set(ct_resolver *r, const ct_resolver_options *options);

/* Gives up all lookups. Everybody who asked must be freed before. NULL is fine. */
void ct_resolver_free(ct_resolver *r);

/* Asks for a name's addresses, `family` AF_INET, AF_INET6 or AF_UNSPEC. NULL
 * when CT_RESOLVER_NAMES names are being asked for. `fn` is called once if there
 * is no answer yet when this returns. Caller frees with ct_resolve_free(). */
ct_resolve *ct_resolver_ask(ct_resolver *r, const char *name, size_t size,
                            int family, ct_resolve_fn *fn, void *arg);

/* The answer, or NULL while there is none. Borrows; valid until
 * ct_resolve_free(). */
const ct_answer *ct_resolve_answer(const ct_resolve *q);

/* Stops waiting; a lookup that nobody waits for ends. NULL is fine. */
void ct_resolve_free(ct_resolve *q);

/* Lookups under way, and names kept: for leak checks. */
uint32_t ct_resolver_running(const ct_resolver *r);
uint32_t ct_resolver_known(const ct_resolver *r);

#endif
