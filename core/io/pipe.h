/* The form of a stream for what is no socket: pipes, FIFOs, terminals. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PIPE_H
#define CT_PIPE_H

#include "io/stream.h"

/* To be put into a stream in place of what ct_stream_init() set; the descriptor
 * must be non-blocking. */
extern const ct_stream_ops ct_pipe_ops;

#endif
