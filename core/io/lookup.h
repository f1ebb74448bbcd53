/* One question to the name servers, by c-ares: its sockets are watched by the
 * loop, its one timer ends tries and, at the deadline, the whole. Each lookup
 * has a channel of its own: so it can be cancelled alone, leaves from a port of
 * its own (RFC 5452 §9.2), and sees the resolv.conf of that moment. Lifetime:
 * until its answer has been told, or ct_lookup_free(). */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_LOOKUP_H
#define CT_LOOKUP_H

#include "io/address.h"
#include "io/loop.h"

enum {
    CT_LOOKUP_SERVERS = 1024, /* bytes of options.servers */
    CT_LOOKUP_PATH = 256,     /* bytes of options.conf */
    CT_ANSWER_MAX = 64        /* addresses that are kept */
};

typedef struct ct_lookup_options {
    char servers[CT_LOOKUP_SERVERS]; /* "127.0.0.1:53,[::1]:53"; "": conf's */
    char conf[CT_LOOKUP_PATH];       /* "/etc/resolv.conf" */
    double timeout;                  /* of the first try, doubled with each */
    double deadline;                 /* of all together, in seconds */
    int tries;                       /* for each server */
} ct_lookup_options;

/* What came of it. Shared: ct_answer_ref() and ct_answer_unref(). */
typedef struct ct_answer {
    uint32_t refs;
    int status;        /* c-ares's: ARES_SUCCESS with at least one address */
    uint32_t ttl;      /* seconds; the least of all records */
    uint32_t count;    /* of addresses */
    ct_peer address[]; /* in the order of RFC 6724 */
} ct_answer;

/* An answer with one reference, and room for that many addresses. */
ct_answer *ct_answer_new(int status, uint32_t room);

/* The same, with one more reference. */
ct_answer *ct_answer_ref(ct_answer *a);

/* Takes one reference; frees with the last. NULL is fine. */
void ct_answer_unref(ct_answer *a);

/* The status as one word ("NXDOMAIN", "TIMEOUT"), and c-ares's text for it. */
const char *ct_answer_code(const ct_answer *a);
const char *ct_answer_text(const ct_answer *a);

typedef struct ct_lookup ct_lookup;

/* Takes `answer`; ct_lookup_free() may be called. */
typedef void ct_lookup_fn(void *arg, ct_answer *answer);

/* Asks for `name` (a valid host name), `family` AF_INET, AF_INET6 or AF_UNSPEC:
 * the hosts file first, then the servers, with the search list. `fn` is called
 * once, never before this returns. Borrows `loop`, copies `options`. Caller
 * frees with ct_lookup_free(). */
ct_lookup *ct_lookup_new(ct_loop *loop, const ct_lookup_options *options,
                         const char *name, int family, ct_lookup_fn *fn,
                         void *arg);

/* Gives up, and closes its sockets. NULL is fine. */
void ct_lookup_free(ct_lookup *l);

/* True when c-ares takes these servers. */
bool ct_lookup_check(const ct_lookup_options *options)
    __attribute__((warn_unused_result));

#endif
