/* A binary upgrade, from the side of the program that takes another one's place:
 * what it says to its elder, which still has the control socket and answers what it
 * has begun. Lifetime: its owner's, the process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ELDER_H
#define CT_ELDER_H

#include "io/loop.h"
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

/* What comes with an end of a socket: the worker's number, and the CT_KIN_FRAMES of
 * the elder. */
#define CT_ELDER_KIN "kin %u %d"

enum { CT_KIN_FRAMES = 1 }; /* other ones when those of pubsub/kin.lua change */

/* The elder has let go, or is gone. */
typedef void ct_elder_fn(void *arg);

/* The end of what joins the worker with that number, from 1, to the elder's. Takes
 * `fd`. Before ct_elder_fn. */
typedef void ct_elder_kin_fn(uint32_t worker, int fd, void *arg);

typedef struct ct_elder {
    ct_loop *loop;
    ct_elder_fn *fn;
    ct_elder_kin_fn *kin;
    void *arg;
    int channel;  /* -1: there is none, or it has ended */
    bool waiting; /* this process has not taken over yet */
    struct event event;
} ct_elder;

/* Takes `channel`, which may be -1. */
void ct_elder_init(ct_elder *e, ct_loop *loop, int channel);

/* This process serves. `fn` is called when it has taken over: at once when it has
 * no elder. */
void ct_elder_succeed(ct_elder *e, ct_elder_fn *fn, ct_elder_kin_fn *kin,
                      void *arg);

/* Before taking over: this process cannot serve, and why. */
void ct_elder_fail(const ct_elder *e, const char *why);

/* This process was told to stop: an elder that still has work shall stop, too. */
void ct_elder_stop(const ct_elder *e);

void ct_elder_fini(ct_elder *e);

#endif
