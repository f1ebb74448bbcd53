/* What an authority says of a certificate (RFC 6960), for a server to staple to it
 * (RFC 6066 §8). Somebody else fetches it: this reads and judges a file. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_TLS_OCSP_H
#define CT_TLS_OCSP_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

typedef struct ct_tls_ocsp {
    unsigned char *der; /* NULL: there is none to staple */
    int size;
    time_t till; /* when it is over; 0: it does not say */
} ct_tls_ocsp;

/* Reads a DER response about `leaf`, whose issuer is the first of `chain`, if that
 * has it. False and the reason in `why` when it cannot be read or is none. When it
 * is one, but expired, of another certificate, not signed by the issuer, or does
 * not say "good", it is not stapled: true, out->der NULL, and a warning in `why`,
 * which is empty otherwise. Caller frees with ct_tls_ocsp_fini(). */
bool ct_tls_ocsp_load(ct_tls_ocsp *out, const char *path, X509 *leaf,
                      const STACK_OF(X509) * chain, char *why, size_t size)
    __attribute__((warn_unused_result));

/* True while it may be stapled. */
bool ct_tls_ocsp_is_valid(const ct_tls_ocsp *o, time_t now);

void ct_tls_ocsp_fini(ct_tls_ocsp *o);

#endif
