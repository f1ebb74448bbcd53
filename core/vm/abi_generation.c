/* The part of abi.h that is generations: what a state says of itself. Who acts on
 * it is server/generations.c. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "data/board.h"
#include "vm/vm.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

int ct_abi_hand_over(ct_vm *vm, const char *p, uint32_t size) {
    ct_buf_fini(&vm->estate);
    vm->handed_over = true;
    if (size > CT_ESTATE) return CT_LIMIT;
    ct_buf_add(&vm->estate, p, size);
    return CT_OK;
}

void ct_abi_estate(ct_vm *vm, ct_str *out) {
    out->p = vm->estate.len ? ct_buf_bytes(&vm->estate) : "";
    out->n = (uint32_t)vm->estate.len;
}

void ct_abi_drop_estate(ct_vm *vm) {
    ct_buf_fini(&vm->estate);
}

void ct_abi_reload(ct_vm *vm) {
    vm->wants_reload = true;
    vm->loop->again = true;
}

void ct_abi_reload_report(ct_vm *vm, ct_str *out) {
    out->p = vm->reload_report ? vm->reload_report : "";
    out->n = (uint32_t)strlen(out->p);
}

static char *copied(ct_str s) {
    return ct_memdup(s.p, s.n);
}

void ct_abi_wishes(ct_vm *vm, const ct_supervision *s) {
    ct_vm_wishes *w = ct_new(ct_vm_wishes);

    w->addresses = copied(s->addresses);
    w->admin = copied(s->admin);
    w->control = copied(s->control);
    w->pid_file = copied(s->pid_file);
    w->user = copied(s->user);
    w->group = copied(s->group);
    w->stop_timeout = s->stop_timeout;
    w->worker_timeout = s->worker_timeout;
    w->ticket_rotation = s->ticket_rotation;
    w->workers = s->workers;
    w->backlog = s->backlog;
    w->supervise = s->supervise;
    w->no_new_privs = s->no_new_privs;
    ct_vm_wishes_free(vm->wishes);
    vm->wishes = w;
}

void ct_abi_supervise(ct_vm *vm, const ct_supervision *s) {
    ct_abi_wishes(vm, s);
    vm->supervises = vm->exiting = true;
}

void ct_vm_wishes_free(ct_vm_wishes *w) {
    if (!w) return;
    ct_free(w->addresses);
    ct_free(w->admin);
    ct_free(w->control);
    ct_free(w->pid_file);
    ct_free(w->user);
    ct_free(w->group);
    ct_free(w);
}

void ct_abi_control(ct_vm *vm, const char *path, uint32_t size) {
    ct_free(vm->control);
    vm->control = ct_memdup(path, size);
}

void ct_abi_pid_file(ct_vm *vm, const char *path, uint32_t size) {
    ct_free(vm->pid_file);
    vm->pid_file = ct_memdup(path, size);
}

uint32_t ct_abi_user_id(void) {
    return geteuid();
}

uint32_t ct_abi_worker(ct_vm *vm) {
    return vm->place.worker;
}

uint32_t ct_abi_workers(ct_vm *vm) {
    return vm->place.workers;
}

int ct_abi_is_heir(ct_vm *vm) {
    return vm->place.board && vm->place.board->heir;
}

void ct_abi_shared_folder(ct_vm *vm, ct_str *out) {
    out->p = vm->place.folder;
    out->n = (uint32_t)strlen(out->p);
}

/* Threads end with it, and all descriptors but the three are closed by exec. */
int ct_abi_restart(ct_vm *vm, const char *arguments, uint32_t count) {
    char *copy[CT_RESTART_MOST + 1] = { NULL };

    for (uint32_t i = 0; i < count && i < CT_RESTART_MOST; i++) {
        copy[i] = ct_memdup(arguments, strlen(arguments));
        arguments += strlen(arguments) + 1;
    }
    fflush(stdout);
    execv("/proc/self/exe", copy);
    snprintf(vm->why, sizeof vm->why, "cannot start anew: %s", strerror(errno));
    for (uint32_t i = 0; copy[i]; i++) ct_free(copy[i]);
    return CT_ERROR;
}
