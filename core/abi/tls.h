/* TLS: contexts, and what was agreed on with a peer. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_TLS_H
#define CT_ABI_TLS_H
#include "abi/base.h"

/* -- Contexts ---------------------------------------------------------------
 * See core/io/tls_context.h for what each part means. All but the first two
 * answer OK, CLOSED, or ERROR: see ct_abi_why(). A file "" is none. */

/* A context for servers, or (server = 0) clients: a handle, or 0: see
 * ct_abi_why(). */
uint32_t ct_abi_tls(ct_vm *vm, int server);

/* The handle is old from here on; who uses the context keeps it. OK or CLOSED. */
int ct_abi_tls_free(ct_vm *vm, uint32_t tls);

/* `certificate` "": one for localhost, made and signed by itself. */
int ct_abi_tls_certificate(ct_vm *vm, uint32_t tls, const char *certificate,
                           const char *key, const char *ocsp);

typedef struct ct_tls_dates {
    double not_before, not_after; /* seconds since 1970 */
    ct_str whose;                 /* the subject, or an alternative name */
} ct_tls_dates;

/* Of the certificate with that number, in the order of the calls above, from 0: OK,
 * EOF (there are fewer), CLOSED. */
int ct_abi_tls_dates(ct_vm *vm, uint32_t tls, uint32_t number,
                     ct_tls_dates *out);

enum { CT_VERIFY_NONE, CT_VERIFY_OPTIONAL, CT_VERIFY_REQUIRED };

int ct_abi_tls_verify(ct_vm *vm, uint32_t tls, uint32_t how, const char *file,
                      const char *folder);
int ct_abi_tls_ciphers(ct_vm *vm, uint32_t tls, const char *list);
int ct_abi_tls_alpn(ct_vm *vm, uint32_t tls, const char *list);

/* TLS 1.3 alone. */
int ct_abi_tls_only13(ct_vm *vm, uint32_t tls);

/* One or two keys of 80 bytes; ERROR for other sizes. */
int ct_abi_tls_tickets(ct_vm *vm, uint32_t tls, const char *keys,
                       uint32_t size);
int ct_abi_tls_rotate(ct_vm *vm, uint32_t tls);
int ct_abi_tls_inherit(ct_vm *vm, uint32_t tls, uint32_t from);

/* Without a master: how long a key lasts that all server contexts share, in
 * seconds; 0: for ever. */
void ct_abi_tls_rotation(ct_vm *vm, double seconds);

/* A listener's connections to come have TLS, by that context, for servers. */
int ct_abi_listen_tls(ct_vm *vm, uint32_t listener, uint32_t tls);

/* -- What was agreed on ------------------------------------------------------ */

typedef struct ct_tls_info {
    ct_str version, cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
    ct_str server_name;     /* the host that the client asked for, or empty */
    ct_str protocol;        /* of ALPN, or empty */
    uint32_t resumed;       /* 1: from a ticket */
} ct_tls_info;

/* Makes a channel TLS, as the context is one, for clients with the peer's name or
 * IP address as `host` ("": none): OK, CLOSED, ERROR: see ct_abi_why(). */
int ct_abi_channel_start_tls(ct_vm *vm, uint32_t channel, uint32_t tls,
                             const char *host);

/* Shakes hands as far as possible: OK, AGAIN (CT_EVENT_CHANNEL), ERROR, CLOSED. */
int ct_abi_channel_handshake(ct_vm *vm, uint32_t channel);

/* What TLS says of an ERROR whose errno is EPROTO, or (the peer left during the
 * handshake) ECONNABORTED; or "": OK, CLOSED. */
int ct_abi_channel_tls_why(ct_vm *vm, uint32_t channel, ct_str *out);

/* As the two below; EOF before the handshake is over, too. */
int ct_abi_channel_tls(ct_vm *vm, uint32_t channel, ct_tls_info *out);
int ct_abi_channel_certificate(ct_vm *vm, uint32_t channel, int der,
                               ct_str *out);

/* Of a request's connection: OK, CLOSED (the client is gone), EOF: it is plain. */
int ct_abi_request_tls(ct_vm *vm, uint32_t request, ct_tls_info *out);

/* Its client's certificate, in DER, or as triples of strings that end in a zero
 * byte: section, name, value (see core/io/tls_cert.h). OK, CLOSED, EOF: none. */
int ct_abi_request_certificate(ct_vm *vm, uint32_t request, int der,
                               ct_str *out);

#endif
