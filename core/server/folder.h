/* A folder for what the workers of a master share, such as their sockets to each
 * other. Lifetime: the master's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_FOLDER_H
#define CT_FOLDER_H

#include <stdbool.h>

enum { CT_FOLDER_PATH = 72 }; /* bytes: leaves room in a socket's address */

/* Makes one that nobody but `user` (empty: this process's own) can enter, in
 * $XDG_RUNTIME_DIR, /run or /tmp. False: errno says why. */
bool ct_folder_make(char path[CT_FOLDER_PATH], const char *user)
    __attribute__((warn_unused_result));

/* Removes it with the files in it. An empty path is fine. */
void ct_folder_remove(const char *path);

#endif
