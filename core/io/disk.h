/* Files read and written by calls that block: for the threads of a pool. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_DISK_H
#define CT_DISK_H

#include "abi.h"

/* Does what `args` say with `path`, and fills *out: its text is what was read, or
 * strerror() when its error is set. Returns the memory that the text needs, or
 * NULL; caller frees with ct_free(). */
char *ct_disk_run(const char *path, const ct_disk_args *args,
                  ct_job_result *out);

#endif
