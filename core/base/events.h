/* The queue between C, which collects events, and Lua, which pulls them. It
 * grows with the objects that can have an event, each of which has at most one
 * of a kind waiting. Lifetime: the generation. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_EVENTS_H
#define CT_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ct_events_item {
    uint32_t type; /* ct_event_type */
    uint32_t handle;
} ct_events_item;

typedef struct ct_events {
    ct_events_item *items;
    uint32_t size; /* a power of two, or 0 */
    uint32_t first, count;
} ct_events;

void ct_events_add(ct_events *q, uint32_t type, uint32_t handle);

/* Takes the oldest; false when there is none. */
bool ct_events_take(ct_events *q, ct_events_item *out);

void ct_events_fini(ct_events *q);

#endif
