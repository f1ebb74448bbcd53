/* The part of abi.h that is WebSockets. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "http/conn.h"
#include "http/handover.h"
#include "http/server.h"
#include "http/ws_conn.h"
#include "vm/channel.h"
#include "vm/vm.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(sizeof(ct_websocket_options) == 104, "as the FFI lays it out");
_Static_assert(sizeof(ct_websocket_item) == 24, "likewise");
_Static_assert((int)CT_WS_ANSWER <= (int)CT_VM_WHY, "an answer fits vm->why");

static ct_ws_conn *websocket_of(ct_vm *vm, uint32_t handle) {
    return ct_slots_get(&vm->websockets.slots, handle);
}

/* -- Compression ----------------------------------------------------------- */

static ct_ws_params to_params(const ct_websocket_deflate *d) {
    return (ct_ws_params){ .own_bits = (uint8_t)d->own_bits,
                           .peer_bits = (uint8_t)d->peer_bits,
                           .own_takeover = d->own_takeover,
                           .peer_takeover = d->peer_takeover,
                           .level = (uint8_t)d->level,
                           .memory = (uint8_t)d->memory };
}

static ct_websocket_deflate from_params(const ct_ws_params *p) {
    return (ct_websocket_deflate){ p->own_bits,     p->peer_bits,
                                   p->own_takeover, p->peer_takeover,
                                   p->level,        p->memory };
}

int ct_abi_websocket_offers(ct_vm *vm, const char *offers, uint32_t size,
                            const ct_websocket_deflate *want,
                            ct_websocket_deflate *agreed, ct_str *answer) {
    ct_ws_params wanted = to_params(want), chosen;

    if (!ct_ws_accept_offer(offers, size, &wanted, &chosen, vm->why))
        return CT_EOF;
    *agreed = from_params(&chosen);
    *answer = (ct_str){ vm->why, (uint32_t)strlen(vm->why) };
    return CT_OK;
}

int ct_abi_websocket_answer(const char *answer, uint32_t size,
                            const ct_websocket_deflate *want,
                            ct_websocket_deflate *agreed) {
    ct_ws_params wanted = to_params(want), chosen;

    if (!ct_ws_check_answer(answer, size, &wanted, &chosen)) return CT_ERROR;
    *agreed = from_params(&chosen);
    return CT_OK;
}

/* -- Opening --------------------------------------------------------------- */

static uint32_t ms(double seconds) {
    if (seconds <= 0) return 0;
    if (seconds > 4e6) return 4000000000u;
    return seconds < 1e-3 ? 1 : (uint32_t)(seconds * 1e3);
}

static size_t bytes(double n) {
    return n < 0 ? 0 : n > UINT32_MAX - 64 ? UINT32_MAX - 64 : (size_t)n;
}

static ct_ws_options to_options(const ct_websocket_options *o) {
    return (ct_ws_options){ .max_message = bytes(o->max_message),
                            .max_queue = bytes(o->max_queue),
                            .threshold = bytes(o->threshold),
                            .ping_interval = ms(o->ping_interval),
                            .ping_timeout = ms(o->ping_timeout),
                            .close_timeout = ms(o->close_timeout),
                            .pace = { ms(o->write_timeout),
                                      (uint32_t)bytes(o->write_min_rate) },
                            .tell_ping = o->tell_ping,
                            .tell_pong = o->tell_pong };
}

static uint32_t open_as(ct_vm *vm, const ct_websocket_options *given,
                        const ct_ws_options *o, ct_ws_mover *move, void *from) {
    ct_ws_params params = to_params(&given->deflate);
    ct_ws_options options = *o;

    if (given->deflates) options.deflate = &params;
    return ct_ws_open(&vm->websockets, &options, move, from);
}

static bool from_request(void *from, ct_ws_conn *to, ct_stream_fn *fn,
                         void *arg) {
    ct_request *r = from;

    ct_seat_move(&to->seat, r->conn);
    if (ct_handover_stream(r, &to->stream, &to->in, &to->out, fn, arg))
        return true;
    ct_seat_leave(&to->seat);
    return false;
}

uint32_t ct_abi_websocket_accept(ct_vm *vm, uint32_t request,
                                 const ct_websocket_options *options) {
    ct_request *r = ct_slots_get(&vm->server->requests, request);
    ct_ws_options o = to_options(options);

    if (!r || !r->conn) return 0;
    o.pace = (ct_pace_rule){ r->conn->options->write_timeout,
                             r->conn->options->write_min_rate };
    return open_as(vm, options, &o, from_request, r);
}

static bool from_channel(void *from, ct_ws_conn *to, ct_stream_fn *fn,
                         void *arg) {
    const vm_channel *c = from;

    return ct_channel_leave(c->channel, &to->stream, &to->in, &to->out, fn,
                            arg);
}

uint32_t ct_abi_websocket_connect(ct_vm *vm, uint32_t channel,
                                  const ct_websocket_options *options) {
    vm_channel *c = ct_slots_get(&vm->channels, channel);
    ct_ws_options o = to_options(options);
    uint32_t handle;

    o.client = true;
    handle = c ? open_as(vm, options, &o, from_channel, c) : 0;
    (void)ct_abi_channel_close(vm, channel, 0);
    return handle;
}

/* -- Using ----------------------------------------------------------------- */

int ct_abi_websocket_take(ct_vm *vm, uint32_t websocket,
                          ct_websocket_item *out) {
    ct_ws_conn *w = websocket_of(vm, websocket);
    int status;

    if (!w) return CT_CLOSED;
    status = ct_ws_take(w, &out->kind, &out->bytes);
    if (status == CT_EOF) out->code = out->kind;
    return status;
}

int ct_abi_websocket_send(ct_vm *vm, uint32_t websocket, uint32_t kind,
                          const char *p, uint32_t size) {
    ct_ws_conn *w = websocket_of(vm, websocket);

    if (!w) return CT_CLOSED;
    return ct_ws_send(w, (ct_websocket_opcode)kind, (ct_str){ p, size });
}

int ct_abi_websocket_close(ct_vm *vm, uint32_t websocket, uint32_t code,
                           const char *reason, uint32_t size) {
    ct_ws_conn *w = websocket_of(vm, websocket);

    return w ? ct_ws_close(w, code, (ct_str){ reason, size }) : CT_CLOSED;
}

uint32_t ct_abi_websocket_unsent(ct_vm *vm, uint32_t websocket) {
    const ct_ws_conn *w = websocket_of(vm, websocket);

    return w ? (uint32_t)w->out.len : 0;
}

int ct_abi_websocket_nodelay(ct_vm *vm, uint32_t websocket, int on) {
    const ct_ws_conn *w = websocket_of(vm, websocket);

    if (!w || w->broken) return CT_CLOSED;
    /* Fails for a unix socket, which has no delay. */
    (void)setsockopt(w->stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return CT_OK;
}

int ct_abi_websocket_move(ct_vm *vm, uint32_t websocket, const char *p,
                          uint32_t size) {
    ct_ws_conn *w = websocket_of(vm, websocket);
    ct_vm *heir = vm->serving ? *vm->serving : vm;
    uint32_t handle;

    if (!w || heir == vm) return CT_CLOSED;
    if (size > CT_LUGGAGE) return CT_LIMIT;
    handle = ct_ws_move(w, &heir->websockets);
    if (!handle) return CT_CLOSED;
    ct_buf_fini(&w->luggage);
    ct_buf_add(&w->luggage, p, size);
    ct_events_add(heir->events, CT_EVENT_MOVED, handle);
    vm->loop->again = true;
    return CT_OK;
}

int ct_abi_websocket_luggage(ct_vm *vm, uint32_t websocket, ct_str *out) {
    const ct_ws_conn *w = websocket_of(vm, websocket);

    if (!w) return CT_CLOSED;
    *out = (ct_str){ ct_buf_bytes(&w->luggage), (uint32_t)w->luggage.len };
    return CT_OK;
}

void ct_abi_websocket_release(ct_vm *vm, uint32_t websocket) {
    ct_ws_conn *w = websocket_of(vm, websocket);

    if (w) ct_ws_release(w);
}
