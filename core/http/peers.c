/* A row is a hash table with open addressing and a keyed hash, for clients choose
 * what is in it. An entry that goes lets those behind it move up, so none is ever
 * marked as deleted (Knuth, 6.4, algorithm R). Others read a row while its owner
 * moves entries: they may miss one then, or see it twice, and a limit is off by
 * that many for a moment; nobody waits for anybody. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/peers.h"

#include "base/assert.h"
#include "base/digest.h"
#include <stdatomic.h>
#include <string.h>

enum { SIZE = 32768, FULL = SIZE / 4 * 3 };

typedef struct entry {
    _Atomic(uint64_t) key;   /* the hash of an address */
    _Atomic(uint32_t) count; /* 0: free */
} entry;

typedef struct table_row {
    _Alignas(64) _Atomic(uint32_t) open;
    uint32_t used;
    entry entries[SIZE];
} table_row;

struct ct_peers_table {
    ct_hash_key key;
    bool ready;
    _Atomic(uint32_t) used; /* rows */
    table_row rows[];
};

size_t ct_peers_size(uint32_t rows) {
    return sizeof(struct ct_peers_table) + rows * sizeof(table_row);
}

void ct_peers_format(void *memory) {
    struct ct_peers_table *table = memory;

    if (!table->ready) ct_digest_random(&table->key, sizeof table->key);
    table->ready = true;
}

void ct_peers_init(ct_peers *t, void *memory, uint32_t row) {
    struct ct_peers_table *table = memory;
    uint32_t used = table->used;

    *t = (ct_peers){ .table = table, .row = row };
    ct_peers_clear(memory, row);
    while (used <= row &&
           !atomic_compare_exchange_weak(&table->used, &used, row + 1))
        continue;
}

/* Most have never touched their entries, which are to stay without memory. */
void ct_peers_clear(void *memory, uint32_t row) {
    struct ct_peers_table *table = memory;

    table->rows[row].open = 0;
    if (!table->rows[row].used) return;
    memset(&table->rows[row], 0, sizeof table->rows[row]);
}

/* -- In all ---------------------------------------------------------------- */

void ct_peers_enter(ct_peers *t) {
    if (t->table) t->table->rows[t->row].open++;
}

void ct_peers_leave(ct_peers *t) {
    if (t->table) t->table->rows[t->row].open--;
}

uint32_t ct_peers_total(const ct_peers *t) {
    uint32_t sum = 0;

    for (uint32_t i = 0; t->table && i < t->table->used; i++)
        sum += t->table->rows[i].open;
    return sum;
}

/* -- Of an address --------------------------------------------------------- */

static uint64_t key_of(const ct_peers *t, const ct_peer *p) {
    uint8_t bytes[9] = { p->family };

    memcpy(bytes + 1, p->ip, p->family == AF_INET ? 4 : 8);
    return ct_hash64(&t->table->key, bytes, sizeof bytes);
}

/* Where it is, or would be put; bounded, for its owner may be moving it. */
static uint32_t find(table_row *r, uint64_t key) {
    uint32_t i = (uint32_t)key & (SIZE - 1);

    for (uint32_t n = 0; n < SIZE; n++, i = (i + 1) & (SIZE - 1))
        if (!r->entries[i].count || r->entries[i].key == key) break;
    return i;
}

uint32_t ct_peers_count(const ct_peers *t, const ct_peer *p) {
    uint32_t sum = 0;
    uint64_t key;

    if (!t->table) return 0;
    key = key_of(t, p);
    for (uint32_t i = 0; i < t->table->used; i++) {
        const entry *e =
            &t->table->rows[i].entries[find(&t->table->rows[i], key)];

        if (e->key == key) sum += e->count;
    }
    return sum;
}

bool ct_peers_add(ct_peers *t, const ct_peer *p) {
    table_row *r;
    entry *e;
    uint64_t key;

    if (!t->table) return false;
    key = key_of(t, p);
    r = &t->table->rows[t->row];
    e = &r->entries[find(r, key)];
    if (!e->count) {
        if (r->used >= FULL) return false;
        e->key = key;
        r->used++;
    }
    e->count++;
    return true;
}

/* Closes the hole at `hole`: what could stand there moves up. */
static void close_hole(table_row *r, uint32_t hole) {
    enum { MASK = SIZE - 1 };

    for (uint32_t i = (hole + 1) & MASK; r->entries[i].count;
         i = (i + 1) & MASK) {
        uint32_t from = (uint32_t)r->entries[i].key & MASK;

        if (((i - from) & MASK) < ((i - hole) & MASK)) continue;
        r->entries[hole].key = r->entries[i].key;
        r->entries[hole].count = r->entries[i].count;
        hole = i;
    }
    r->entries[hole].count = 0;
}

void ct_peers_remove(ct_peers *t, const ct_peer *p) {
    table_row *r = &t->table->rows[t->row];
    uint64_t key = key_of(t, p);
    uint32_t i = find(r, key);

    ct_assert(r->entries[i].count && r->entries[i].key == key);
    if (r->entries[i].count > 1) {
        r->entries[i].count--;
        return;
    }
    r->used--;
    close_hole(r, i);
}
