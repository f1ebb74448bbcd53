/* What a process was given by the one that started it: a master's worker its
 * place and its sockets, or sockets from systemd (sd_listen_fds(3)). Lifetime:
 * process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_INHERIT_H
#define CT_INHERIT_H

#include "data/shared.h"
#include "io/loop.h"
#include "server/folder.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct ct_inherit {
    uint32_t worker;  /* 1 and up; 0: no master started this process */
    int channel;      /* the socket to the master, or -1 */
    int elder;        /* to the process whose place it takes, or -1 */
    ct_shared shared; /* memory; see data/shared.h */
    char folder[CT_FOLDER_PATH]; /* that all workers share; empty: none */
} ct_inherit;

/* Takes it all out of the environment, so that no child sees it. Sockets wait in
 * `loop` for whoever asks for their address. */
void ct_inherit_take(ct_inherit *i, ct_loop *loop);

/* In a child that is about to exec: leaves these for the next ct_inherit_take().
 * `sockets` is "DESCRIPTOR ADDRESS" lines. False: errno says why. */
bool ct_inherit_leave(const ct_inherit *i, const char *sockets);

/* What ct_inherit_leave() leaves, as two strings for the environment of a program
 * that shall take this one's place; `elder` is its end of a socket to us. Caller
 * frees them with free(). */
void ct_inherit_heir(char *out[2], int elder, const char *sockets);

/* In a child that is about to exec: the descriptors in these lines go along. False:
 * errno says why. */
bool ct_inherit_keep(const char *sockets);

/* In a master: leaves the folder for every worker. */
void ct_inherit_share(const char *folder);

#endif
