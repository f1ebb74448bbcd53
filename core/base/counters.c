/* On the way of each request: the bounds are searched from below, where most
 * replies are. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counters.h"

const double ct_counters_bounds[CT_COUNT_TIMES] = {
    5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2,
    0.1,  0.25, 0.5,    1,    2.5,  5,      10,   30,   60
};

static uint32_t known(uint32_t status) {
    return status < CT_COUNT_STATUSES ? status : CT_COUNT_STATUSES - 1;
}

static void count(ct_counters *c, uint32_t method, uint32_t status) {
    status = known(status);
    ct_count_add(&c->replies[method][status / 100], 1);
    ct_count_add(&c->statuses[status], 1);
}

void ct_counters_reply(ct_counters *c, ct_count *handler, uint32_t method,
                       uint32_t status, double seconds) {
    uint64_t ns = seconds > 0 ? (uint64_t)(int64_t)(seconds * 1e9) : 0;
    uint32_t i = 0;

    count(c, method, status);
    while (i < CT_COUNT_TIMES && seconds > ct_counters_bounds[i]) i++;
    ct_count_add(&c->times[i], 1);
    ct_count_add(&c->time, ns);
    ct_count_add(&handler[CT_HANDLER_REPLIES], 1);
    ct_count_add(&handler[CT_HANDLER_TIME], ns);
    ct_count_add(&handler[CT_HANDLER_TIMES + i], 1);
    if (status >= 500) ct_count_add(&handler[CT_HANDLER_ERRORS], 1);
    if (ns > ct_count_get(&handler[CT_HANDLER_MAX]))
        ct_count_set(&handler[CT_HANDLER_MAX], ns);
}

double ct_counters_quantile(const uint64_t *times, double q) {
    double left = 0, low = 0;

    for (uint32_t i = 0; i <= CT_COUNT_TIMES; i++) left += (double)times[i];
    left *= q;
    if (left <= 0) return 0;
    for (uint32_t i = 0; i < CT_COUNT_TIMES; i++) {
        double high = ct_counters_bounds[i], n = (double)times[i];

        if (n > 0 && left <= n) return low + (high - low) * left / n;
        left -= n;
        low = high;
    }
    return low;
}

void ct_counters_refusal(ct_counters *c, uint32_t method, uint32_t status) {
    count(c, method, status);
    ct_count_add(&c->refused[known(status)], 1);
}

uint64_t ct_counters_replies(const ct_counters *c) {
    uint64_t n = 0;

    for (uint32_t i = 0; i < CT_COUNT_STATUSES; i++)
        n += ct_count_get(&c->statuses[i]);
    return n;
}
