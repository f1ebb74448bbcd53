/* The part of abi.h with what the processes of a server show each other. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "data/board.h"
#include "data/errors_text.h"
#include "data/history.h"
#include "data/metrics.h"
#include "data/metrics_text.h"
#include "data/overview.h"
#include "data/past.h"
#include "data/status.h"
#include "http/listener.h"
#include "vm/vm.h"
#include <string.h>

_Static_assert(sizeof(ct_metric_wish) == 64, "ct_metric_wish likewise");

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

void ct_abi_metrics_text(ct_vm *vm, int json, ct_str *out) {
    ct_past_carry(vm->place.past);
    give(vm, ct_metrics_text(vm->place.board, vm->place.metrics, json), out);
}

void ct_abi_metrics_errors(ct_vm *vm, ct_str *out) {
    give(vm, ct_errors_text(vm->place.board), out);
}

void ct_abi_overview(ct_vm *vm, ct_str *out) {
    ct_past_carry(vm->place.past);
    give(vm, ct_overview_text(vm->place.board, vm->place.metrics), out);
}

void ct_abi_history_begin(ct_vm *vm) {
    vm->place.history->wanted = true;
}

void ct_abi_history(ct_vm *vm, uint32_t after, ct_str *out) {
    give(vm, ct_history_text(vm->place.history, after), out);
}

void ct_abi_history_columns(ct_vm *vm, ct_str *out) {
    give(vm, ct_history_columns(), out);
}

uint32_t ct_abi_metric(ct_vm *vm, const ct_metric_wish *wish) {
    return ct_metrics_family(vm->place.metrics, wish);
}

uint32_t ct_abi_metric_series(ct_vm *vm, uint32_t metric, const char *labels,
                              uint32_t size) {
    return ct_metrics_series(vm->place.metrics, metric, labels, size);
}

void ct_abi_metric_add(ct_vm *vm, uint32_t series, double n) {
    if (series < CT_METRICS_SLOTS) ct_metrics_add(vm->loop->slots, series, n);
}

void ct_abi_metric_set(ct_vm *vm, uint32_t series, double n) {
    if (series < CT_METRICS_SLOTS) ct_metrics_set(vm->loop->slots, series, n);
}

void ct_abi_metric_observe(ct_vm *vm, uint32_t metric, uint32_t series,
                           double value) {
    const ct_metric *f =
        ct_metrics_find(vm->place.metrics, metric, CT_METRIC_FAMILY);

    if (f && series + f->bounds + 2 <= CT_METRICS_SLOTS)
        ct_metrics_observe(vm->loop->slots, f, series, value);
}

uint32_t ct_abi_handler(ct_vm *vm, const char *labels, uint32_t size) {
    return ct_metrics_handler(vm->place.metrics, labels, size) / CT_COUNT_UNIT;
}

int ct_abi_listen_uncounted(ct_vm *vm, uint32_t listener) {
    ct_listener *l = ct_slots_get(&vm->server->listeners, listener);

    if (!l) return CT_CLOSED;
    l->counters = vm->server->uncounted;
    return CT_OK;
}
