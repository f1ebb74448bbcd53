/* The part of abi.h that is names. The resolver is made with the first question:
 * who asks none has none. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "io/resolver.h"
#include "vm/vm.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(ct_resolved) == 40, "ct_resolved as the FFI lays it out");

typedef struct vm_resolve {
    ct_vm *vm;
    ct_resolve *resolve;
    uint32_t handle;
} vm_resolve;

struct vm_names {
    ct_resolver *resolver; /* NULL: nobody has asked */
    ct_resolver_options options;
};

static const ct_resolver_options defaults = {
    .lookup = { .conf = "/etc/resolv.conf",
                .timeout = 1.5,
                .deadline = 5,
                .tries = 2 },
    .max_ttl = 300
};

static struct vm_names *names_of(ct_vm *vm) {
    if (vm->names) return vm->names;
    vm->names = ct_new(struct vm_names);
    vm->names->options = defaults;
    return vm->names;
}

static ct_str str_of(const char *text) {
    return (ct_str){ text, (uint32_t)strlen(text) };
}

/* True when the copy is whole. */
static bool copy(char *out, size_t size, const char *text) {
    return (size_t)snprintf(out, size, "%s", text) < size;
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_resolver_set(ct_vm *vm, const char *servers, const char *conf,
                        double timeout, uint32_t tries, double deadline,
                        double max_ttl) {
    struct vm_names *names = names_of(vm);
    ct_resolver_options o = { .max_ttl = max_ttl };

    o.lookup.timeout = timeout;
    o.lookup.deadline = deadline;
    o.lookup.tries = (int)tries;
    if (!copy(o.lookup.servers, sizeof o.lookup.servers, servers) ||
        !copy(o.lookup.conf, sizeof o.lookup.conf, conf)) {
        snprintf(vm->why, sizeof vm->why, "too long");
        return CT_ERROR;
    }
    if (*servers && !ct_lookup_check(&o.lookup)) {
        snprintf(vm->why, sizeof vm->why,
                 "expected IP addresses, with or without :PORT, got %s",
                 servers);
        return CT_ERROR;
    }
    names->options = o;
    if (names->resolver) ct_resolver_set(names->resolver, &o);
    return CT_OK;
}

static void on_resolved(void *arg) {
    const vm_resolve *q = arg;

    ct_events_add(q->vm->events, CT_EVENT_RESOLVED, q->handle);
}

static void free_resolve(vm_resolve *q) {
    ct_resolve_free(q->resolve);
    ct_free(q);
}

uint32_t ct_abi_resolve(ct_vm *vm, const char *name, uint32_t size,
                        uint32_t family) {
    struct vm_names *names = names_of(vm);
    int af = family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
    vm_resolve *q = ct_new(vm_resolve);

    if (!names->resolver)
        names->resolver = ct_resolver_new(vm->loop, &names->options);
    q->vm = vm;
    q->resolve =
        ct_resolver_ask(names->resolver, name, size, af, on_resolved, q);
    if (q->resolve) q->handle = ct_slots_add(&vm->resolves, q);
    if (q->handle) return q->handle;
    free_resolve(q);
    return 0;
}

int ct_abi_resolved(ct_vm *vm, uint32_t resolve, ct_resolved *out) {
    const vm_resolve *q = ct_slots_get(&vm->resolves, resolve);
    const ct_answer *answer;

    if (!q) return CT_CLOSED;
    answer = ct_resolve_answer(q->resolve);
    if (!answer) return CT_AGAIN;
    out->code = str_of(ct_answer_code(answer));
    out->text = str_of(ct_answer_text(answer));
    out->count = answer->count;
    return CT_OK;
}

int ct_abi_resolved_address(ct_vm *vm, uint32_t resolve, uint32_t index,
                            ct_str *out) {
    const vm_resolve *q = ct_slots_get(&vm->resolves, resolve);
    const ct_answer *answer = q ? ct_resolve_answer(q->resolve) : NULL;

    if (!answer || index >= answer->count) return 0;
    ct_peer_ip(&answer->address[index], vm->why);
    *out = str_of(vm->why);
    return answer->address[index].family == AF_INET ? 4 : 6;
}

int ct_abi_resolve_close(ct_vm *vm, uint32_t resolve) {
    vm_resolve *q = ct_slots_get(&vm->resolves, resolve);

    if (!q) return CT_CLOSED;
    ct_slots_remove(&vm->resolves, resolve);
    free_resolve(q);
    return CT_OK;
}

int ct_abi_ip(ct_vm *vm, const char *text, ct_str *out) {
    static const int families[] = { AF_INET, AF_INET6 };
    struct in6_addr ip;

    for (int i = 0; i < 2; i++) {
        if (inet_pton(families[i], text, &ip) != 1) continue;
        if (!inet_ntop(families[i], &ip, vm->why, sizeof vm->why)) return 0;
        *out = str_of(vm->why);
        return i ? 6 : 4;
    }
    return 0;
}

void ct_vm_free_resolves(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->resolves.used; i++)
        if (vm->resolves.slots[i].object)
            free_resolve(vm->resolves.slots[i].object);
    ct_slots_fini(&vm->resolves);
    if (vm->names) ct_resolver_free(vm->names->resolver);
    ct_free(vm->names);
}
