/* The part of abi.h that is child processes. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "io/process.h"
#include "vm/vm.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(ct_spawn) == 64, "ct_spawn as the FFI lays it out");
_Static_assert(sizeof(ct_spawned) == 20, "ct_spawned likewise");

typedef struct vm_process {
    ct_vm *vm;
    ct_process *process;
    uint32_t handle;
    bool given_back; /* Lua knows it no more; its end frees it */
} vm_process;

static vm_process *process_of(ct_vm *vm, uint32_t handle) {
    vm_process *p = ct_slots_get(&vm->processes, handle);

    return p && !p->given_back ? p : NULL;
}

static void free_process(vm_process *p) {
    ct_slots_remove(&p->vm->processes, p->handle);
    ct_process_free(p->process);
    ct_free(p);
}

static void on_end(void *arg) {
    vm_process *p = arg;

    if (p->given_back)
        free_process(p);
    else
        ct_events_add(p->vm->events, CT_EVENT_PROCESS, p->handle);
}

/* posix_spawn() says ENOENT for the folder as well as for the program. */
static void explain(ct_vm *vm, const ct_spawn *spawn, int error) {
    const char *what = spawn->program ? spawn->program : spawn->args.p;
    struct stat st;

    if (spawn->cwd && (stat(spawn->cwd, &st) != 0 || !S_ISDIR(st.st_mode)))
        what = spawn->cwd;
    errno = error;
    snprintf(vm->why, sizeof vm->why, "%s: %m", what);
}

uint32_t ct_abi_spawn(ct_vm *vm, const ct_spawn *spawn, ct_spawned *out) {
    vm_process *p = ct_new(vm_process);

    p->vm = vm;
    p->handle = ct_slots_add(&vm->processes, p);
    *out = (ct_spawned){ .error = EAGAIN };
    if (p->handle)
        p->process = ct_process_spawn(vm->loop, spawn, on_end, p, out);
    if (p->process) return p->handle;
    explain(vm, spawn, out->error);
    free_process(p);
    return 0;
}

int ct_abi_process_status(ct_vm *vm, uint32_t process, int32_t *out) {
    const vm_process *p = process_of(vm, process);

    if (!p) return CT_CLOSED;
    return ct_process_status(p->process, out) ? CT_OK : CT_AGAIN;
}

int ct_abi_process_kill(ct_vm *vm, uint32_t process, int signal, int group,
                        int last) {
    vm_process *p = process_of(vm, process);

    if (!p) return CT_CLOSED;
    if (last) ct_process_kill_rest(p->process);
    if (ct_process_kill(p->process, signal, group)) return CT_OK;
    if (errno == ESRCH) return CT_EOF;
    snprintf(vm->why, sizeof vm->why, "kill: %m");
    return CT_ERROR;
}

void ct_abi_process_free(ct_vm *vm, uint32_t process) {
    vm_process *p = process_of(vm, process);
    int status;

    if (!p) return;
    if (ct_process_status(p->process, &status))
        free_process(p);
    else
        p->given_back = true;
}

void ct_abi_close(int fd) {
    close(fd);
}

int ct_abi_fileno(void *file) {
    return fileno(file);
}

/* All are told first, so that they end together. */
void ct_vm_free_processes(ct_vm *vm) {
    double till = ct_clock_precise() + 1;
    int status;

    for (uint32_t i = 1; i < vm->processes.used; i++) {
        vm_process *p = vm->processes.slots[i].object;
        if (p && !ct_process_is_detached(p->process))
            (void)!ct_process_kill(p->process, SIGTERM, true);
    }
    for (uint32_t i = 1; i < vm->processes.used; i++) {
        vm_process *p = vm->processes.slots[i].object;
        if (!p) continue;
        if (!ct_process_is_detached(p->process) &&
            !ct_process_status(p->process, &status))
            ct_process_finish(p->process, till);
        free_process(p);
    }
    ct_slots_fini(&vm->processes);
}
