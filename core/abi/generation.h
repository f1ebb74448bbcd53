/* Loading sites beside those that serve. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_GENERATION_H
#define CT_ABI_GENERATION_H
#include "abi/base.h"

/* Which generation of the sites this state is: 1 for the first. While a later
 * one is loaded it shares the open listeners and accepts nothing. */
uint32_t ct_abi_generation(ct_vm *vm);

/* All is loaded: this generation serves from the next turn on, and the one before
 * it gets CT_EVENT_RETIRE. */
void ct_abi_ready(ct_vm *vm);

/* It cannot be loaded, and why; the one before it serves on. */
void ct_abi_failed(ct_vm *vm, const char *text, uint32_t size);

/* Asks for a reload, as from outside. */
void ct_abi_reload(ct_vm *vm);

#endif
