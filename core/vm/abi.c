/* What abi.h promises to Lua: thin functions that turn handles into objects and
 * views into arguments. Nothing is decided here. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/regex.h"
#include "base/str.h"
#include "http/access.h"
#include "http/body.h"
#include "http/conn.h"
#include "http/cookie.h"
#include "http/fields.h"
#include "http/reply.h"
#include "io/timer.h"
#include "vm/channel.h"
#include "vm/vm.h"
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(ct_str) == 16, "ct_str as the FFI lays it out");
_Static_assert(sizeof(ct_pair) == 32, "ct_pair as the FFI lays it out");
_Static_assert(sizeof(ct_event) == 40, "ct_event as the FFI lays it out");
_Static_assert(sizeof(ct_request_info) == 48, "ct_request_info likewise");
_Static_assert(sizeof(ct_pulse) == 12, "ct_pulse likewise");
_Static_assert(sizeof(ct_counts) == 60, "ct_counts likewise");

static ct_request *request_of(ct_vm *vm, uint32_t handle) {
    return ct_slots_get(&vm->server->requests, handle);
}

/* -- Events ---------------------------------------------------------------- */

static void describe(const ct_request *r, ct_event *out) {
    out->owner = r->owner;
    out->method = r->wire.method;
    out->flags = (r->body.done ? 0 : CT_REQUEST_BODY) |
                 (r->wire.minor ? 0 : CT_REQUEST_OLD) |
                 (r->wire.keep_alive ? 0 : CT_REQUEST_CLOSE) |
                 (r->secure ? CT_REQUEST_TLS : 0);
    out->path = r->wire.path;
    out->uri = r->uri;
}

int ct_abi_next(ct_vm *vm, ct_event *out) {
    ct_events_item item;

    while (ct_events_take(vm->events, &item)) {
        out->type = item.type;
        out->handle = item.handle;
        if (item.type == CT_EVENT_ACCEPT)
            out->owner = ct_vm_acceptor_of(vm, item.handle);
        vm->pulse.beat++;
        vm->pulse.handle = item.type < CT_EVENT_TIMER ? item.handle : 0;
        if (item.type >= CT_EVENT_TIMER) return 1;
        ct_request *r = request_of(vm, item.handle);
        if (!r) continue; /* released before its event was taken */
        if (item.type == CT_EVENT_REQUEST) describe(r, out);
        return 1;
    }
    return 0;
}

const char *ct_abi_why(ct_vm *vm) {
    return vm->why;
}

/* -- Requests -------------------------------------------------------------- */

int ct_abi_request_info(ct_vm *vm, uint32_t request, ct_request_info *out) {
    ct_request *r = request_of(vm, request);

    if (!r) return CT_CLOSED;
    out->method = ct_access_method(r);
    ct_peer_ip(&r->peer, vm->why);
    out->remote_ip = (ct_str){ vm->why, (uint32_t)strlen(vm->why) };
    out->started = r->started;
    out->minor = r->wire.minor;
    out->owner = r->owner;
    return CT_OK;
}

int ct_abi_request_remote(ct_vm *vm, uint32_t request, const char *ip,
                          uint32_t size) {
    ct_request *r = request_of(vm, request);
    ct_peer peer;

    if (!r) return CT_CLOSED;
    if (!ct_peer_parse(&peer, ip, size)) return CT_ERROR;
    r->peer = peer;
    return CT_OK;
}

int ct_abi_request_field(ct_vm *vm, uint32_t request, const char *name,
                         uint32_t size, ct_str *out) {
    ct_request *r = request_of(vm, request);

    if (!r) return CT_CLOSED;
    switch (ct_head_find(&r->head, name, size, out)) {
    case 0: return CT_EOF;
    case 1: return CT_OK;
    default: return CT_AGAIN;
    }
}

uint32_t ct_abi_request_fields(ct_vm *vm, uint32_t request, uint32_t from,
                               ct_pair *out, uint32_t max) {
    ct_request *r = request_of(vm, request);

    return r ? ct_head_fields(&r->head, from, out, max) : 0;
}

void ct_abi_request_release(ct_vm *vm, uint32_t request) {
    ct_request *r = request_of(vm, request);

    if (!r) return;
    if (r->conn) ct_conn_close(r->conn, true);
    ct_request_free(r);
}

int ct_abi_body_collect(ct_vm *vm, uint32_t request, double max) {
    ct_request *r = request_of(vm, request);

    return r ? ct_body_collect(r, max) : CT_CLOSED;
}

int ct_abi_body_get(ct_vm *vm, uint32_t request, ct_str *out) {
    ct_request *r = request_of(vm, request);

    return r ? ct_body_get(r, out) : CT_CLOSED;
}

int ct_abi_body_read(ct_vm *vm, uint32_t request, double max, ct_str *out) {
    ct_request *r = request_of(vm, request);

    return r ? ct_body_read(r, max, out) : CT_CLOSED;
}

int ct_abi_request_cookie(ct_vm *vm, uint32_t request, const char *name,
                          uint32_t size, ct_str *out) {
    ct_request *r = request_of(vm, request);

    if (!r) return CT_CLOSED;
    return ct_cookie_find(&r->head, (ct_str){ name, size }, out) ? CT_OK
                                                                 : CT_EOF;
}

/* -- Replies --------------------------------------------------------------- */

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_field(ct_vm *vm, uint32_t request, int how, const char *name,
                 uint32_t name_size, const char *value, uint32_t value_size) {
    ct_request *r = request_of(vm, request);
    ct_str n = { name, name_size }, v = { value, value_size };

    if (!r) return CT_CLOSED;
    if (!ct_str_is_field_value(value, value_size)) return CT_ERROR;
    if (how != CT_FIELD_ADD && r->fields.len)
        ct_fields_remove(&r->fields, n, (ct_str){ 0 });
    if (how != CT_FIELD_REMOVE) ct_fields_add(&r->fields, n, v);
    return CT_OK;
}

int ct_abi_field_get(ct_vm *vm, uint32_t request, const char *name,
                     uint32_t size, ct_str *out) {
    return ct_abi_field_nth(vm, request, name, size, 0, out);
}

int ct_abi_field_nth(ct_vm *vm, uint32_t request, const char *name,
                     uint32_t size, uint32_t index, ct_str *out) {
    ct_request *r = request_of(vm, request);
    ct_str n = { name, size };

    if (!r) return CT_CLOSED;
    return ct_fields_find(&r->fields, n, index, out) ? CT_OK : CT_EOF;
}

int ct_abi_field_clear(ct_vm *vm, uint32_t request) {
    ct_request *r = request_of(vm, request);

    if (!r) return CT_CLOSED;
    r->fields.head = r->fields.len = 0;
    return CT_OK;
}

int ct_abi_reply_cookie(ct_vm *vm, uint32_t request, uint32_t name_size,
                        const char *text, uint32_t size) {
    static const ct_str field = { "Set-Cookie", 10 };
    ct_request *r = request_of(vm, request);

    if (!r) return CT_CLOSED;
    if (!ct_str_is_field_value(text, size)) return CT_ERROR;
    if (r->cookies.len)
        ct_fields_remove(&r->cookies, field, (ct_str){ text, name_size + 1 });
    ct_fields_add(&r->cookies, field, (ct_str){ text, size });
    return CT_OK;
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_reply(ct_vm *vm, uint32_t request, uint32_t status,
                 const char *reason, uint32_t reason_size, const char *fields,
                 uint32_t fields_size, const char *body, uint32_t body_size,
                 double length, uint32_t flags) {
    ct_request *r = request_of(vm, request);
    ct_reply_head h = {
        status, { reason, reason_size }, { fields, fields_size }, length, flags
    };

    return r ? ct_reply_send(r, &h, (ct_str){ body, body_size }) : CT_CLOSED;
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_reply_start(ct_vm *vm, uint32_t request, uint32_t status,
                       const char *reason, uint32_t reason_size,
                       const char *fields, uint32_t fields_size, double length,
                       uint32_t flags) {
    ct_request *r = request_of(vm, request);
    ct_reply_head h = {
        status, { reason, reason_size }, { fields, fields_size }, length, flags
    };

    return r ? ct_reply_start(r, &h) : CT_CLOSED;
}

int ct_abi_reply_write(ct_vm *vm, uint32_t request, const char *p,
                       uint32_t size) {
    ct_request *r = request_of(vm, request);

    return r ? ct_reply_write(r, (ct_str){ p, size }) : CT_CLOSED;
}

int ct_abi_reply_end(ct_vm *vm, uint32_t request) {
    ct_request *r = request_of(vm, request);

    return r ? ct_reply_end(r) : CT_CLOSED;
}

int ct_abi_reply_flushed(ct_vm *vm, uint32_t request) {
    ct_request *r = request_of(vm, request);

    return r ? ct_reply_flushed(r) : CT_CLOSED;
}

int ct_abi_reply_abort(ct_vm *vm, uint32_t request) {
    ct_request *r = request_of(vm, request);

    return r ? ct_reply_abort(r) : CT_CLOSED;
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
void ct_abi_request_log(ct_vm *vm, uint32_t request, const char *id,
                        uint32_t id_size, const char *trace,
                        uint32_t trace_size, const char *ip, uint32_t ip_size) {
    const ct_access_about about = { .id = { id, id_size },
                                    .trace = { trace, trace_size },
                                    .ip = { ip, ip_size } };
    ct_request *r = request_of(vm, request);

    if (r) ct_access_line(vm->server, r, &about);
}

/* -- Timers and clocks ------------------------------------------------------ */

typedef struct vm_timer {
    ct_vm *vm;
    ct_timer *timer;
    uint32_t handle;
} vm_timer;

static void free_timer(vm_timer *t) {
    ct_timer_free(t->timer);
    ct_free(t);
}

static void on_timer(void *arg) {
    vm_timer *t = arg;

    ct_events_add(t->vm->events, CT_EVENT_TIMER, t->handle);
    ct_slots_remove(&t->vm->timers, t->handle);
    free_timer(t);
}

uint32_t ct_abi_timer(ct_vm *vm, double seconds) {
    vm_timer *t = ct_new(vm_timer);

    t->vm = vm;
    t->handle = ct_slots_add(&vm->timers, t);
    if (!t->handle) {
        ct_free(t);
        return 0;
    }
    t->timer = ct_timer_new(vm->loop, on_timer, t);
    ct_timer_start(t->timer, seconds, false);
    return t->handle;
}

int ct_abi_timer_stop(ct_vm *vm, uint32_t timer) {
    vm_timer *t = ct_slots_get(&vm->timers, timer);

    if (!t) return CT_CLOSED;
    ct_slots_remove(&vm->timers, timer);
    free_timer(t);
    return CT_OK;
}

double ct_abi_wall(ct_vm *vm) {
    return vm->loop->clock.wall;
}

double ct_abi_monotonic(ct_vm *vm) {
    return (double)vm->loop->clock.mono_ms / 1e3;
}

double ct_abi_precise(ct_vm *vm) {
    (void)vm;
    return ct_clock_precise();
}

ct_pulse *ct_abi_pulse(ct_vm *vm) {
    return &vm->pulse;
}

void ct_abi_wake(ct_vm *vm) {
    vm->wake = true;
}

/* -- Log ------------------------------------------------------------------- */

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
void ct_abi_log(ct_vm *vm, uint32_t level, const char *where, const char *id,
                const char *trace, const char *text, uint32_t size) {
    const ct_log_about about = { .where = where, .id = id, .trace = trace };

    ct_log_request(vm->log, (ct_log_level)level, &about, text, size);
}

void ct_abi_log_json(ct_vm *vm, int json) {
    vm->log->json = json;
}

uint32_t ct_abi_log_level(ct_vm *vm) {
    return vm->log->level;
}

void ct_abi_log_set_level(ct_vm *vm, uint32_t level) {
    vm->log->level = (ct_log_level)level;
}

static int opened(ct_vm *vm, bool good, const char *path) {
    if (good) return CT_OK;
    snprintf(vm->why, sizeof vm->why, "%s: %m", path);
    return CT_ERROR;
}

int ct_abi_log_open(ct_vm *vm, const char *path) {
    return opened(vm, ct_log_open(vm->log, path), path);
}

int ct_abi_log_open_rotated(ct_vm *vm, const char *path, double most,
                            uint32_t backups) {
    bool good = ct_log_open_rotated(vm->log, path, (uint64_t)most, backups);

    return opened(vm, good, path);
}

int ct_abi_access_log_open(ct_vm *vm, const char *path, uint32_t format) {
    return opened(vm, ct_access_open(vm->server, path, format), path);
}

/* -- Regular expressions ---------------------------------------------------- */

uint32_t ct_abi_regex(ct_vm *vm, const char *pattern, uint32_t size) {
    ct_regex *r = ct_regex_new(pattern, size, vm->why, sizeof vm->why);
    uint32_t handle = r ? ct_slots_add(&vm->regexes, r) : 0;

    if (r && !handle) {
        snprintf(vm->why, sizeof vm->why, "too many regular expressions");
        ct_regex_free(r);
    }
    return handle;
}

uint32_t ct_abi_regex_search(ct_vm *vm, const char *pattern, uint32_t size) {
    ct_regex *r = ct_regex_new_search(pattern, size, vm->why, sizeof vm->why);

    return r ? ct_slots_add(&vm->regexes, r) : 0;
}

int ct_abi_regex_find(ct_vm *vm, uint32_t regex, const char *p, uint32_t size) {
    ct_regex *r = ct_slots_get(&vm->regexes, regex);
    size_t from = 0, end;

    if (!r || ct_regex_search(r, p, size, &from, &end) != 1) return -1;
    return (int)end;
}

void ct_abi_regex_free(ct_vm *vm, uint32_t regex) {
    ct_regex *r = ct_slots_get(&vm->regexes, regex);

    ct_slots_remove(&vm->regexes, regex);
    ct_regex_free(r);
}

int ct_abi_regex_groups(ct_vm *vm, uint32_t regex) {
    ct_regex *r = ct_slots_get(&vm->regexes, regex);

    return r ? ct_regex_groups(r) : 0;
}

const char *ct_abi_regex_name(ct_vm *vm, uint32_t regex, int group) {
    ct_regex *r = ct_slots_get(&vm->regexes, regex);

    return r ? ct_regex_name(r, group) : NULL;
}

int ct_abi_regex_match(ct_vm *vm, uint32_t regex, const char *p, uint32_t size,
                       int32_t *offsets, int max) {
    ct_regex *r = ct_slots_get(&vm->regexes, regex);

    return r ? ct_regex_match(r, p, size, offsets, max) : 0;
}

/* -- Digests in pieces ------------------------------------------------------- */

uint32_t ct_abi_digest_new(ct_vm *vm, uint32_t hash) {
    if (vm->digests.count >= CT_DIGESTS || hash >= CT_HASHES) return 0;
    return ct_slots_add(&vm->digests, ct_digest_new((ct_hash)hash));
}

int ct_abi_digest_update(ct_vm *vm, uint32_t digest, const char *p,
                         uint32_t size) {
    ct_digest_run *d = ct_slots_get(&vm->digests, digest);

    if (!d) return CT_CLOSED;
    ct_digest_update(d, p, size);
    return CT_OK;
}

uint32_t ct_abi_digest_final(ct_vm *vm, uint32_t digest, char *out) {
    ct_digest_run *d = ct_slots_get(&vm->digests, digest);
    uint32_t size = 0;

    if (!d) return 0;
    if (out) size = (uint32_t)ct_digest_final(d, out);
    ct_slots_remove(&vm->digests, digest);
    ct_digest_free(d);
    return size;
}

void ct_vm_free_handles(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->timers.used; i++)
        if (vm->timers.slots[i].object) free_timer(vm->timers.slots[i].object);
    for (uint32_t i = 1; i < vm->regexes.used; i++)
        if (vm->regexes.slots[i].object)
            ct_regex_free(vm->regexes.slots[i].object);
    for (uint32_t i = 1; i < vm->digests.used; i++)
        ct_digest_free(vm->digests.slots[i].object);
    ct_slots_fini(&vm->timers);
    ct_slots_fini(&vm->regexes);
    ct_slots_fini(&vm->digests);
}
