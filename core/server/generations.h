/* The generations of the sites: one that serves, perhaps one that is being
 * loaded, and earlier ones that still have work. A generation is a Lua state;
 * connections belong to C and go from one to the next. Lifetime: process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_GENERATIONS_H
#define CT_GENERATIONS_H

#include "http/server.h"
#include "io/loop.h"
#include "io/pool.h"
#include "io/timer.h"
#include "vm/vm.h"
#include <stdbool.h>
#include <stdint.h>

/* How a reload ended: `text` is empty, or says why nothing has changed. */
typedef void ct_reload_fn(bool ok, const char *text, void *arg);

typedef struct ct_generations {
    ct_loop *loop; /* borrowed, as the three below */
    ct_server *server;
    int argc;
    char **argv;
    ct_vm *current;     /* serves, or is the first and still loads */
    ct_vm *preparing;   /* to become `loading`: a thread has it; or NULL */
    ct_modules modules; /* that it shall have compiled */
    ct_waker *waker;
    ct_pool *pool; /* its thread */
    ct_job job;
    bool opened;    /* what came of it */
    bool abandoned; /* the process ends: no other one will serve */
    ct_vm *loading; /* or NULL */
    ct_list old;    /* of ct_vm.node: the earlier ones */
    uint32_t old_count;
    ct_place place;
    uint32_t count;            /* that were begun */
    ct_server_options options; /* as they were before `loading` */
    bool asked;                /* `current` shall hand over */
    bool reopen;               /* its logs, as soon as it is ready */
    ct_timer *limit;           /* how long `loading` may take */
    ct_timer *sweep;           /* looks at those that cannot be freed yet */
    ct_reload_fn *done;
    void *done_arg;
    void (*wanted)(void *arg); /* the one that serves has asked for a reload */
    void *wanted_arg;
} ct_generations;

enum { CT_RELOAD_TIMEOUT = 60 }; /* seconds that loading may take */

/* Begins the first generation, in that place among a master's workers. False, with
 * the reason logged, when its state cannot be made. Borrows all arguments. */
bool ct_generations_init(ct_generations *g, ct_loop *loop, ct_server *server,
                         const ct_place *place, int argc, char **argv)
    __attribute__((warn_unused_result));

/* Begins to load the next one; `done` is called when it serves, or has failed. */
void ct_generations_reload(ct_generations *g, ct_reload_fn *done, void *arg);

/* True while the next one is being made. */
bool ct_generations_are_loading(const ct_generations *g);

/* Tells the one that serves how a reload has ended. */
void ct_generations_tell(ct_generations *g, bool ok, const char *text);

/* Lets all of them take their events. True when there is more to do at once; the
 * loop is stopped when the process is to end. */
bool ct_generations_turn(ct_generations *g);

/* When there is nothing to do: collects garbage for a moment. Returns true when it
 * is to be called again before the loop waits. */
bool ct_generations_rest(ct_generations *g);

/* Collects all garbage of all of them. */
void ct_generations_collect(ct_generations *g);

/* True when events wait for Lua. */
bool ct_generations_have_events(const ct_generations *g);

/* How many WebSockets all of them have. */
uint32_t ct_generations_websockets(const ct_generations *g);

/* Tells all that the process was asked to end, by that signal. */
void ct_generations_stop(ct_generations *g, int signal);

/* Another process serves from here on, which has `all` sockets, or those that were
 * inherited: what is being loaded is given up, nothing more is accepted, and the
 * loop is stopped when all that was begun is done. */
void ct_generations_retire(ct_generations *g, bool all);

/* Has the log files opened anew. */
void ct_generations_reopen(ct_generations *g);

/* Frees all of them. False when a thread is still at work: then the process must
 * end by _exit(). */
bool ct_generations_fini(ct_generations *g) __attribute__((warn_unused_result));

#endif
