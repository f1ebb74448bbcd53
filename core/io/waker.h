/* How other threads speak to the loop: they post notes, whose functions run on
 * the loop's thread, in order. One wake-up serves all notes that wait. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WAKER_H
#define CT_WAKER_H

#include "base/list.h"
#include "io/loop.h"

typedef struct ct_waker ct_waker;

/* Part of what it is about; its poster's until its function is called. */
typedef struct ct_note {
    ct_list node;
    void (*fn)(struct ct_note *note); /* on the loop; may free the note */
} ct_note;

/* Watches a new eventfd. NULL, with errno set, without descriptors. Borrows
 * `loop`. Caller frees with ct_waker_free(). */
ct_waker *ct_waker_new(ct_loop *loop);

/* From any thread: has note->fn called on the loop. */
void ct_waker_post(ct_waker *w, ct_note *note);

/* On the loop: calls at once what was posted. */
void ct_waker_flush(ct_waker *w);

/* NULL is fine. Nobody may post any more. */
void ct_waker_free(ct_waker *w);

#endif
