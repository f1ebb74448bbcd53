/* What `ctornado status` shows, as JSON. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_STATUS_H
#define CT_STATUS_H

#include "data/board.h"

/* An object with the server's and each worker's numbers. Caller frees with
 * ct_free(). */
char *ct_status_text(const ct_board *b);

#endif
