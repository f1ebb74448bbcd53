/* OpenSSL keeps a queue of errors for each thread: it is emptied before a call
 * whose error will be told, so that the reason is that call's. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls_cert.h"

#include "base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MADE_DAYS = 30 };

void ct_tls_reason(char *why, size_t size, const char *what,
                   const char *otherwise) {
    unsigned long error = ERR_get_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;

    if (error && ERR_SYSTEM_ERROR(error))
        reason = strerror(ERR_GET_REASON(error));
    snprintf(why, size, "%s: %s", what, reason ? reason : otherwise);
    ERR_clear_error();
}

/* -- Files ----------------------------------------------------------------- */

static BIO *open_file(const char *path, char *why, size_t size) {
    BIO *file;

    ERR_clear_error();
    file = BIO_new_file(path, "rb");
    if (!file) ct_tls_reason(why, size, path, "cannot be read");
    return file;
}

/* In place of OpenSSL's own, which asks on the terminal. */
static int no_password(char *p, int n, int writing, void *arg) {
    (void)p, (void)n, (void)writing;
    *(bool *)arg = true;
    return -1;
}

/* OpenSSL's words for a file without what is looked for say nothing: "no start
 * line", or "unsupported". */
static void say_missing(char *why, size_t size, const char *path,
                        const char *what) {
    int reason = ERR_GET_REASON(ERR_peek_last_error());

    if (reason == PEM_R_NO_START_LINE || reason == ERR_R_UNSUPPORTED)
        ERR_clear_error();
    ct_tls_reason(why, size, path, what);
}

static bool read_chain(ct_tls_cert *c, const char *path, char *why,
                       size_t size) {
    BIO *file = open_file(path, why, size);
    X509 *next;

    if (!file) return false;
    c->leaf = PEM_read_bio_X509_AUX(file, NULL, NULL, NULL);
    if (!c->leaf) {
        say_missing(why, size, path, "no certificate (PEM) in it");
        BIO_free(file);
        return false;
    }
    c->chain = sk_X509_new_null();
    while ((next = PEM_read_bio_X509(file, NULL, NULL, NULL)))
        sk_X509_push(c->chain, next);
    BIO_free(file);
    if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
        ERR_clear_error(); /* the end of the file */
        return true;
    }
    ct_tls_reason(why, size, path, "a broken certificate behind the first");
    return false;
}

/* `missing` says that there is no key in it. */
static bool read_key(ct_tls_cert *c, const char *path, const char *missing,
                     char *why, size_t size) {
    BIO *file = open_file(path, why, size);
    bool asked = false;

    if (!file) return false;
    c->key = PEM_read_bio_PrivateKey(file, NULL, no_password, &asked);
    BIO_free(file);
    if (c->key) return true;
    say_missing(why, size, path, missing);
    if (asked)
        snprintf(why, size,
                 "%s: the key is encrypted; expected one that is not", path);
    return false;
}

bool ct_tls_cert_load(ct_tls_cert *out, const char *certificate,
                      const char *key, const char *ocsp, char *why,
                      size_t size) {
    const char *missing =
        key ? "no key (PEM) in it" : "no key (PEM) in it, and no other keyfile";

    *out = (ct_tls_cert){ 0 };
    if (!key) key = certificate;
    if (!read_chain(out, certificate, why, size)) goto fail;
    if (!read_key(out, key, missing, why, size)) goto fail;
    if (X509_check_private_key(out->leaf, out->key) != 1) {
        snprintf(why, size, "%s: the key does not belong to the certificate %s",
                 key, certificate);
        ERR_clear_error();
        goto fail;
    }
    *why = 0;
    if (!ocsp ||
        ct_tls_ocsp_load(&out->ocsp, ocsp, out->leaf, out->chain, why, size))
        return true;

fail:
    ct_tls_cert_fini(out);
    return false;
}

void ct_tls_cert_fini(ct_tls_cert *c) {
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    ct_tls_ocsp_fini(&c->ocsp);
    *c = (ct_tls_cert){ 0 };
}

/* -- Making one ------------------------------------------------------------ */

static bool add_extension(X509 *x, int id, const char *value) {
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, id, value);
    bool good = e && X509_add_ext(x, e, -1);

    X509_EXTENSION_free(e);
    return good;
}

static bool fill(X509 *x, EVP_PKEY *key) {
    X509_NAME *name = X509_get_subject_name(x);
    uint64_t serial;

    return RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) &&
           X509_set_version(x, X509_VERSION_3) &&
           X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(x), MADE_DAYS * 86400L) &&
           X509_set_pubkey(x, key) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)"localhost", -1,
                                      -1, 0) &&
           X509_set_issuer_name(x, name) &&
           add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x, NID_subject_alt_name,
                         "DNS:localhost,IP:127.0.0.1,IP:::1") &&
           X509_sign(x, key, EVP_sha256());
}

bool ct_tls_cert_make(ct_tls_cert *out, char *why, size_t size) {
    *out = (ct_tls_cert){ 0 };
    ERR_clear_error();
    out->key = EVP_EC_gen("P-256");
    out->leaf = X509_new();
    out->chain = sk_X509_new_null();
    if (out->key && out->leaf && out->chain && fill(out->leaf, out->key))
        return true;
    ct_tls_reason(why, size, "self-signed certificate", "cannot be made");
    ct_tls_cert_fini(out);
    return false;
}

/* -- What it says ---------------------------------------------------------- */

bool ct_tls_cert_is_for(const ct_tls_cert *c, const char *name) {
    return X509_check_host(c->leaf, name, 0,
                           X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

static void add(ct_buf *out, const char *section, const char *name,
                const char *value, size_t n) {
    if (memchr(value, 0, n)) return;
    ct_buf_add(out, section, strlen(section) + 1);
    ct_buf_add(out, name, strlen(name) + 1);
    ct_buf_add(out, value, n);
    ct_buf_add(out, "", 1);
}

static void add_name(ct_buf *out, const char *section, const X509_NAME *name) {
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
        const ASN1_OBJECT *kind = X509_NAME_ENTRY_get_object(e);
        char text[128];
        unsigned char *value;
        int n = ASN1_STRING_to_UTF8(&value, X509_NAME_ENTRY_get_data(e));

        if (n < 0) continue;
        OBJ_obj2txt(text, sizeof text, kind, 0);
        add(out, section, text, (const char *)value, (size_t)n);
        OPENSSL_free(value);
    }
}

static void add_ip(ct_buf *out, const ASN1_STRING *ip) {
    int family = ASN1_STRING_length(ip) == 4 ? AF_INET : AF_INET6;
    char text[INET6_ADDRSTRLEN];

    if (ASN1_STRING_length(ip) != 4 && ASN1_STRING_length(ip) != 16) return;
    inet_ntop(family, ASN1_STRING_get0_data(ip), text, sizeof text);
    add(out, "subjectAltName", "IP Address", text, strlen(text));
}

static void add_alternative(ct_buf *out, const GENERAL_NAME *g) {
    const char *name = NULL;
    int kind;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(g, &kind);

    switch (kind) {
    case GEN_DNS: name = "DNS"; break;
    case GEN_EMAIL: name = "email"; break;
    case GEN_URI: name = "URI"; break;
    case GEN_IPADD: add_ip(out, value); return;
    default: return;
    }
    add(out, "subjectAltName", name, (const char *)ASN1_STRING_get0_data(value),
        (size_t)ASN1_STRING_length(value));
}

static void add_alternatives(ct_buf *out, X509 *x) {
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++)
        add_alternative(out, sk_GENERAL_NAME_value(all, i));
    GENERAL_NAMES_free(all);
}

/* As Python prints it: "Nov 22 10:15:00 2026 GMT". */
static void add_time(ct_buf *out, const char *name, const ASN1_TIME *at) {
    BIO *text = BIO_new(BIO_s_mem());
    char *p = NULL;

    if (text && ASN1_TIME_print(text, at)) {
        long n = BIO_get_mem_data(text, &p);

        add(out, "", name, p, (size_t)n);
    }
    BIO_free(text);
}

static void add_serial(ct_buf *out, X509 *x) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;

    if (hex) add(out, "", "serialNumber", hex, strlen(hex));
    OPENSSL_free(hex);
    BN_free(number);
}

void ct_tls_cert_describe(X509 *x, ct_buf *out) {
    char version[8];
    int n = snprintf(version, sizeof version, "%d",
                     (int)(X509_get_version(x) + 1) & 0xff);

    add(out, "", "version", version, (size_t)n);
    add_serial(out, x);
    add_time(out, "notBefore", X509_get0_notBefore(x));
    add_time(out, "notAfter", X509_get0_notAfter(x));
    add_name(out, "subject", X509_get_subject_name(x));
    add_name(out, "issuer", X509_get_issuer_name(x));
    add_alternatives(out, x);
    ERR_clear_error();
}

/* -- Dates ----------------------------------------------------------------- */

static double seconds_of(const ASN1_TIME *at) {
    struct tm tm;

    return ASN1_TIME_to_tm(at, &tm) == 1 ? (double)timegm(&tm) : 0;
}

void ct_tls_cert_dates(const X509 *x, double *not_before, double *not_after) {
    *not_before = seconds_of(X509_get0_notBefore(x));
    *not_after = seconds_of(X509_get0_notAfter(x));
    ERR_clear_error();
}

static void add_first_alternative(ct_buf *out, X509 *x) {
    ct_buf all = { 0 };

    add_alternatives(&all, x); /* the section, the name, the value */
    if (all.len) {
        const char *p = ct_buf_bytes(&all);

        p += strlen(p) + 1;
        p += strlen(p) + 1;
        ct_buf_add(out, p, strlen(p));
    }
    ct_buf_fini(&all);
}

void ct_tls_cert_whose(X509 *x, ct_buf *out) {
    BIO *text = BIO_new(BIO_s_mem());
    char *p = NULL;
    long n = 0;

    if (text && X509_NAME_print_ex(text, X509_get_subject_name(x), 0,
                                   XN_FLAG_RFC2253) > 0)
        n = BIO_get_mem_data(text, &p);
    if (n > 0)
        ct_buf_add(out, p, (size_t)n);
    else
        add_first_alternative(out, x);
    BIO_free(text);
    ERR_clear_error();
}
