/* Clients that get a response that is expired or not for the certificate break the
 * connection off, where they would go on without any. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls_ocsp.h"

#include "base/mem.h"
#include "io/tls_cert.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 65536, SKEW = 300 }; /* bytes; seconds that clocks may differ */

/* -- What it says ---------------------------------------------------------- */

static bool is_about(OCSP_SINGLERESP *single, X509 *leaf, const X509 *issuer) {
    const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
    ASN1_OBJECT *hash;
    ASN1_INTEGER *serial;
    OCSP_CERTID *ours;
    bool same;

    if (!OCSP_id_get0_info(NULL, &hash, NULL, &serial,
                           (OCSP_CERTID *)(uintptr_t)id))
        return false;
    if (!issuer)
        return ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0;
    ours = OCSP_cert_to_id(EVP_get_digestbyobj(hash), leaf, issuer);
    same = ours && OCSP_id_cmp(ours, id) == 0;
    OCSP_CERTID_free(ours);
    return same;
}

/* By the issuer, or by somebody to whom it gave that right (RFC 6960 §4.2.2.2). */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer) {
    STACK_OF(X509) *certs = sk_X509_new_null();
    X509_STORE *store = X509_STORE_new();
    bool good = certs && store && sk_X509_push(certs, issuer) &&
                X509_STORE_add_cert(store, issuer) &&
                X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) &&
                OCSP_basic_verify(basic, certs, store, 0) > 0;

    sk_X509_free(certs);
    X509_STORE_free(store);
    return good;
}

/* Why it cannot be stapled, or NULL. */
static const char *judge_single(OCSP_SINGLERESP *single, time_t *till) {
    ASN1_GENERALIZEDTIME *from, *to;
    int reason,
        status = OCSP_single_get0_status(single, &reason, NULL, &from, &to);
    struct tm end;

    if (!OCSP_check_validity(from, to, SKEW, -1))
        return "it is expired, or not valid yet";
    if (status == V_OCSP_CERTSTATUS_REVOKED)
        return "it says that the certificate is revoked";
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return "it says that the certificate is not known";
    *till = to && ASN1_TIME_to_tm(to, &end) ? timegm(&end) : 0;
    return NULL;
}

static const char *judge(OCSP_BASICRESP *basic, X509 *leaf, X509 *issuer,
                         time_t *till) {
    if (!basic) return "it says nothing";
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

        if (!is_about(single, leaf, issuer)) continue;
        if (issuer && !is_signed(basic, issuer))
            return "it is not signed by the certificate's issuer";
        return judge_single(single, till);
    }
    return "it is of another certificate";
}

static X509 *issuer_in(const STACK_OF(X509) * chain, X509 *leaf) {
    X509 *next = sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;

    return next && X509_check_issued(next, leaf) == X509_V_OK ? next : NULL;
}

/* -- Files ----------------------------------------------------------------- */

static bool read_file(ct_tls_ocsp *o, const char *path, char *why,
                      size_t size) {
    BIO *file;

    ERR_clear_error();
    file = BIO_new_file(path, "rb");
    if (!file) {
        ct_tls_reason(why, size, path, "cannot be read");
        return false;
    }
    o->der = ct_alloc(MOST);
    o->size = BIO_read(file, o->der, MOST);
    BIO_free(file);
    return true;
}

bool ct_tls_ocsp_load(ct_tls_ocsp *out, const char *path, X509 *leaf,
                      const STACK_OF(X509) * chain, char *why, size_t size) {
    OCSP_RESPONSE *response = NULL;
    OCSP_BASICRESP *basic;
    const unsigned char *p;
    const char *wrong;

    *why = 0;
    *out = (ct_tls_ocsp){ 0 };
    if (!read_file(out, path, why, size)) return false;
    p = out->der;
    if (out->size > 0 && out->size < MOST)
        response = d2i_OCSP_RESPONSE(NULL, &p, out->size);
    if (!response ||
        OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        snprintf(why, size, "%s: not a successful OCSP response (DER)", path);
        OCSP_RESPONSE_free(response);
        ct_tls_ocsp_fini(out);
        ERR_clear_error();
        return false;
    }
    basic = OCSP_response_get1_basic(response);
    wrong = judge(basic, leaf, issuer_in(chain, leaf), &out->till);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    if (wrong) {
        ct_tls_ocsp_fini(out);
        snprintf(why, size, "%s: the response is not stapled: %s", path, wrong);
    }
    return true;
}

bool ct_tls_ocsp_is_valid(const ct_tls_ocsp *o, time_t now) {
    return o->der && (!o->till || now <= o->till + SKEW);
}

void ct_tls_ocsp_fini(ct_tls_ocsp *o) {
    ct_free(o->der);
    *o = (ct_tls_ocsp){ 0 };
}
