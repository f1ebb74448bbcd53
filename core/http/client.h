/* A client of other servers: libcurl's multi interface on the loop. It owns the
 * pool of connections; the transfers are http/fetch.h's. Lifetime: the owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CLIENT_H
#define CT_CLIENT_H

#include "abi.h"
#include "base/list.h"
#include "http/client_sockets.h"
#include "io/loop.h"
#include "io/timer.h"
#include <curl/curl.h>

enum {
    CT_CLIENT_KEPT = 256,      /* idle fetches with their easy handles */
    CT_CLIENT_DESCRIPTORS = 2, /* that a multi handle has for itself */
};

/* A fetch has something to tell: `tag` is what ct_fetch_take() was given. */
typedef void ct_client_fn(uint32_t tag, void *arg);

typedef struct ct_client {
    CURLM *multi;
    ct_loop *loop; /* borrowed */
    ct_client_fn *fn;
    void *arg;
    ct_timer *timer;
    double due;   /* when libcurl wants to be called; 0: not */
    double armed; /* when the timer fires; 0: not running */
    ct_client_sockets sockets;
    ct_list running;  /* of ct_fetch */
    ct_list answered; /* likewise: those that ct_client_settle() ends */
    ct_list idle;     /* of ct_fetch, at most CT_CLIENT_KEPT */
    uint32_t idle_count;
} ct_client;

/* A client with limits on its connections: idle ones, all, those to one host (0:
 * none). NULL when libcurl cannot start. Borrows `loop`. Caller frees with
 * ct_client_free(). */
ct_client *ct_client_new(ct_loop *loop, ct_client_fn *fn, void *arg);
void ct_client_limit(ct_client *c, uint32_t pool, uint32_t most,
                     uint32_t host_most);

/* After each call into libcurl: takes what has ended, and sets the timer. */
void ct_client_settle(ct_client *c);

/* Lets libcurl do now what it would do when its timer fires. */
void ct_client_kick(ct_client *c);

/* Ends what runs (the fetches stay their owners') and closes all. */
void ct_client_free(ct_client *c);

#endif
