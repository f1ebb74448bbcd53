/* The contract between C and Lua: compiled by C, and given to ffi.cdef as it
 * stands (the files named here, in this order, without the lines that start
 * with #). Types, enums, prototypes; no macros, bit-fields, varargs, unions,
 * callbacks, 64-bit integer fields.
 *
 * Lua holds handles (uint32_t), not pointers: an old one answers CT_CLOSED. C
 * copies what it keeps before a call returns. A ct_str that C gives is valid
 * until the next ct_abi_next(). Sizes are bytes, times are seconds. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_H
#define CT_ABI_H

#include "abi/base.h" /* first: the others stand on it */

#include "abi/accept.h"
#include "abi/bytes.h"
#include "abi/channel.h"
#include "abi/client.h"
#include "abi/datagram.h"
#include "abi/document.h"
#include "abi/file.h"
#include "abi/form.h"
#include "abi/generation.h"
#include "abi/inotify.h"
#include "abi/job.h"
#include "abi/metrics.h"
#include "abi/process.h"
#include "abi/profile.h"
#include "abi/rate.h"
#include "abi/request.h"
#include "abi/resolver.h"
#include "abi/server.h"
#include "abi/terminal.h"
#include "abi/tls.h"
#include "abi/watch.h"
#include "abi/websocket.h"

#endif
