/* A ring that doubles when it is full. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/events.h"

#include "base/mem.h"

static void grow(ct_events *q) {
    uint32_t size = q->size ? q->size * 2 : 64;
    ct_events_item *items = ct_alloc(size * sizeof *items);

    for (uint32_t i = 0; i < q->count; i++)
        items[i] = q->items[(q->first + i) & (q->size - 1)];
    ct_free(q->items);
    q->items = items;
    q->size = size;
    q->first = 0;
}

void ct_events_add(ct_events *q, uint32_t type, uint32_t handle) {
    if (q->count == q->size) grow(q);
    ct_events_item *item = &q->items[(q->first + q->count) & (q->size - 1)];
    item->type = type;
    item->handle = handle;
    q->count++;
}

bool ct_events_take(ct_events *q, ct_events_item *out) {
    if (!q->count) return false;
    *out = q->items[q->first];
    q->first = (q->first + 1) & (q->size - 1);
    q->count--;
    return true;
}

void ct_events_fini(ct_events *q) {
    ct_free(q->items);
    *q = (ct_events){ 0 };
}
