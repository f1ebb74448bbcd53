/* The last errors of a server, as JSON. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ERRORS_TEXT_H
#define CT_ERRORS_TEXT_H

#include "data/board.h"

/* Those in the log of all workers, as a list of objects of JSON, of each worker the
 * newest first. Caller frees with ct_free(). */
char *ct_errors_text(const ct_board *b);

#endif
