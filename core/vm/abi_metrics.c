/* The part of abi.h that looks at the processes of a server. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "data/board.h"
#include "data/status.h"
#include "vm/vm.h"
#include <string.h>

/* Keeps the text, of which the caller is the owner. */
static void give(ct_vm *vm, char *text, ct_str *out) {
    ct_free(vm->text);
    vm->text = text;
    *out = (ct_str){ text, (uint32_t)strlen(text) };
}

int ct_abi_server_state(ct_vm *vm) {
    return ct_board_has(vm->place.board, CT_WORKER_SERVING) ? CT_SERVER_SERVING
           : ct_board_has(vm->place.board, CT_WORKER_ENDING)
               ? CT_SERVER_ENDING
               : CT_SERVER_STARTING;
}

void ct_abi_server_status(ct_vm *vm, ct_str *out) {
    give(vm, ct_status_text(vm->place.board), out);
}
