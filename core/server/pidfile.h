/* A file with the server's process number, for who has no systemd. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PIDFILE_H
#define CT_PIDFILE_H

#include "base/log.h"

/* Puts this process's number into the file, in place of what is there; NULL or ""
 * is none. A failure is logged. */
void ct_pidfile_write(const char *path, ct_log *log);

/* Removes it, unless another process has its number there by now. */
void ct_pidfile_remove(const char *path);

/* Another file from here on, or the same one; "" is none. */
void ct_pidfile_move(const char *before, const char *now, ct_log *log);

#endif
