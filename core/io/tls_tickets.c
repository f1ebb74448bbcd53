/* A reader copies all keys and looks whether they have changed meanwhile, so that
 * it needs no lock, which a worker that dies could keep. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls_tickets.h"

#include "base/digest.h"
#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>

enum { TRIES = 1000 }; /* more than a change can take */

void ct_tls_tickets_guard(ct_tls_tickets *t, bool writes) {
    /* Best effort: each may be forbidden or over a limit. */
    (void)madvise(t, sizeof *t, MADV_DONTDUMP);
    (void)mlock(t, sizeof *t);
    if (!writes) (void)mprotect(t, sizeof *t, PROT_READ);
}

bool ct_tls_tickets_renew(ct_tls_tickets *t, double now, double period) {
    if (t->count && (period <= 0 || now - t->made < period)) return false;
    atomic_fetch_add(&t->turn, 1);
    memmove(t->keys + 1, t->keys, sizeof t->keys - sizeof t->keys[0]);
    ct_digest_random(&t->keys[0], sizeof t->keys[0]);
    if (t->count < CT_TLS_TICKETS) t->count++;
    t->made = now;
    atomic_fetch_add(&t->turn, 1);
    return true;
}

/* A copy of all, of one moment. */
static bool copy(const ct_tls_tickets *t, ct_tls_key keys[CT_TLS_TICKETS],
                 uint32_t *count) {
    for (int i = 0; i < TRIES; i++) {
        uint32_t before = atomic_load(&t->turn);

        if (before & 1) continue;
        memcpy(keys, t->keys, sizeof t->keys);
        *count = t->count;
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load(&t->turn) == before) return *count <= CT_TLS_TICKETS;
    }
    return false; /* whoever changed them has died of it */
}

bool ct_tls_tickets_newest(const ct_tls_tickets *t, ct_tls_key *out) {
    ct_tls_key keys[CT_TLS_TICKETS];
    uint32_t count;
    bool good = copy(t, keys, &count) && count;

    if (good) *out = keys[0];
    OPENSSL_cleanse(keys, sizeof keys);
    return good;
}

int ct_tls_tickets_find(const ct_tls_tickets *t, const uint8_t name[16],
                        ct_tls_key *out) {
    ct_tls_key keys[CT_TLS_TICKETS];
    uint32_t count;
    int found = -1;

    if (!copy(t, keys, &count)) count = 0;
    for (uint32_t i = 0; i < count && found == -1; i++)
        if (memcmp(name, keys[i].name, sizeof keys[i].name) == 0)
            found = (int)i;
    if (found != -1) *out = keys[found];
    OPENSSL_cleanse(keys, sizeof keys);
    return found;
}
