/* The part of abi.h with rate limits. Their table is one of the pieces that the
 * processes of a server share: all workers take from the same buckets, and what was
 * taken stays taken through reloads and the deaths of workers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/clock.h"
#include "base/rate.h"
#include "data/shared.h"
#include "io/address.h"
#include "vm/vm.h"
#include <string.h>

enum { BUCKETS = 65536 };

_Static_assert(sizeof(ct_rate_answer) == 24, "ct_rate_answer likewise");

struct ct_rate *ct_vm_share_rate(struct ct_shared *shared) {
    void *memory = ct_shared_get(shared, "rate", ct_rate_size(BUCKETS));

    return memory ? ct_rate_init(memory, BUCKETS) : NULL;
}

int ct_abi_rate_take(ct_vm *vm, const char *key, uint32_t size, double interval,
                     double burst, ct_rate_answer *out) {
    const ct_rate_rule rule = { interval, burst };
    ct_rate_state state;

    if (!vm->rate) vm->rate = ct_vm_share_rate(vm->place.shared);
    if (!vm->rate) return CT_ERROR;
    ct_rate_take(vm->rate, key, size, &rule, ct_clock_precise(), &state);
    *out = (ct_rate_answer){ state.retry, state.reset, state.remaining };
    return state.allowed ? CT_OK : CT_LIMIT;
}

uint32_t ct_abi_rate_network(ct_vm *vm, const char *ip, uint32_t size,
                             ct_str *out) {
    ct_peer peer;

    *out = (ct_str){ ip, size };
    if (!ct_peer_parse(&peer, ip, size)) return size;
    *out = (ct_str){ vm->why, peer.family == AF_INET ? 4 : 8 };
    memcpy(vm->why, peer.ip, out->n);
    return out->n;
}
