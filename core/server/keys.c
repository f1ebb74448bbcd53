/* SPDX-License-Identifier: Apache-2.0 */
#include "server/keys.h"

ct_tls_tickets *ct_keys_get(ct_shared *shared, ct_loop *loop, bool writes) {
    ct_tls_tickets *t = ct_shared_get(shared, "tickets", sizeof *t);

    if (!t) {
        ct_log_line(loop->log, CT_LEVEL_WARNING, "tls",
                    "no shared memory, so sessions end with their process: %m");
        return NULL;
    }
    if (writes) (void)ct_tls_tickets_renew(t, loop->clock.wall, 0);
    ct_tls_tickets_guard(t, writes);
    return t;
}

void ct_keys_renew(ct_tls_tickets *t, const ct_loop *loop, double period) {
    if (t && ct_tls_tickets_renew(t, loop->clock.wall, period))
        ct_log_line(loop->log, CT_LEVEL_INFO, "tls",
                    "a new key for session tickets");
}
