/* libevent's handler writes to a socketpair that its loop reads, so that the
 * callback runs as any other, in a turn. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/signals.h"

#include "base/assert.h"
#include "base/mem.h"

#include <event2/event.h>
#include <event2/event_struct.h>

enum { MOST = 8 };

struct ct_signals {
    ct_loop *loop;
    ct_signals_fn *fn;
    void *arg;
    int n;
    struct event events[MOST];
};

static void on_signal(evutil_socket_t signal, short what, void *arg) {
    ct_signals *s = arg;

    (void)what;
    ct_loop_now(s->loop);
    s->fn((int)signal, s->arg);
}

ct_signals *ct_signals_new(ct_loop *loop, const int *list, int n,
                           ct_signals_fn *fn, void *arg) {
    ct_signals *s = ct_new(ct_signals);

    ct_assert(n <= MOST);
    s->loop = loop;
    s->fn = fn;
    s->arg = arg;
    for (; s->n < n; s->n++) {
        struct event *e = &s->events[s->n];
        evsignal_assign(e, loop->base, list[s->n], on_signal, s);
        if (evsignal_add(e, NULL) == -1) goto fail;
    }
    return s;

fail:
    ct_signals_free(s);
    return NULL;
}

void ct_signals_free(ct_signals *s) {
    if (!s) return;
    for (int i = 0; i < s->n; i++) event_del(&s->events[i]);
    ct_free(s);
}
