/* A listening socket alone: opening it, and why that fails. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_LISTEN_SOCKET_H
#define CT_LISTEN_SOCKET_H

#include "io/address.h"
#include <stdint.h>
#include <sys/types.h>

enum { CT_LISTEN_SPREAD = 1024 };

/* Bound (to what *at becomes) and listening: a descriptor that the caller owns, or
 * -1, errno set and a reason in `why`. */
int ct_listen_socket(ct_address *at, int backlog, char *why, size_t size);

/* Sets what its connections inherit, best effort: ct_listen_socket() has done so, but
 * who passes a socket on (systemd) may not have. */
void ct_listen_tune(int fd, const ct_address *at);

/* Of the sockets that share the address of this one, new connections come to the
 * first `n` alone, in the order in which they were opened. */
void ct_listen_spread(int fd, unsigned n);

/* As ct_listen_spread(), to these `n` alone (their numbers in that order, from 0): at
 * least one, and at most CT_LISTEN_SPREAD. */
void ct_listen_spread_to(int fd, const uint32_t *list, unsigned n);

/* The inode of a unix socket's file, or 0 when there is none. */
ino_t ct_listen_inode(const ct_address *a);

/* Removes the file with that inode, unless somebody has replaced it; 0: none. */
void ct_listen_unlink(const ct_address *a, ino_t inode);

/* What an errno of bind(), listen() or accept() means for that address. Borrows. */
const char *ct_listen_reason(const ct_address *at, int error);

/* "ADDRESS: REASON". */
void ct_listen_explain(const ct_address *at, int error, char *why, size_t size);

#endif
