/* The queue of events: first in, first out, however it grows. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/events.h"

#include "check.h"

int main(void) {
    ct_events q = { 0 };
    ct_events_item item;
    uint32_t in = 0, out = 0;
    bool good = true;

    CHECK(!ct_events_take(&q, &item));
    /* Ahead by more and more, so that the ring grows in every position. */
    for (uint32_t ahead = 1; ahead < 300; ahead++) {
        for (uint32_t i = 0; i < ahead; i++) ct_events_add(&q, ahead, in++);
        for (uint32_t i = 0; i + 1 < ahead; i++) {
            good &= ct_events_take(&q, &item) && item.handle == out++;
        }
    }
    while (ct_events_take(&q, &item)) good &= item.handle == out++;
    CHECK(good);
    CHECK(in == out && q.count == 0);
    ct_events_fini(&q);
    CHECK(!ct_events_take(&q, &item));
    return check_report();
}
