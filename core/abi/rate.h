/* Rate limits. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_RATE_H
#define CT_ABI_RATE_H
#include "abi/base.h"

typedef struct ct_rate_answer {
    double retry;       /* seconds until one is allowed; 0: now */
    double reset;       /* seconds until the bucket is full */
    uint32_t remaining; /* that would be allowed at once */
} ct_rate_answer;

/* Takes one from the bucket of a key, which holds `burst` and gets one back each
 * `interval` seconds: OK, or LIMIT when it is empty. */
int ct_abi_rate_take(ct_vm *vm, const char *key, uint32_t size, double interval,
                     double burst, ct_rate_answer *out);

/* What the limits of a client count by, in place of its address: of IPv6 the
 * first 64 bits, for that is what one client is given. Returns how many bytes. */
uint32_t ct_abi_rate_network(ct_vm *vm, const char *ip, uint32_t size,
                             ct_str *out);

#endif
