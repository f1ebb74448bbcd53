/* Timers and clocks, the server, the log. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_SERVER_H
#define CT_ABI_SERVER_H
#include "abi/base.h"

/* -- Timers and clocks ------------------------------------------------------ */

/* CT_EVENT_TIMER with this handle comes in `seconds`; 0: too many timers. */
uint32_t ct_abi_timer(ct_vm *vm, double seconds);

/* OK, or CLOSED when it has fired. */
int ct_abi_timer_stop(ct_vm *vm, uint32_t timer);
double ct_abi_wall(ct_vm *vm);      /* this turn's, since 1970 */
double ct_abi_monotonic(ct_vm *vm); /* this turn's */
double ct_abi_precise(ct_vm *vm);   /* monotonic, read now */

/* Makes the loop turn again without waiting. */
void ct_abi_wake(ct_vm *vm);

/* What the watchdog looks at. */
typedef struct ct_pulse {
    uint32_t beat;   /* goes on with each event and callback */
    uint32_t busy;   /* 1: Lua runs */
    uint32_t handle; /* of the request that the last event was about, or 0 */
} ct_pulse;

/* Lives as long as the state. */
ct_pulse *ct_abi_pulse(ct_vm *vm);

/* -- The server ------------------------------------------------------------- */

typedef enum ct_option {
    CT_OPTION_MAX_LINE_SIZE,
    CT_OPTION_MAX_HEADER_SIZE,
    CT_OPTION_MAX_FIELDS,
    CT_OPTION_MAX_BODY_SIZE, /* what a body may have when nobody asks */
    CT_OPTION_BODY_BUFFER_SIZE,
    CT_OPTION_WRITE_BUFFER_SIZE,
    CT_OPTION_HEADER_TIMEOUT,
    CT_OPTION_BODY_TIMEOUT,
    CT_OPTION_BODY_MIN_RATE,
    CT_OPTION_IDLE_TIMEOUT,
    CT_OPTION_WRITE_TIMEOUT,
    CT_OPTION_WRITE_MIN_RATE,
    CT_OPTION_HANDLER_TIMEOUT,
    CT_OPTION_MAX_CONNECTIONS,
    CT_OPTION_MAX_CONNECTIONS_PER_IP, /* 0: no limit */
    CT_OPTION_MAX_KEEPALIVE_REQUESTS,
    CT_OPTION_BACKLOG,
    CT_OPTION_PROXY_PROTOCOL,    /* 1: connections begin with its header */
    CT_OPTION_STATIC_CODED_SIZE, /* compressed forms of files kept */
    CT_OPTIONS
} ct_option;

int ct_abi_option(ct_vm *vm, uint32_t option, double value);

/* Folder for spooled bodies. */
int ct_abi_temp_dir(ct_vm *vm, const char *path);

/* Opens a listener; its requests come with the returned number as `owner`. 0:
 * see ct_abi_why(). NULL: without a socket, for ct_abi_listen_pair(). */
uint32_t ct_abi_listen(ct_vm *vm, const char *address);

/* Sets a limit for its connections to come, in place of that of all. Not for
 * MAX_CONNECTIONS and BACKLOG: ERROR. */
int ct_abi_listen_option(ct_vm *vm, uint32_t listener, uint32_t option,
                         double value);

/* The proxies whose word is taken, besides those of this machine: "IP/BITS", with
 * a space between. ERROR when one is malformed. */
int ct_abi_listen_trust(ct_vm *vm, uint32_t listener, const char *networks,
                        uint32_t size);

/* With 1, clients wait in the kernel's queue until it is called with 0. */
int ct_abi_listen_hold(ct_vm *vm, uint32_t listener, int hold);

/* A connection to it that needs no network, from a peer with that IP address:
 * the client's channel (abi/channel.h), or 0: see ct_abi_why(). */
uint32_t ct_abi_listen_pair(ct_vm *vm, uint32_t listener, const char *ip,
                            uint32_t size);

/* Closes its idle connections at once, and the others behind the reply under
 * way. OK when none is left; else AGAIN, and CT_EVENT_ENDED comes. It works on
 * one that is closed, too. */
int ct_abi_listen_drain(ct_vm *vm, uint32_t listener, int heads);

/* Has each of its connections end with its next reply: OK or CLOSED. Works on one
 * that is closed, too. */
int ct_abi_listen_fade(ct_vm *vm, uint32_t listener);

/* The address bound, "127.0.0.1:8888". */
int ct_abi_listen_address(ct_vm *vm, uint32_t listener, ct_str *out);

/* Closes the listener; its connections live on. With `drop`, they end too.
 * CT_EVENT_ENDED comes with the last of them. */
int ct_abi_listen_close(ct_vm *vm, uint32_t listener, int drop);

/* Lets this process have so many descriptors; 0: as many as the system allows. More
 * than that takes root. Has the kernel make room at once for those of them that
 * `expected` is. Returns how many it may have now. */
double ct_abi_open_files(double count, double expected);

/* Whether the kernel may write this process's memory to a file when it dies. */
void ct_abi_core_dumps(ct_vm *vm, int allowed);

/* For a process that serves: files that it makes are not for others (umask 027) and,
 * with `no_new_privs`, programs that it starts gain no rights by setuid. There is no
 * way back. */
void ct_abi_confine(ct_vm *vm, int no_new_privs);

/* Ends the process with that exit code after this turn. */
void ct_abi_exit(ct_vm *vm, int code);

/* What is open: for leak checks and status. */
typedef struct ct_counts {
    uint32_t connections, requests, timers, listeners, channels;
    uint32_t handled;  /* requests since the start, modulo 2^32 */
    uint32_t unsent;   /* connections whose last reply is still on its way */
    uint32_t files;    /* descriptors that the cache of static files holds */
    uint32_t digests;  /* under way */
    uint32_t resolves; /* questions for names that were not given back */
    uint32_t jobs;     /* of threads, not given back */
    uint32_t processes;
    uint32_t fetches; /* and the descriptors that their clients hold */
    uint32_t pooled;
    uint32_t websockets; /* that were not released */
} ct_counts;

void ct_abi_counts(ct_vm *vm, ct_counts *out);

/* -- Log ---------------------------------------------------------------------*/

/* Levels: 0 debug, 1 info, 2 warning, 3 error, 4 none. `id`: of the request that
 * the message is about, and `trace` of that one's trace, or "". */
void ct_abi_log(ct_vm *vm, uint32_t level, const char *where, const char *id,
                const char *trace, const char *text, uint32_t size);
uint32_t ct_abi_log_level(ct_vm *vm);
void ct_abi_log_set_level(ct_vm *vm, uint32_t level);
int ct_abi_log_open(ct_vm *vm, const char *path);

/* As above, with rotation: at most `most` bytes, and `backups` older files. */
int ct_abi_log_open_rotated(ct_vm *vm, const char *path, double most,
                            uint32_t backups);
void ct_abi_log_json(ct_vm *vm,
                     int json); /* lines are objects, or text again */
/* What a line of the access log looks like. */
typedef enum ct_access_format {
    CT_ACCESS_AUTO,     /* JSON when the log is, else TORNADO */
    CT_ACCESS_TORNADO,  /* as the log's own lines */
    CT_ACCESS_COMBINED, /* of Apache and nginx */
    CT_ACCESS_JSON
} ct_access_format;

/* Opens the access log ("" closes it, "stderr"). ERROR: the one before is still
 * open; see ct_abi_why(). */
int ct_abi_access_log_open(ct_vm *vm, const char *path, uint32_t format);

#endif
