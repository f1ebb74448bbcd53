/* An intrusive doubly linked ring. A node that is in no list points to itself. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_LIST_H
#define CT_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ct_list {
    struct ct_list *next, *prev;
} ct_list;

/* The struct of `type` that has the node `n` as its `member`. */
#define ct_list_of(n, type, member)                                            \
    ((type *)((char *)(n)-offsetof(type, member)))

static inline void ct_list_init(ct_list *l) {
    l->next = l->prev = l;
}

static inline bool ct_list_is_empty(const ct_list *l) {
    return l->next == l;
}

/* Adds `n` as the last of `l`. */
static inline void ct_list_add(ct_list *l, ct_list *n) {
    n->next = l;
    n->prev = l->prev;
    l->prev->next = n;
    l->prev = n;
}

/* Takes `n` out of its list, if it is in one. */
static inline void ct_list_remove(ct_list *n) {
    n->prev->next = n->next;
    n->next->prev = n->prev;
    ct_list_init(n);
}

#endif
