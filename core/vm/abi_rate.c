/* The part of abi.h with rate limits. Their table is made when the first limit is
 * asked for, in memory that processes which are forked later share. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/clock.h"
#include "base/rate.h"
#include "vm/vm.h"
#include <sys/mman.h>

enum { BUCKETS = 65536 };

_Static_assert(sizeof(ct_rate_answer) == 24, "ct_rate_answer likewise");

static ct_rate *make(ct_vm *vm) {
    void *memory = mmap(NULL, ct_rate_size(BUCKETS), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) return NULL;
    vm->own_rate = true;
    return ct_rate_init(memory, BUCKETS);
}

int ct_abi_rate_take(ct_vm *vm, const char *key, uint32_t size, double interval,
                     double burst, ct_rate_answer *out) {
    const ct_rate_rule rule = { interval, burst };
    ct_rate_state state;

    if (!vm->rate) vm->rate = make(vm);
    if (!vm->rate) return CT_ERROR;
    ct_rate_take(vm->rate, key, size, &rule, ct_clock_precise(), &state);
    *out = (ct_rate_answer){ state.retry, state.reset, state.remaining };
    return state.allowed ? CT_OK : CT_LIMIT;
}

void ct_vm_free_rate(ct_vm *vm) {
    if (vm->own_rate) munmap(vm->rate, ct_rate_size(BUCKETS));
}
