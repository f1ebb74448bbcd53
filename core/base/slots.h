/* A table of handles: what Lua holds instead of pointers. A handle is a slot's
 * index and its generation; when the slot is freed the generation moves on, so
 * an old handle finds nothing. Zero is never a handle. Limit: 2^20 slots. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_SLOTS_H
#define CT_SLOTS_H

#include <stdint.h>

enum { CT_SLOT_BITS = 20, CT_SLOT_MASK = (1 << CT_SLOT_BITS) - 1 };

typedef struct ct_slot {
    void *object;    /* NULL: free */
    uint32_t handle; /* current generation << CT_SLOT_BITS | index */
    uint32_t next;   /* in the free ring: index of the next */
} ct_slot;

typedef struct ct_slots {
    ct_slot *slots; /* slot 0 is never used */
    uint32_t size;  /* allocated */
    uint32_t used;  /* 1 + highest index ever used */
    uint32_t free;  /* last of the free ring, or 0 */
    uint32_t count; /* objects in the table */
} ct_slots;

/* Puts `object` into a slot; returns its handle, or 0 when all are taken. */
uint32_t ct_slots_add(ct_slots *s, void *object);

/* The object of `handle`, or NULL when it is gone. */
static inline void *ct_slots_get(const ct_slots *s, uint32_t handle) {
    uint32_t i = handle & CT_SLOT_MASK;
    if (i >= s->used || s->slots[i].handle != handle) return 0;
    return s->slots[i].object;
}

/* Frees the slot; false when the handle is old. The object is not touched. */
_Bool ct_slots_remove(ct_slots *s, uint32_t handle);

/* Frees the table (not the objects). */
void ct_slots_fini(ct_slots *s);

#endif
