/* What a process says when it dies of a fault in C: the signal, the function, and
 * those that called it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CRASH_H
#define CT_CRASH_H

#include "base/log.h"

/* Logs faults of this process from now on; it dies of them all the same, with a
 * core if its limit allows one. Borrows `log` until the process ends. Under ASan it
 * does nothing: that says more. */
void ct_crash_watch(ct_log *log);

#endif
