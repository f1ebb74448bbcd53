/* What TLS connections have in common: certificates, whom to trust, protocols,
 * ticket keys. It is set up once and then lent to streams (io/tls.h), each of
 * which counts as an owner: new certificates are a new context for the streams
 * that come, and the old one ends with its last stream.
 *
 * All have TLS 1.2 and 1.3 alone, forward secrecy and authenticated encryption,
 * no renegotiation, no compression (CRIME), no session cache but tickets (RFC
 * 5077, RFC 8446 §4.6.1). Each stream has its buffers only while it uses them.
 *
 * Functions that may fail return false with the reason in `why` (`size` bytes, a
 * string): the file, what is wrong, and OpenSSL's words. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_TLS_CONTEXT_H
#define CT_TLS_CONTEXT_H

#include "io/tls_tickets.h"
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ct_tls_context ct_tls_context;

enum { CT_TLS_TICKET_KEY = 80 }; /* bytes: 16 of name, 32 of AES, 32 of HMAC */

/* Whether the other side must have a certificate. One that it sends is verified
 * in each case but NONE. */
typedef enum ct_tls_verify {
    CT_TLS_NONE,     /* it is not asked; a client trusts anybody */
    CT_TLS_OPTIONAL, /* it may have one (servers only) */
    CT_TLS_REQUIRED  /* without one there is no connection */
} ct_tls_verify;

/* A context for servers (no certificate yet; clients are not asked for one) or
 * for clients (REQUIRED, the system's authorities, the host name is compared).
 * NULL and the reason in `why` when OpenSSL cannot. The caller is its first owner
 * and ends with ct_tls_context_give(). */
ct_tls_context *ct_tls_context_new(bool server, char *why, size_t size);

/* One owner more; returns `c`. */
ct_tls_context *ct_tls_context_take(ct_tls_context *c);

/* One owner less; the last one frees it. NULL is fine. */
void ct_tls_context_give(ct_tls_context *c);

/* Adds a certificate (see ct_tls_cert_load, also for a warning in `why`). A server shows that whose names fit
 * the one the client asks for (SNI), with several for a name that which suits the
 * client's algorithms, and the first added when none fits or none is asked for. A
 * client has one. */
bool ct_tls_context_add(ct_tls_context *c, const char *certificate,
                        const char *key, const char *ocsp, char *why,
                        size_t size) __attribute__((warn_unused_result));

/* Adds one for localhost, made and signed by itself, kept in memory. */
bool ct_tls_context_add_made(ct_tls_context *c, char *why, size_t size)
    __attribute__((warn_unused_result));

/* The certificate with that number, in the order in which they were added, from 0;
 * NULL: there are fewer. Borrows; valid as long as the context. */
X509 *ct_tls_context_certificate(const ct_tls_context *c, uint32_t number);

/* Says whom to trust: PEM authorities in `file`, or hashed in the folder `dir`, or
 * (both NULL) those of the system; servers that ask need one of the two. */
bool ct_tls_context_verify(ct_tls_context *c, ct_tls_verify verify,
                           const char *file, const char *dir, char *why,
                           size_t size) __attribute__((warn_unused_result));

/* Ciphers of TLS 1.2, as `openssl ciphers` takes them. */
bool ct_tls_context_ciphers(ct_tls_context *c, const char *list, char *why,
                            size_t size) __attribute__((warn_unused_result));

/* Lets TLS 1.3 alone pass, with `only13`, or 1.2 too. */
void ct_tls_context_versions(ct_tls_context *c, bool only13);

/* Protocols for ALPN (RFC 7301), best first, separated by commas; "", as it begins,
 * is none. A server refuses a client that offers others only. */
bool ct_tls_context_alpn(ct_tls_context *c, const char *list, char *why,
                         size_t size) __attribute__((warn_unused_result));

/* Sets the ticket keys: one or two of CT_TLS_TICKET_KEY bytes, the first to make
 * tickets, the other one to take those made before. Contexts with the same keys (in
 * other processes too), and that ask for the same client certificates, resume each
 * other's sessions. A server begins with a key of its own. */
void ct_tls_context_tickets(ct_tls_context *c, const uint8_t *keys, int count);

/* Uses those keys, which live longer, in place of its own, until one of the two
 * functions around this one gives it others. */
void ct_tls_context_share(ct_tls_context *c, const ct_tls_tickets *tickets);

/* Makes a new key; the current one becomes that of before. Whoever does this each
 * few hours has forward secrecy for resumed sessions, too. */
void ct_tls_context_rotate(ct_tls_context *c);

/* Copies the ticket keys of `from`: for a context that takes its place. */
void ct_tls_context_inherit(ct_tls_context *c, const ct_tls_context *from);

/* -- For io/tls.c ----------------------------------------------------------- */

bool ct_tls_context_is_server(const ct_tls_context *c);

/* True when the host's name must be in the certificate. */
bool ct_tls_context_verifies(const ct_tls_context *c);
SSL_CTX *ct_tls_context_ssl(const ct_tls_context *c);

/* How OpenSSL reaches a stream's descriptor (io/tls_bio.h). */
BIO_METHOD *ct_tls_context_bio(const ct_tls_context *c);

#endif
