/* What ends a process whose first script does not return to the loop: a site that
 * computes or blocks while it is loaded. Once it serves, that is the watchdog's.
 * Lifetime: process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_EARLY_H
#define CT_EARLY_H

#include "base/log.h"

/* From here on SIGTERM, SIGINT and SIGQUIT end the process with exit code 128 + the
 * signal when the loop has not taken them within a second. They must be watched
 * (io/signals.h) already, and until ct_early_end(). Borrows `log`. */
void ct_early_begin(ct_log *log);

/* The loop has taken one. */
void ct_early_taken(void);

/* It serves, or ends. */
void ct_early_end(void);

#endif
