/* What a worker shows of itself on the board, beside what it counts. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_FIGURES_H
#define CT_FIGURES_H

#include "data/board.h"
#include "server/generations.h"

enum { CT_FIGURES_TICK = 1 }; /* seconds from one to the next */

/* Its generations, its memory, its WebSockets, and that it lives. */
void ct_figures_show(ct_board_row *row, const ct_generations *g);

/* Bytes of memory that this process has; 0: not known. */
uint64_t ct_figures_resident(void);

/* How late this tick is: what held the loop, or the machine. `ticked` is when the
 * last one was (0: never), and becomes now. */
void ct_figures_lag(ct_board_row *row, double *ticked);

#endif
