/* A failure alone costs nobody anything: the reserve can be filled up at once. Where
 * memory is really used up, those who are inside go on, and nobody is let in. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/shortage.h"

#include "base/mem.h"
#include "server/figures.h"

enum {
    PAUSE = 50,       /* ms between two closings of what is idle */
    COLLECT = 2000,   /* between two collections of all garbage, and */
    SELDOM = 10000,   /* when nothing has failed since the last one */
    PATIENCE = 10000, /* without a failure, until it goes on with no reserve */
    QUIET = 10000     /* between two lines */
};

static const char *const advice =
    "see `ulimit -v`, `ulimit -d`, vm.overcommit_memory and vm.max_map_count";

static void tell(ct_shortage *s, const ct_generations *g, bool scarce) {
    uint64_t now = g->loop->clock.mono_ms;

    if (now < s->mute_till) return;
    s->mute_till = now + QUIET;
    s->told = scarce;
    ct_log_line(g->loop->log, CT_LEVEL_ERROR, "memory",
                "malloc failed (%u times since the start): %s; in use: %u MiB, "
                "of which Lua %u: %s",
                s->failures,
                scarce ? "new requests get 503 until there is memory"
                       : "the reserve has served, and was filled up again",
                (unsigned)(ct_figures_resident() >> 20),
                (unsigned)(g->current->memory.used >> 20), advice);
}

static void tell_end(ct_shortage *s, const ct_generations *g, bool full) {
    if (!s->told) return;
    s->told = false;
    ct_log_line(g->loop->log, CT_LEVEL_WARNING, "memory", "%s",
                full ? "there is memory again: requests are answered"
                     : "requests are answered again, but if malloc fails, this "
                       "process may end: there is no memory for a reserve");
}

static void give_back(ct_shortage *s, ct_generations *g, bool failed) {
    uint64_t now = g->loop->clock.mono_ms;

    if (now < s->shrink_at) return;
    s->shrink_at = now + PAUSE;
    ct_server_shrink(g->server);
    if (now < s->collect_at) return;
    ct_generations_collect(g);
    s->collect_at = now + (failed ? COLLECT : SELDOM);
}

void ct_shortage_turn(ct_shortage *s, ct_generations *g) {
    uint64_t now = g->loop->clock.mono_ms;
    unsigned failures = ct_mem_failures();
    bool failed = failures != s->failures, full, scarce;

    if (failed) s->failed_at = now;
    s->failures = failures;
    full = ct_mem_refill();
    if (!full) {
        give_back(s, g, failed);
        full = ct_mem_refill();
    }
    scarce = !full && now - s->failed_at < PATIENCE;
    if (failed || scarce) tell(s, g, scarce);
    if (!scarce) tell_end(s, g, full);
    g->server->scarce = scarce;
}
