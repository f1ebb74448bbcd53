/* Changes in folders, as Linux tells them: inotify(7). A folder is watched, and
 * not the file, for an editor writes a new file and renames it. Lifetime: its
 * owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_INOTIFY_H
#define CT_INOTIFY_H

#include "io/loop.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct ct_inotify ct_inotify;

/* Called in each turn in which there are changes to take. */
typedef void ct_inotify_fn(void *arg);

typedef struct ct_inotify_change {
    int folder;       /* what ct_inotify_add() gave; -1: changes were lost */
    const char *name; /* in the folder; empty: the folder itself is gone */
    bool is_folder;   /* a folder is new in it, or has gone */
} ct_inotify_change;

/* NULL when there cannot be another one: errno says why (EMFILE:
 * fs.inotify.max_user_instances). Borrows `loop`. Caller frees with
 * ct_inotify_free(). */
ct_inotify *ct_inotify_new(ct_loop *loop, ct_inotify_fn *fn, void *arg);

/* Watches what is in a folder, but not below it. A number of the folder, the same
 * for each path that leads to it; or -1 with errno set (ENOSPC:
 * fs.inotify.max_user_watches). */
int ct_inotify_add(ct_inotify *i, const char *path);

/* Takes the next change: a file that was written and closed, removed, or renamed.
 * False when there is none. `name` is valid until the next call. */
bool ct_inotify_next(ct_inotify *i, ct_inotify_change *out);

/* Stops watching; NULL is fine. */
void ct_inotify_free(ct_inotify *i);

#endif
