/* What Lua was at, for the log of a process that dies. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_LAST_WORDS_H
#define CT_LAST_WORDS_H

#include "base/log.h"

/* Logs whose request it was and the Lua stack, if Lua ran and was watched
 * (vm/watchdog.h). For a signal's handler: allocates nothing, and may fault where all
 * is in disorder. */
void ct_last_words(ct_log *log);

#endif
