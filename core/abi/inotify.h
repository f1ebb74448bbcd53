/* Changes in folders. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_INOTIFY_H
#define CT_ABI_INOTIFY_H
#include "abi/base.h"

typedef struct ct_folder_change {
    ct_str name;        /* of a file; empty: the folder itself is gone */
    uint32_t folder;    /* its number; 0: changes were lost */
    uint32_t is_folder; /* the name is that of a folder, new or gone */
} ct_folder_change;

/* A set of folders: CT_EVENT_INOTIFY comes when something in them has changed.
 * 0: see ct_abi_why(). */
uint32_t ct_abi_inotify(ct_vm *vm);

/* Watches a folder, not what is below: OK with its number, LIMIT when the system
 * allows no more, ERROR, CLOSED. */
int ct_abi_inotify_add(ct_vm *vm, uint32_t inotify, const char *path,
                       uint32_t *folder);

/* Takes the next change: OK, AGAIN, CLOSED. */
int ct_abi_inotify_next(ct_vm *vm, uint32_t inotify, ct_folder_change *out);
int ct_abi_inotify_close(ct_vm *vm, uint32_t inotify);

#endif
