/* The last minutes of a server: about once a second one of its processes, whoever
 * is first, adds up the board and keeps the sums. It is the shared piece
 * "history", so it outlives each of them. Nothing is locked: one that is killed
 * while it writes leaves a sample out. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_HISTORY_H
#define CT_HISTORY_H

#include "data/board.h"
#include "data/metrics.h"
#include "data/shared.h"
#include <stdint.h>

enum {
    CT_HISTORY_SAMPLES = 300,
    CT_HISTORY_NUMBERS = 48 /* room of a sample; see history.c */
};

typedef struct ct_history_sample {
    _Atomic uint32_t number; /* 1 and up; 0: it is being written */
    ct_count numbers[CT_HISTORY_NUMBERS];
} ct_history_sample;

typedef struct ct_history {
    _Atomic bool wanted;    /* else none is taken */
    _Atomic uint64_t taken; /* ct_board_now() of the last one */
    _Atomic uint32_t last;  /* its number; 0: none yet */
    ct_history_sample samples[CT_HISTORY_SAMPLES];
} ct_history;

/* The piece in `shared`; NULL with errno set when there is no memory. The master
 * asks for it first. */
ct_history *ct_history_get(ct_shared *shared);

/* Keeps a sample, if they are wanted and the server has taken over, and unless there is one that is hardly a
 * second old. */
void ct_history_take(ct_history *h, const ct_board *b);

/* The samples after that number, as JSON: a list of lists, each a sample's number,
 * its time and what ct_history_columns() names. Caller frees with ct_free(). */
char *ct_history_text(const ct_history *h, uint32_t after);

/* The names of the columns, and the bounds of times: { columns, bounds }, as JSON.
 * Caller frees with ct_free(). */
char *ct_history_columns(void);

#endif
