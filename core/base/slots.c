/* Free slots form a ring, taken at its front and given back at its end, and the
 * first FRESH ones are handed out before any is used again: 4096 generations
 * of one slot would pass too fast for a handle that Lua kept by mistake. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slots.h"

#include "base/assert.h"
#include "base/mem.h"

enum { FRESH = 256, LIMIT = 1 << CT_SLOT_BITS };

static const uint32_t GENERATION = 1u << CT_SLOT_BITS;

static void grow(ct_slots *s) {
    uint32_t size = s->size ? s->size * 2 : FRESH / 4;

    s->slots = ct_realloc(s->slots, size * sizeof *s->slots);
    s->size = size;
    if (s->used == 0) s->slots[s->used++] = (ct_slot){ 0 };
}

/* The index of a slot never used before. */
static uint32_t take_fresh(ct_slots *s) {
    if (s->used == s->size) grow(s);
    s->slots[s->used] = (ct_slot){ .handle = GENERATION | s->used };
    return s->used++;
}

/* `free` is the ring's last, so its next is the first. */
static uint32_t take_free(ct_slots *s) {
    uint32_t first = s->slots[s->free].next;

    if (first == s->free)
        s->free = 0;
    else
        s->slots[s->free].next = s->slots[first].next;
    return first;
}

uint32_t ct_slots_add(ct_slots *s, void *object) {
    uint32_t i;

    ct_assert(object);
    if (s->free && s->used >= FRESH)
        i = take_free(s);
    else if (s->used < LIMIT)
        i = take_fresh(s);
    else
        return 0;
    s->slots[i].object = object;
    s->count++;
    return s->slots[i].handle;
}

_Bool ct_slots_remove(ct_slots *s, uint32_t handle) {
    uint32_t i = handle & CT_SLOT_MASK;

    if (!ct_slots_get(s, handle)) return 0;
    s->slots[i].object = 0;
    s->slots[i].handle += GENERATION; /* wraps; the index is never 0 */
    s->slots[i].next = s->free ? s->slots[s->free].next : i;
    if (s->free) s->slots[s->free].next = i;
    s->free = i;
    s->count--;
    return 1;
}

void ct_slots_fini(ct_slots *s) {
    ct_free(s->slots);
    *s = (ct_slots){ 0 };
}
