/* Requests and their replies. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_REQUEST_H
#define CT_ABI_REQUEST_H
#include "abi/base.h"

/* -- Requests ---------------------------------------------------------------
 * Alive from their event until ct_abi_request_release(). */

int ct_abi_request_info(ct_vm *vm, uint32_t request, ct_request_info *out);

/* The first field with that name (compared without case): OK for the only one,
 * AGAIN when there are more, EOF for none. */
int ct_abi_request_field(ct_vm *vm, uint32_t request, const char *name,
                         uint32_t size, ct_str *out);

/* Fields from number `from` (0 on), at most `max`; returns how many. */
uint32_t ct_abi_request_fields(ct_vm *vm, uint32_t request, uint32_t from,
                               ct_pair *out, uint32_t max);

/* Makes `ip` the request's remote_ip, for the access log as well. ERROR when it is
 * no IP address; nothing has changed. */
int ct_abi_request_remote(ct_vm *vm, uint32_t request, const char *ip,
                          uint32_t size);

/* The connection leaves HTTP: its channel (abi/channel.h), which begins with what
 * the client sent behind this request and what is not yet sent to it. The
 * request needs its release still; nothing can be replied. 0 when the client is
 * gone, or the reply complete. */
uint32_t ct_abi_request_detach(ct_vm *vm, uint32_t request);

/* Says that Lua is done with the request; its handle is old from here on. A
 * reply that is not complete is cut off. */
void ct_abi_request_release(ct_vm *vm, uint32_t request);

/* Writes the request's line to the access log, if there is one: `id` is what the
 * request is called, `trace` the trace that it belongs to, `ip` the client's when
 * it is not the peer's; or "". */
void ct_abi_request_log(ct_vm *vm, uint32_t request, const char *id,
                        uint32_t id_size, const char *trace,
                        uint32_t trace_size, const char *ip, uint32_t ip_size);

/* Asks for the whole body, at most `max` bytes: OK when it is here, AGAIN when
 * CT_EVENT_BODY will tell, LIMIT when it is larger (nothing is answered yet; the
 * connection will close with the reply). */
int ct_abi_body_collect(ct_vm *vm, uint32_t request, double max);

/* The body that was collected: OK, AGAIN before it is complete. One that is
 * spooled to disk is mapped into memory. */
int ct_abi_body_get(ct_vm *vm, uint32_t request, ct_str *out);

/* The next piece of a body that is streamed, at most `max` bytes in all: OK, EOF
 * at its end, AGAIN when CT_EVENT_BODY will tell, LIMIT, CLOSED. The sender is
 * held back while nobody asks. */
int ct_abi_body_read(ct_vm *vm, uint32_t request, double max, ct_str *out);

/* The value, as sent, of the last cookie of that name: OK, EOF for none. */
int ct_abi_request_cookie(ct_vm *vm, uint32_t request, const char *name,
                          uint32_t size, ct_str *out);

/* -- Replies ----------------------------------------------------------------
 * Status line, Date, Content-Length, Transfer-Encoding and Connection are C's,
 * and Server, unless the fields have one. Each answers OK, CLOSED when the client
 * is gone, ERROR for a call out of order. */

enum { CT_FIELD_SET, CT_FIELD_ADD, CT_FIELD_REMOVE };

/* Sets (in place of all of that name), adds or removes a field of the reply.
 * ERROR: a value that HTTP does not allow; nothing has changed. The name has
 * been checked and is in its canonical form. */
int ct_abi_field(ct_vm *vm, uint32_t request, int how, const char *name,
                 uint32_t name_size, const char *value, uint32_t value_size);

/* The value of a field that was set: OK, EOF. */
int ct_abi_field_get(ct_vm *vm, uint32_t request, const char *name,
                     uint32_t size, ct_str *out);

/* The value of its line number `index` (0 on): OK, EOF. */
int ct_abi_field_nth(ct_vm *vm, uint32_t request, const char *name,
                     uint32_t size, uint32_t index, ct_str *out);

/* Forgets all fields that were set, but not the cookies. */
int ct_abi_field_clear(ct_vm *vm, uint32_t request);

/* Sets a cookie in place of the one of that name: `text` is the value of its
 * Set-Cookie field, which begins with the name and "=". */
int ct_abi_reply_cookie(ct_vm *vm, uint32_t request, uint32_t name_size,
                        const char *text, uint32_t size);

enum {
    CT_REPLY_NO_SERVER = 1, /* send no Server field */
    CT_REPLY_CLOSE = 2,     /* close the connection behind this reply */
    CT_REPLY_LENGTH = 4     /* HEAD and 304: say `length` in Content-Length */
};

/* The whole reply: status, the fields set so far, body. An empty reason means
 * the standard one, an empty content type none. HEAD, 1xx, 204 and 304 send no
 * body. */
int ct_abi_reply(ct_vm *vm, uint32_t request, uint32_t status,
                 const char *reason, uint32_t reason_size, const char *type,
                 uint32_t type_size, const char *body, uint32_t body_size,
                 double length, uint32_t flags);

/* The head of a streamed reply: `length` bytes will follow, or -1: unknown, so
 * chunked for HTTP/1.1 and until the end of the connection for HTTP/1.0. */
int ct_abi_reply_start(ct_vm *vm, uint32_t request, uint32_t status,
                       const char *reason, uint32_t reason_size,
                       const char *type, uint32_t type_size, double length,
                       uint32_t flags);

/* More of the body. AGAIN: taken, but the buffer is above its mark; wait for
 * CT_EVENT_DRAIN. ERROR: more than the length that was announced. */
int ct_abi_reply_write(ct_vm *vm, uint32_t request, const char *p,
                       uint32_t size);

/* The end of the body. ERROR (and the connection closes) when it was shorter
 * than announced. */
int ct_abi_reply_end(ct_vm *vm, uint32_t request);

/* OK when nothing waits to be sent, else AGAIN and CT_EVENT_DRAIN comes when all
 * is sent. */
int ct_abi_reply_flushed(ct_vm *vm, uint32_t request);

/* Cuts the connection, so that the client sees that the reply is broken. */
int ct_abi_reply_abort(ct_vm *vm, uint32_t request);

#endif
