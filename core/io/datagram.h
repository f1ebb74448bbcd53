/* A UDP socket for those who pull. What has come and is not taken waits in the
 * kernel, whose buffer is the bound. Lifetime: its owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_DATAGRAM_H
#define CT_DATAGRAM_H

#include "io/address.h"
#include "io/loop.h"
#include <sys/types.h>

typedef struct ct_datagram ct_datagram;

/* A call that gave AGAIN may be repeated. */
typedef void ct_datagram_fn(void *arg);

/* Binds (`share` of it: SO_REUSEPORT), and connects unless `peer` is NULL.
 * `buffer`: bytes that may wait, 0 for the kernel's default. NULL: errno says
 * why. Borrows `loop`. Caller frees with ct_datagram_free(). */
ct_datagram *ct_datagram_new(ct_loop *loop, const ct_address *bind,
                             const ct_address *peer, int buffer,
                             ct_datagram_fn *fn, void *arg);

/* Sends one datagram; `to` is NULL when it is connected. CT_OK, CT_AGAIN, or
 * CT_ERROR: errno. */
int ct_datagram_send(ct_datagram *d, const char *p, size_t n,
                     const ct_address *to);

/* Takes the next one, of at most `max` bytes (the rest is cut off). Its size, or
 * -CT_AGAIN, -CT_ERROR: errno. */
ssize_t ct_datagram_recv(ct_datagram *d, char *p, size_t max, ct_address *from);

/* Where it is bound. */
ct_address ct_datagram_address(const ct_datagram *d);

/* Closes; NULL is fine. */
void ct_datagram_free(ct_datagram *d);

#endif
