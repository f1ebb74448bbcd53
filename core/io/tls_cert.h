/* Certificates: reading them from files, whom they are for, and what they say.
 * Pure but for the files; nothing here knows of a connection. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_TLS_CERT_H
#define CT_TLS_CERT_H

#include "base/buf.h"
#include "io/tls_ocsp.h"
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

/* A certificate with all that a server needs to show it. */
typedef struct ct_tls_cert {
    X509 *leaf;
    STACK_OF(X509) * chain; /* what follows it in its file; may be empty */
    EVP_PKEY *key;
    ct_tls_ocsp ocsp; /* what to staple */
} ct_tls_cert;

/* Reads a PEM chain, leaf first, its PEM key (`key` NULL: from the same file), and
 * a DER OCSP response (NULL: none). An encrypted key is refused: nobody is there to
 * be asked. False and the reason with the file's name in `why`, *out empty, when
 * anything is wrong; true and a warning in `why`, which is empty otherwise, when the
 * response is not for now or not for this certificate. Caller frees with ct_tls_cert_fini(). */
bool ct_tls_cert_load(ct_tls_cert *out, const char *certificate,
                      const char *key, const char *ocsp, char *why, size_t size)
    __attribute__((warn_unused_result));

/* Makes one for localhost, 127.0.0.1 and ::1 (ECDSA P-256, 30 days), signed by
 * itself: for development. */
bool ct_tls_cert_make(ct_tls_cert *out, char *why, size_t size)
    __attribute__((warn_unused_result));

void ct_tls_cert_fini(ct_tls_cert *c);

/* True when it is for the host `name` (RFC 6125: subject alternative names, `*`
 * for one whole label; the common name only where there are none). */
bool ct_tls_cert_is_for(const ct_tls_cert *c, const char *name);

/* Appends what it says, as triples of strings that end in a zero byte: section,
 * name, value. Sections: "subject", "issuer" (names: "commonName", ...),
 * "subjectAltName" ("DNS", "IP Address", "email", "URI"), and "" ("version",
 * "serialNumber", "notBefore", "notAfter"), as Python's getpeercert() has them. A
 * value with a zero byte inside, which only a forger writes, is left out. */
void ct_tls_cert_describe(X509 *x, ct_buf *out);

/* From when to when it is good, in seconds since 1970; 0 for what is no date. */
void ct_tls_cert_dates(const X509 *x, double *not_before, double *not_after);

/* Appends whom it is for, in one line: its subject (RFC 2253), or the first of its
 * alternative names where that is empty. */
void ct_tls_cert_whose(X509 *x, ct_buf *out);

/* "WHAT: OpenSSL's reason" for the oldest error of its queue, which is emptied.
 * With an empty queue `otherwise` is the reason. */
void ct_tls_reason(char *why, size_t size, const char *what,
                   const char *otherwise);

#endif
