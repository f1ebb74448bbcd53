/* A LuaJIT state with one generation of the sites, and what it may touch. C
 * enters Lua in two places: once at the start, and once after each turn of the
 * loop in which there are events; Lua then pulls them. Lifetime: generation. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_VM_H
#define CT_VM_H

#include "abi.h"
#include "base/buf.h"
#include "base/events.h"
#include "base/slots.h"
#include "http/server.h"
#include "http/ws_conn.h"
#include "io/loop.h"
#include "io/waker.h"
#include "vm/memory.h"
#include "vm/modules.h"
#include "vm/watchdog.h"
#include <stdbool.h>

struct lua_State;
struct vm_names;

enum { CT_VM_WHY = 1024 };

/* What a generation wants of its process, and a master needs to know. */
typedef struct ct_vm_wishes {
    char *addresses; /* a line each */
    char *admin;     /* an address that all listen on together; empty: none */
    char *control, *pid_file, *user, *group;
    double stop_timeout, worker_timeout, ticket_rotation; /* seconds */
    uint32_t workers, backlog;
    bool supervise; /* of one that is alone */
    bool no_new_privs;
} ct_vm_wishes;

/* NULL is fine. */
void ct_vm_wishes_free(ct_vm_wishes *w);

/* Where a process stands among those of a master. */
typedef struct ct_place {
    uint32_t worker;        /* 1 and up; 0: no master started it */
    uint32_t workers;       /* how many there are */
    const char *folder;     /* that they share, borrowed; empty: none */
    struct ct_board *board; /* likewise, as the four below */
    struct ct_metrics *metrics;
    struct ct_past *past;
    struct ct_history *history;
    struct ct_shared *shared;             /* memory; an executor's: NULL */
    const struct ct_tls_tickets *tickets; /* in it, of all server contexts */
} ct_place;

struct ct_vm {
    struct lua_State *lua;
    ct_list node;       /* for its owner */
    ct_loop *loop;      /* borrowed, as the two below */
    ct_memory memory;   /* of it */
    ct_modules modules; /* that it has loaded */
    ct_server *server;
    ct_log *log;
    ct_events *events;      /* that wait for Lua; of this generation alone */
    uint32_t generation;    /* 1: the first */
    ct_slots timers;        /* handle -> vm_timer (abi.c) */
    ct_slots regexes;       /* handle -> ct_regex */
    ct_slots digests;       /* handle -> ct_digest_run */
    ct_slots tlses;         /* handle -> ct_tls_context (abi_tls.c) */
    ct_slots channels;      /* handle -> vm_channel (vm/channel.h) */
    ct_slots acceptors;     /* handle -> vm_acceptor (abi_accept.c) */
    ct_slots watches;       /* handle -> vm_watch (abi_watch.c) */
    ct_slots datagrams;     /* handle -> vm_datagram (abi_datagram.c) */
    ct_slots inotifies;     /* handle -> vm_inotify (abi_inotify.c) */
    ct_slots resolves;      /* handle -> vm_resolve (abi_resolver.c) */
    struct vm_names *names; /* likewise; NULL: no name was asked for */
    ct_waker *waker;        /* for the threads of the two below */
    struct ct_pool *disk;   /* for files; NULL until the first */
    ct_slots executors;     /* handle -> vm_executor (abi_executor.c) */
    ct_list closing;        /* vm_executors without a handle */
    ct_slots jobs;          /* handle -> ct_vm_job (abi_job.c) */
    ct_slots processes;     /* handle -> vm_process (abi_process.c) */
    ct_slots clients;       /* handle -> ct_client (abi_client.c) */
    ct_slots fetches;       /* handle -> ct_fetch */
    ct_ws_hub websockets;   /* all of them (abi_websocket.c) */
    struct lua_State *pump; /* the coroutine that takes events */
    int pump_ref;           /* its registry reference */
    int next_pump;          /* that of the function that gives another one */
    int traceback;          /* and of the handler of its errors */
    struct ct_rate *rate;   /* rate limits; NULL: none was asked for yet */
    ct_pulse pulse;         /* for the watchdog */
    ct_watchdog *watchdog;  /* or NULL */
    struct ct_profile *profile; /* or NULL: it is not sampled */
    bool wake;                  /* Lua has work that no event tells of */
    bool ready;                 /* all is loaded */
    bool wants_reload;          /* it has asked for a reload */
    bool handed_over;           /* `estate` is what the next one gets */
    ct_buf estate;              /* from the one before, or for the next */
    ct_vm *const *serving; /* the one that serves now; NULL: none ever will */
    bool exiting; /* see exit_code; of an old generation: it is through */
    bool thread;  /* an executor's: there is no loop, no server, no events */
    int exit_code;
    double ticket_rotation; /* seconds that a key of tickets lasts; 0: ever */
    ct_place place;
    bool supervises;      /* the process shall become a master */
    ct_vm_wishes *wishes; /* or NULL: it has not said yet */
    char *control;        /* path of the control socket it wants, or NULL */
    char *pid_file;       /* of the file it wants its number in, or NULL */
    char *report;         /* why it could not be loaded, or NULL */
    char *reload_report;  /* why the last reload failed, or NULL */
    char *text;           /* what abi_metrics.c gave last, or NULL */
    int why_errno;        /* of `why`, when a system call was the reason */
    char why[CT_VM_WHY];
};

/* One without a Lua state yet. NULL and a reason in *why when that fails. Borrows
 * all arguments. */
ct_vm *ct_vm_new(ct_loop *loop, ct_server *server, const char **why);

/* Runs tornado.main with the command line. False, with the error logged, when it
 * raised. */
bool ct_vm_start(ct_vm *vm, int argc, char **argv)
    __attribute__((warn_unused_result));

/* Lets Lua take its events. Returns true when it has more to do at once. */
bool ct_vm_turn(ct_vm *vm);

/* Opens vm->lua: the standard libraries and the framework's loader. False, with
 * vm->lua NULL, when LuaJIT cannot. */
bool ct_vm_open(ct_vm *vm) __attribute__((warn_unused_result));

/* Opens it as well, and compiles those modules, as loading it will need them. May
 * be called on any thread, as long as no other one has the vm. */
bool ct_vm_prepare(ct_vm *vm, const ct_modules *modules)
    __attribute__((warn_unused_result));

/* True while a thread works for it, so that freeing it would block. */
bool ct_vm_is_busy(const ct_vm *vm);

/* Frees the state with all that it has handles of. False when a thread is still
 * at work after a second: then the process must end by _exit(), and nothing else
 * be freed. */
bool ct_vm_free(ct_vm *vm) __attribute__((warn_unused_result));

/* Frees timers, regexes and digests (abi.c). */
void ct_vm_free_handles(ct_vm *vm);

/* Close what these files have handles of. */
void ct_vm_free_channels(ct_vm *vm);
void ct_vm_free_acceptors(ct_vm *vm);
void ct_vm_free_watches(ct_vm *vm);
void ct_vm_free_datagrams(ct_vm *vm);
void ct_vm_free_inotifies(ct_vm *vm);

/* The table of rate limits that all processes share, made if there is none; NULL
 * with errno set (abi_rate.c). */
struct ct_rate *ct_vm_share_rate(struct ct_shared *shared);

/* Gives up all names that are being asked for (abi_resolver.c). */
void ct_vm_free_resolves(ct_vm *vm);

/* Ends the child processes that were not let go (abi_process.c). */
void ct_vm_free_processes(ct_vm *vm);
/* Ends the fetches and closes the clients; what is open (abi_client.c). */
void ct_vm_free_clients(ct_vm *vm);
uint32_t ct_vm_client_descriptors(const ct_vm *vm);

/* Gives back the contexts (abi_tls.c). */
void ct_vm_free_tlses(ct_vm *vm);

#endif
