/* What a server is like now, as JSON for who looks at it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_OVERVIEW_H
#define CT_OVERVIEW_H

#include "data/board.h"
#include "data/metrics.h"

enum { CT_OVERVIEW_HANDLERS = 100 };

/* { workers, statuses, handlers }: a list of the workers' numbers; replies by
 * status; and a list of { name, requests, errors, seconds, max, p50, p99 } of the
 * handler classes that took the most time, the busiest first, at most
 * CT_OVERVIEW_HANDLERS; max and the percentiles are seconds. Caller frees with ct_free(). */
char *ct_overview_text(const ct_board *b, const ct_metrics *m);

#endif
