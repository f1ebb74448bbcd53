/* The part of abi.h that is byte streams. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "http/handover.h"
#include "http/listener.h"
#include "vm/channel.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static ct_channel *channel_of(ct_vm *vm, uint32_t handle) {
    vm_channel *c = ct_slots_get(&vm->channels, handle);

    return c ? c->channel : NULL;
}

static void on_change(void *arg) {
    vm_channel *c = arg;

    ct_events_add(c->vm->events, CT_EVENT_CHANNEL, c->handle);
}

static void free_channel(vm_channel *c, bool reset) {
    ct_channel_free(c->channel, reset);
    ct_seat_leave(&c->seat);
    ct_free(c);
}

/* -- Opening --------------------------------------------------------------- */

uint32_t ct_vm_failed(ct_vm *vm, const char *what) {
    vm->why_errno = errno;
    snprintf(vm->why, sizeof vm->why, "%s: %s", what, strerror(errno));
    return 0;
}

bool ct_vm_address(ct_vm *vm, ct_address *out, const char *text) {
    const char *expected;

    if (ct_address_parse(out, text, &expected)) return true;
    vm->why_errno = 0;
    snprintf(vm->why, sizeof vm->why, "%s: %s", text, expected);
    return false;
}

ct_str ct_vm_address_text(ct_vm *vm, const ct_address *a) {
    ct_address_format(a, vm->why);
    return (ct_str){ vm->why, (uint32_t)strlen(vm->why) };
}

static vm_channel *new_channel(ct_vm *vm, uint32_t acceptor) {
    vm_channel *c = ct_new(vm_channel);

    c->vm = vm;
    c->acceptor = acceptor;
    return c;
}

/* The handle of a channel that was opened, or 0. */
static uint32_t keep(vm_channel *c) {
    if (c->channel) c->handle = ct_slots_add(&c->vm->channels, c);
    if (c->handle) return c->handle;
    if (c->channel) errno = EMFILE;
    free_channel(c, false);
    return 0;
}

uint32_t ct_vm_adopt(ct_vm *vm, int fd, uint32_t acceptor) {
    vm_channel *c = new_channel(vm, acceptor);

    c->channel = ct_channel_open(vm->loop, fd, on_change, c);
    return keep(c);
}

uint32_t ct_vm_acceptor_of(ct_vm *vm, uint32_t channel) {
    const vm_channel *c = ct_slots_get(&vm->channels, channel);

    return c ? c->acceptor : 0;
}

uint32_t ct_abi_connect(ct_vm *vm, const char *address, const char *from) {
    ct_address to, source;
    uint32_t handle;
    vm_channel *c;

    if (!ct_vm_address(vm, &to, address)) return 0;
    if (*from && !ct_vm_address(vm, &source, from)) return 0;
    c = new_channel(vm, 0);
    c->channel =
        ct_channel_connect(vm->loop, &to, *from ? &source : NULL, on_change, c);
    handle = keep(c);
    return handle ? handle : ct_vm_failed(vm, address);
}

uint32_t ct_abi_adopt(ct_vm *vm, int descriptor) {
    uint32_t handle = ct_vm_adopt(vm, descriptor, 0);

    return handle ? handle : ct_vm_failed(vm, "descriptor");
}

uint32_t ct_abi_listen_pair(ct_vm *vm, uint32_t listener, const char *ip,
                            uint32_t size) {
    ct_listener *l = ct_slots_get(&vm->server->listeners, listener);
    vm_channel *c;
    ct_peer peer;
    int fd;

    snprintf(vm->why, sizeof vm->why, "no such listener, or no IP address");
    if (!l || l->closed || !ct_peer_parse(&peer, ip, size)) return 0;
    fd = ct_listener_pair(l, &peer);
    if (fd < 0) snprintf(vm->why, sizeof vm->why, "%m");
    if (fd < 0) return 0;
    c = new_channel(vm, 0);
    c->channel = ct_channel_new(vm->loop, fd, on_change, c);
    return keep(c);
}

uint32_t ct_abi_request_detach(ct_vm *vm, uint32_t request) {
    ct_request *r = ct_slots_get(&vm->server->requests, request);
    vm_channel *c;

    if (!r || !r->conn) return 0;
    c = new_channel(vm, 0);
    ct_seat_move(&c->seat, r->conn);
    c->channel = ct_handover(r, on_change, c);
    if (!c->channel) ct_seat_leave(&c->seat);
    if (keep(c) == 0) return 0;
    on_change(c); /* there may be input already */
    return c->handle;
}

int ct_abi_channel_state(ct_vm *vm, uint32_t channel) {
    const ct_channel *c = channel_of(vm, channel);

    return c ? ct_channel_state(c) : CT_CLOSED;
}

int ct_abi_channel_limit(ct_vm *vm, uint32_t channel, double ahead,
                         uint32_t piece) {
    ct_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    ct_channel_limit(c, ahead, piece);
    return CT_OK;
}

/* -- Reading --------------------------------------------------------------- */

static size_t whole(double n) {
    if (!(n > 0)) return 0;
    return n < INT32_MAX ? (size_t)n : INT32_MAX;
}

static int read_what(ct_vm *vm, uint32_t channel, const ct_want *want,
                     ct_str *out) {
    ct_channel *c = channel_of(vm, channel);

    return c ? ct_channel_read(c, want, out) : CT_CLOSED;
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_channel_until(ct_vm *vm, uint32_t channel, int first,
                         const char *mark, uint32_t size, double max,
                         ct_str *out) {
    ct_want want = { CT_WANT_UNTIL, first, { mark, size }, NULL, whole(max) };

    return size ? read_what(vm, channel, &want, out) : CT_ERROR;
}

int ct_abi_channel_match(ct_vm *vm, uint32_t channel, int first, uint32_t regex,
                         double max, ct_str *out) {
    ct_want want = { CT_WANT_REGEX, first, { "", 0 }, NULL, whole(max) };

    want.regex = ct_slots_get(&vm->regexes, regex);
    return want.regex ? read_what(vm, channel, &want, out) : CT_CLOSED;
}

int ct_abi_channel_bytes(ct_vm *vm, uint32_t channel, int partial, double n,
                         ct_str *out) {
    ct_want want = {
        partial ? CT_WANT_SOME : CT_WANT_BYTES, false, { "", 0 }, NULL, whole(n)
    };

    return read_what(vm, channel, &want, out);
}

int ct_abi_channel_all(ct_vm *vm, uint32_t channel, ct_str *out) {
    ct_want want = { CT_WANT_ALL, false, { "", 0 }, NULL, 0 };

    return read_what(vm, channel, &want, out);
}

int ct_abi_channel_into(ct_vm *vm, uint32_t channel, char *out, uint32_t max) {
    ct_want want = { CT_WANT_SOME, false, { "", 0 }, NULL, whole(max) };
    ct_str got;
    int status = read_what(vm, channel, &want, &got);

    if (status != CT_OK) return -status;
    memcpy(out, got.p, got.n);
    return (int)got.n;
}

int ct_abi_channel_unread(ct_vm *vm, uint32_t channel, const char *p,
                          uint32_t size) {
    ct_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    ct_channel_unread(c, p, size);
    return CT_OK;
}

int ct_abi_channel_rest(ct_vm *vm, uint32_t channel, ct_str *out) {
    const ct_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    *out = ct_channel_rest(c);
    return CT_OK;
}

int ct_abi_channel_poll(ct_vm *vm, uint32_t channel) {
    ct_channel *c = channel_of(vm, channel);

    return c ? ct_channel_poll(c) : CT_CLOSED;
}

int ct_abi_channel_recv(ct_vm *vm, uint32_t channel, uint32_t max,
                        ct_str *out) {
    ct_channel *c = channel_of(vm, channel);
    char *scratch = vm->loop->scratch;
    ssize_t n;

    *out = (ct_str){ scratch, 0 };
    if (!c) return CT_CLOSED;
    if (max > CT_LOOP_SCRATCH) max = CT_LOOP_SCRATCH;
    n = ct_channel_recv(c, scratch, max);
    if (n == CT_STREAM_AGAIN) return CT_AGAIN;
    if (n == CT_STREAM_EOF) return CT_EOF;
    if (n < 0) return CT_ERROR;
    out->n = (uint32_t)n;
    return CT_OK;
}

/* -- Sending, closing ------------------------------------------------------ */

int ct_abi_channel_write(ct_vm *vm, uint32_t channel, const char *p,
                         uint32_t size) {
    ct_channel *c = channel_of(vm, channel);

    if (size > INT32_MAX) size = INT32_MAX;
    return c ? (int)ct_channel_write(c, p, size) : -1;
}

int ct_abi_channel_send(ct_vm *vm, uint32_t channel, const char *p,
                        uint32_t size) {
    ct_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    return ct_channel_send(c, p, size) ? CT_OK : CT_LIMIT;
}

uint32_t ct_abi_channel_unsent(ct_vm *vm, uint32_t channel) {
    const ct_channel *c = channel_of(vm, channel);

    return c ? (uint32_t)ct_channel_unsent(c) : 0;
}

int ct_abi_channel_shut(ct_vm *vm, uint32_t channel) {
    ct_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    ct_channel_shut(c);
    return CT_OK;
}

int ct_abi_channel_close(ct_vm *vm, uint32_t channel, int reset) {
    vm_channel *c = ct_slots_get(&vm->channels, channel);

    if (!c) return CT_CLOSED;
    ct_slots_remove(&vm->channels, channel);
    free_channel(c, reset);
    return CT_OK;
}

/* -- About a channel ------------------------------------------------------- */

int ct_abi_channel_errno(ct_vm *vm, uint32_t channel) {
    const ct_channel *c = channel_of(vm, channel);

    return c ? c->error : 0;
}

int ct_abi_channel_descriptor(ct_vm *vm, uint32_t channel) {
    ct_channel *c = channel_of(vm, channel);

    if (!c) return -1;
    c->stream.shown = true;
    return c->stream.fd;
}

int ct_abi_channel_nodelay(ct_vm *vm, uint32_t channel, int on) {
    const ct_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    return setsockopt(c->stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ==
                   0
               ? CT_OK
               : CT_ERROR;
}

int ct_abi_channel_address(ct_vm *vm, uint32_t channel, int peer, ct_str *out) {
    const ct_channel *c = channel_of(vm, channel);
    ct_address a = { .size = sizeof a.sa };
    struct sockaddr *sa = (struct sockaddr *)&a.sa;

    if (!c) return CT_CLOSED;
    if (peer ? getpeername(c->stream.fd, sa, &a.size)
             : getsockname(c->stream.fd, sa, &a.size))
        return CT_ERROR;
    *out = ct_vm_address_text(vm, &a);
    return CT_OK;
}

void ct_vm_free_channels(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->channels.used; i++)
        if (vm->channels.slots[i].object)
            free_channel(vm->channels.slots[i].object, true);
    ct_slots_fini(&vm->channels);
}
