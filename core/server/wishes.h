/* What a generation wants of its process (ct_vm_wishes), as a line for the master,
 * and compared with what was wanted before. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WISHES_H
#define CT_WISHES_H

#include "vm/vm.h"
#include <stdbool.h>
#include <stddef.h>

/* Writes "wishes ..." and a newline; false when `size` is too small. */
bool ct_wishes_format(const ct_vm_wishes *w, char *out, size_t size)
    __attribute__((warn_unused_result));

/* Sends that line; one that is longer than CT_CHILD_ANSWER is not sent. */
void ct_wishes_send(const ct_vm_wishes *w, int channel);

/* What such a line (without the newline) has; NULL when it is none. Caller frees
 * with ct_vm_wishes_free(). */
ct_vm_wishes *ct_wishes_parse(const char *line);

/* Writes the names of the options that have changed and that only a restart can
 * change, or nothing. `alone`: there is no master. */
void ct_wishes_compare(const ct_vm_wishes *before, const ct_vm_wishes *now,
                       bool alone, char *out, size_t size);

/* With a master: puts back what only a restart can change. */
void ct_wishes_stay(ct_vm_wishes *now, const ct_vm_wishes *before);

/* Has SIGINT and SIGTERM kill a process whose loop does not hear of them in time: while
 * one handler holds the loop of a server, others' requests may still be answered, but
 * not behind stop_timeout. NULL: it does not serve. */
void ct_wishes_wait(const ct_vm_wishes *w);

#endif
