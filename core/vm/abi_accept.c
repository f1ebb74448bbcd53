/* The part of abi.h that listens for channels, and makes pairs of descriptors. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "io/listen.h"
#include "vm/channel.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct vm_acceptor {
    ct_vm *vm;
    ct_listen *listen;
    uint32_t handle;
} vm_acceptor;

static void free_acceptor(vm_acceptor *a) {
    ct_listen_free(a->listen);
    ct_free(a);
}

static void on_peer(int fd, const ct_address *peer, void *arg) {
    vm_acceptor *a = arg;
    uint32_t channel = ct_vm_adopt(a->vm, fd, a->handle);

    (void)peer; /* ct_abi_channel_address() asks the socket */
    if (channel) ct_events_add(a->vm->events, CT_EVENT_ACCEPT, channel);
}

/* The file was made for its owner alone; then others may be let in. */
static void set_mode(const ct_address *at, mode_t mode) {
    const struct sockaddr_un *sa = (const void *)&at->sa;

    if (at->sa.ss_family != AF_UNIX || !sa->sun_path[0] || mode == 0600) return;
    (void)chmod(sa->sun_path, mode); /* it is ours, and was there just now */
}

uint32_t ct_abi_accept(ct_vm *vm, const char *address, uint32_t backlog,
                       uint32_t mode, uint32_t flags) {
    vm_acceptor *a;
    ct_address at;

    if (!ct_vm_address(vm, &at, address)) return 0;
    at.share = flags & CT_ACCEPT_SHARE;
    a = ct_new(vm_acceptor);
    a->vm = vm;
    errno = 0;
    a->listen = ct_listen_new(vm->loop, &at, (int)backlog, on_peer, a, vm->why,
                              sizeof vm->why);
    vm->why_errno = a->listen ? 0 : errno;
    if (a->listen) a->handle = ct_slots_add(&vm->acceptors, a);
    if (!a->handle) {
        free_acceptor(a);
        return 0;
    }
    ct_listen_hold(a->listen, true);
    set_mode(&at, (mode_t)mode);
    return a->handle;
}

int ct_abi_accept_watch(ct_vm *vm, uint32_t acceptor, int on) {
    vm_acceptor *a = ct_slots_get(&vm->acceptors, acceptor);

    if (!a) return CT_CLOSED;
    ct_listen_hold(a->listen, !on);
    return CT_OK;
}

int ct_abi_accept_address(ct_vm *vm, uint32_t acceptor, ct_str *out) {
    vm_acceptor *a = ct_slots_get(&vm->acceptors, acceptor);

    if (!a) return CT_CLOSED;
    *out = ct_vm_address_text(vm, ct_listen_address(a->listen));
    return CT_OK;
}

int ct_abi_address_check(ct_vm *vm, const char *address) {
    ct_address at;

    return ct_vm_address(vm, &at, address) ? CT_OK : CT_ERROR;
}

int ct_abi_accept_close(ct_vm *vm, uint32_t acceptor) {
    vm_acceptor *a = ct_slots_get(&vm->acceptors, acceptor);

    if (!a) return CT_CLOSED;
    ct_slots_remove(&vm->acceptors, acceptor);
    free_acceptor(a);
    return CT_OK;
}

void ct_vm_free_acceptors(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->acceptors.used; i++)
        if (vm->acceptors.slots[i].object)
            free_acceptor(vm->acceptors.slots[i].object);
    ct_slots_fini(&vm->acceptors);
}

/* -- Errors and descriptors ------------------------------------------------ */

int ct_abi_errno(ct_vm *vm) {
    return vm->why_errno;
}

const char *ct_abi_errno_name(int error) {
    const char *name = strerrorname_np(error);

    return name ? name : "";
}

const char *ct_abi_errno_text(int error) {
    return strerror(error); /* NOLINT(concurrency-mt-unsafe): one thread */
}

int ct_abi_pipe(ct_vm *vm, int32_t *out) {
    if (pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0) return CT_OK;
    (void)ct_vm_failed(vm, "pipe");
    return CT_ERROR;
}

int ct_abi_pair(ct_vm *vm, int32_t *out) {
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

    if (socketpair(AF_UNIX, type, 0, out) == 0) return CT_OK;
    (void)ct_vm_failed(vm, "socketpair");
    return CT_ERROR;
}

int ct_abi_descriptor_copy(ct_vm *vm, int descriptor) {
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);

    if (copy == -1) (void)ct_vm_failed(vm, "copy of a descriptor");
    return copy;
}

int ct_abi_descriptor_close(int descriptor) {
    return close(descriptor) == 0 ? CT_OK : CT_ERROR;
}
