/* What TLS means for a server connection, beside the stream's other form. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_SECURE_H
#define CT_SECURE_H

#include "http/conn.h"
#include "http/listener.h"

/* A connection has just come, and what is before TLS is over: begins it when its
 * listener has it. One where that cannot be is closed. */
void ct_secure_open(ct_conn *c);

/* recv has answered ERROR. A client that spoke plain HTTP where TLS should be is
 * told so; any other is closed with a reset. */
void ct_secure_failed(ct_conn *c);

#endif
