/* The part of abi.h that is TLS. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/buf.h"
#include "http/conn.h"
#include "http/listener.h"
#include "io/tls.h"
#include "io/tls_cert.h"
#include "vm/channel.h"
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(ct_tls_info) == 72, "ct_tls_info as the FFI lays it out");
_Static_assert(sizeof(ct_tls_dates) == 32,
               "ct_tls_dates as the FFI lays it out");
_Static_assert((int)CT_VERIFY_REQUIRED == (int)CT_TLS_REQUIRED, "the same");

/* -- Contexts -------------------------------------------------------------- */

static ct_tls_context *context_of(ct_vm *vm, uint32_t tls) {
    return ct_slots_get(&vm->tlses, tls);
}

static const char *or_null(const char *file) {
    return *file ? file : NULL;
}

uint32_t ct_abi_tls(ct_vm *vm, int server) {
    ct_tls_context *c = ct_tls_context_new(server, vm->why, sizeof vm->why);
    uint32_t handle = c ? ct_slots_add(&vm->tlses, c) : 0;

    if (c && server && vm->place.tickets)
        ct_tls_context_share(c, vm->place.tickets);
    if (c && !handle) {
        snprintf(vm->why, sizeof vm->why, "too many TLS contexts");
        ct_tls_context_give(c);
    }
    return handle;
}

int ct_abi_tls_free(ct_vm *vm, uint32_t tls) {
    ct_tls_context *c = context_of(vm, tls);

    if (!c) return CT_CLOSED;
    ct_slots_remove(&vm->tlses, tls);
    ct_tls_context_give(c);
    return CT_OK;
}

int ct_abi_tls_certificate(ct_vm *vm, uint32_t tls, const char *certificate,
                           const char *key, const char *ocsp) {
    ct_tls_context *c = context_of(vm, tls);
    bool good;

    if (!c) return CT_CLOSED;
    vm->why[0] = 0;
    if (!*certificate)
        good = ct_tls_context_add_made(c, vm->why, sizeof vm->why);
    else
        good = ct_tls_context_add(c, certificate, or_null(key), or_null(ocsp),
                                  vm->why, sizeof vm->why);
    if (good && vm->why[0])
        ct_log_line(vm->log, CT_LEVEL_WARNING, "tls", "%s", vm->why);
    return good ? CT_OK : CT_ERROR;
}

int ct_abi_tls_verify(ct_vm *vm, uint32_t tls, uint32_t how, const char *file,
                      const char *folder) {
    ct_tls_context *c = context_of(vm, tls);

    if (!c) return CT_CLOSED;
    return ct_tls_context_verify(c, (ct_tls_verify)how, or_null(file),
                                 or_null(folder), vm->why, sizeof vm->why)
               ? CT_OK
               : CT_ERROR;
}

int ct_abi_tls_ciphers(ct_vm *vm, uint32_t tls, const char *list) {
    ct_tls_context *c = context_of(vm, tls);

    if (!c) return CT_CLOSED;
    return ct_tls_context_ciphers(c, list, vm->why, sizeof vm->why) ? CT_OK
                                                                    : CT_ERROR;
}

int ct_abi_tls_alpn(ct_vm *vm, uint32_t tls, const char *list) {
    ct_tls_context *c = context_of(vm, tls);

    if (!c) return CT_CLOSED;
    return ct_tls_context_alpn(c, list, vm->why, sizeof vm->why) ? CT_OK
                                                                 : CT_ERROR;
}

int ct_abi_tls_only13(ct_vm *vm, uint32_t tls) {
    ct_tls_context *c = context_of(vm, tls);

    if (!c) return CT_CLOSED;
    ct_tls_context_versions(c, true);
    return CT_OK;
}

int ct_abi_tls_tickets(ct_vm *vm, uint32_t tls, const char *keys,
                       uint32_t size) {
    ct_tls_context *c = context_of(vm, tls);

    if (!c) return CT_CLOSED;
    if (size != CT_TLS_TICKET_KEY && size != 2 * CT_TLS_TICKET_KEY) {
        snprintf(vm->why, sizeof vm->why,
                 "ticket keys: expected one or two of %d bytes, got %u bytes",
                 CT_TLS_TICKET_KEY, (unsigned)size);
        return CT_ERROR;
    }
    ct_tls_context_tickets(c, (const uint8_t *)keys,
                           (int)size / CT_TLS_TICKET_KEY);
    return CT_OK;
}

int ct_abi_tls_rotate(ct_vm *vm, uint32_t tls) {
    ct_tls_context *c = context_of(vm, tls);

    if (!c) return CT_CLOSED;
    ct_tls_context_rotate(c);
    return CT_OK;
}

void ct_abi_tls_rotation(ct_vm *vm, double seconds) {
    vm->ticket_rotation = seconds;
}

int ct_abi_tls_inherit(ct_vm *vm, uint32_t tls, uint32_t from) {
    ct_tls_context *c = context_of(vm, tls), *old = context_of(vm, from);

    if (!c || !old) return CT_CLOSED;
    ct_tls_context_inherit(c, old);
    return CT_OK;
}

int ct_abi_listen_tls(ct_vm *vm, uint32_t listener, uint32_t tls) {
    ct_listener *l = ct_slots_get(&vm->server->listeners, listener);
    ct_tls_context *c = context_of(vm, tls);

    if (!l || !c) return CT_CLOSED;
    if (!ct_tls_context_is_server(c)) {
        snprintf(vm->why, sizeof vm->why, "the context is one for clients");
        return CT_ERROR;
    }
    ct_listener_secure(l, c);
    return CT_OK;
}

void ct_vm_free_tlses(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->tlses.used; i++)
        ct_tls_context_give(vm->tlses.slots[i].object);
    ct_slots_fini(&vm->tlses);
}

/* -- What was agreed on ---------------------------------------------------- */

static ct_str text(const char *p) {
    return (ct_str){ p, (uint32_t)strlen(p) };
}

static void describe(const ct_stream *s, ct_tls_info *out) {
    size_t n;
    const char *protocol = ct_tls_protocol(s, &n);

    out->version = text(ct_tls_version(s));
    out->cipher = text(ct_tls_cipher(s));
    out->server_name = text(ct_tls_server_name(s));
    out->protocol = (ct_str){ protocol, (uint32_t)n };
    out->resumed = ct_tls_is_resumed(s);
}

static int put(ct_vm *vm, const char *p, size_t n, ct_str *out) {
    if (n > CT_LOOP_SCRATCH) return CT_LIMIT;
    memcpy(vm->loop->scratch, p, n);
    *out = (ct_str){ vm->loop->scratch, (uint32_t)n };
    return CT_OK;
}

static int put_der(ct_vm *vm, X509 *x, ct_str *out) {
    unsigned char *der = NULL;
    int n = i2d_X509(x, &der), status;

    if (n < 0) return CT_ERROR;
    status = put(vm, (const char *)der, (size_t)n, out);
    OPENSSL_free(der);
    return status;
}

/* The certificate of who is at the other end. */
static int certificate(ct_vm *vm, const ct_stream *s, int der, ct_str *out) {
    X509 *peer = ct_tls_peer(s);
    ct_buf b = { 0 };
    int status;

    if (!peer) return CT_EOF;
    if (der) {
        status = put_der(vm, peer, out);
    } else {
        ct_tls_cert_describe(peer, &b);
        status = put(vm, ct_buf_bytes(&b), b.len, out);
        ct_buf_fini(&b);
    }
    X509_free(peer);
    return status;
}

int ct_abi_tls_dates(ct_vm *vm, uint32_t tls, uint32_t number,
                     ct_tls_dates *out) {
    const ct_tls_context *c = context_of(vm, tls);
    X509 *x = c ? ct_tls_context_certificate(c, number) : NULL;
    ct_buf b = { 0 };
    int status;

    *out = (ct_tls_dates){ .whose = { "", 0 } };
    if (!x) return c ? CT_EOF : CT_CLOSED;
    ct_tls_cert_dates(x, &out->not_before, &out->not_after);
    ct_tls_cert_whose(x, &b);
    status = put(vm, ct_buf_bytes(&b), b.len, &out->whose);
    ct_buf_fini(&b);
    return status;
}

/* -- Requests -------------------------------------------------------------- */

/* The stream of a request that came over TLS, or NULL and why not. */
static const ct_stream *stream_of(ct_vm *vm, uint32_t request, int *status) {
    const ct_request *r = ct_slots_get(&vm->server->requests, request);

    *status = CT_CLOSED;
    if (!r || !r->conn) return NULL;
    *status = ct_tls_is_on(&r->conn->stream) ? CT_OK : CT_EOF;
    return *status == CT_OK ? &r->conn->stream : NULL;
}

int ct_abi_request_tls(ct_vm *vm, uint32_t request, ct_tls_info *out) {
    int status;
    const ct_stream *s = stream_of(vm, request, &status);

    *out = (ct_tls_info){ 0 };
    if (s) describe(s, out);
    return status;
}

int ct_abi_request_certificate(ct_vm *vm, uint32_t request, int der,
                               ct_str *out) {
    int status;
    const ct_stream *s = stream_of(vm, request, &status);

    *out = (ct_str){ "", 0 };
    return s ? certificate(vm, s, der, out) : status;
}

/* -- Channels -------------------------------------------------------------- */

static ct_channel *channel_of(ct_vm *vm, uint32_t handle) {
    vm_channel *c = ct_slots_get(&vm->channels, handle);

    return c ? c->channel : NULL;
}

int ct_abi_channel_start_tls(ct_vm *vm, uint32_t channel, uint32_t tls,
                             const char *host) {
    ct_channel *c = channel_of(vm, channel);
    ct_tls_context *context = context_of(vm, tls);

    snprintf(vm->why, sizeof vm->why, "the TLS context is closed");
    if (!c) return CT_CLOSED;
    if (!context) return CT_ERROR;
    return ct_channel_start_tls(c, context, or_null(host), vm->why,
                                sizeof vm->why)
               ? CT_OK
               : CT_ERROR;
}

int ct_abi_channel_handshake(ct_vm *vm, uint32_t channel) {
    ct_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    return ct_tls_is_on(&c->stream) ? ct_channel_handshake(c) : CT_ERROR;
}

int ct_abi_channel_tls_why(ct_vm *vm, uint32_t channel, ct_str *out) {
    const ct_channel *c = channel_of(vm, channel);

    *out = text("");
    if (!c) return CT_CLOSED;
    *out = text(ct_tls_is_truncated(&c->stream)
                    ? "the connection ended before the TLS session"
                    : ct_tls_why(&c->stream));
    return CT_OK;
}

/* The same for a channel. */
static const ct_stream *secured(ct_vm *vm, uint32_t channel, int *status) {
    const ct_channel *c = channel_of(vm, channel);

    *status = CT_CLOSED;
    if (!c) return NULL;
    *status = *ct_tls_version(&c->stream) ? CT_OK : CT_EOF;
    return *status == CT_OK ? &c->stream : NULL;
}

int ct_abi_channel_tls(ct_vm *vm, uint32_t channel, ct_tls_info *out) {
    int status;
    const ct_stream *s = secured(vm, channel, &status);

    *out = (ct_tls_info){ 0 };
    if (s) describe(s, out);
    return status;
}

int ct_abi_channel_certificate(ct_vm *vm, uint32_t channel, int der,
                               ct_str *out) {
    int status;
    const ct_stream *s = secured(vm, channel, &status);

    *out = (ct_str){ "", 0 };
    return s ? certificate(vm, s, der, out) : status;
}
