/* Open addressing, at most half full, with a keyed hash: clients choose what is in
 * it. An entry that goes lets those behind it move up, so none is ever marked as
 * deleted (Knuth, 6.4, algorithm R). */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/peers.h"

#include "base/assert.h"
#include "base/digest.h"
#include "base/mem.h"
#include <string.h>

enum { FIRST_SIZE = 64 };

typedef struct ct_peers_entry {
    uint8_t ip[8];
    uint8_t family;
    uint32_t count; /* 0: free */
} entry;

static entry entry_of(const ct_peer *p) {
    entry e = { .family = p->family };

    memcpy(e.ip, p->ip, p->family == AF_INET ? 4 : 8);
    return e;
}

static uint32_t home(const ct_peers *t, const entry *e) {
    return (uint32_t)ct_hash64(&t->key, e->ip, sizeof e->ip) & (t->size - 1);
}

/* Where it is, or would be put. */
static uint32_t find(const ct_peers *t, const entry *e) {
    uint32_t i = home(t, e);

    while (t->entries[i].count &&
           (t->entries[i].family != e->family ||
            memcmp(t->entries[i].ip, e->ip, sizeof e->ip) != 0))
        i = (i + 1) & (t->size - 1);
    return i;
}

static void grow(ct_peers *t) {
    ct_peers old = *t;

    if (!old.size) ct_digest_random(&t->key, sizeof t->key);
    t->size = old.size ? old.size * 2 : FIRST_SIZE;
    t->entries = ct_alloc0(t->size * sizeof *t->entries);
    for (uint32_t i = 0; i < old.size; i++)
        if (old.entries[i].count)
            t->entries[find(t, &old.entries[i])] = old.entries[i];
    ct_free(old.entries);
}

uint32_t ct_peers_count(const ct_peers *t, const ct_peer *p) {
    entry e = entry_of(p);

    return t->size ? t->entries[find(t, &e)].count : 0;
}

void ct_peers_add(ct_peers *t, const ct_peer *p) {
    entry e = entry_of(p), *at;

    if (2 * (t->used + 1) > t->size) grow(t);
    at = &t->entries[find(t, &e)];
    if (!at->count) {
        *at = e;
        t->used++;
    }
    at->count++;
}

/* Closes the hole at `hole`: what could stand there moves up. */
static void close_hole(ct_peers *t, uint32_t hole) {
    uint32_t mask = t->size - 1;

    for (uint32_t i = (hole + 1) & mask; t->entries[i].count;
         i = (i + 1) & mask) {
        uint32_t from = home(t, &t->entries[i]);

        if (((i - from) & mask) < ((i - hole) & mask)) continue;
        t->entries[hole] = t->entries[i];
        hole = i;
    }
    t->entries[hole].count = 0;
}

void ct_peers_remove(ct_peers *t, const ct_peer *p) {
    entry e = entry_of(p);
    uint32_t i;

    ct_assert(t->size);
    i = find(t, &e);
    ct_assert(t->entries[i].count);
    if (--t->entries[i].count) return;
    t->used--;
    close_hole(t, i);
}

void ct_peers_fini(ct_peers *t) {
    ct_free(t->entries);
    *t = (ct_peers){ 0 };
}
