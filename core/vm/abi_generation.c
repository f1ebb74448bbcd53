/* The part of abi.h that is generations: what a state says of itself. Who acts on
 * it is server/generations.c. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "vm/vm.h"

uint32_t ct_abi_generation(ct_vm *vm) {
    return vm->generation;
}

void ct_abi_ready(ct_vm *vm) {
    vm->ready = true;
}

void ct_abi_failed(ct_vm *vm, const char *text, uint32_t size) {
    ct_free(vm->report);
    vm->report = ct_memdup(text, size);
    vm->exiting = true;
}

void ct_abi_reload(ct_vm *vm) {
    vm->wants_reload = true;
}
