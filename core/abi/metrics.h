/* What the processes of a server know of each other: their states. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_METRICS_H
#define CT_ABI_METRICS_H
#include "abi/base.h"

typedef enum ct_server_state {
    CT_SERVER_STARTING, /* no worker serves yet */
    CT_SERVER_SERVING,  /* at least one does */
    CT_SERVER_ENDING    /* what is under way is answered, no more */
} ct_server_state;

/* The state of all workers together. */
int ct_abi_server_state(ct_vm *vm);

/* What `ctornado status json` shows, valid until the next call of a function of
 * this part that gives a text. */
void ct_abi_server_status(ct_vm *vm, ct_str *out);

#endif
