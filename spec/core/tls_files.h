/* Certificates for tests, made when they run: an authority and what it signs, in a
 * temporary folder that tls_files_end() removes. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_FILES_H
#define TLS_FILES_H

#include "check.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct tls_ca {
    X509 *cert;
    EVP_PKEY *key;
} tls_ca;

static char tls_folder[] = "/tmp/ctornado-tls-XXXXXX";
static char tls_made[64][96];
static int tls_count;

/* The path of a file in the folder, which is removed at the end. */
static inline const char *tls_path(const char *name) {
    char path[96];

    snprintf(path, sizeof path, "%s/%s", tls_folder, name);
    for (int i = 0; i < tls_count; i++)
        if (strcmp(tls_made[i], path) == 0) return tls_made[i];
    memcpy(tls_made[tls_count], path, sizeof path);
    return tls_made[tls_count++];
}

static inline void tls_files_begin(void) {
    CHECK(mkdtemp(tls_folder) != NULL);
}

static inline void tls_files_end(void) {
    for (int i = 0; i < tls_count; i++) unlink(tls_made[i]);
    CHECK(rmdir(tls_folder) == 0);
}

static inline void tls_extend(X509 *x, int id, const char *value) {
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, id, value);

    CHECK(e && X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

/* A certificate called `cn`, valid from `from` to `till` days from now; `names`:
 * "DNS:a,IP:1.2.3.4" or NULL: an authority. Signed by `ca`, or (NULL) itself. */
static inline tls_ca tls_make(const tls_ca *ca, const char *cn,
                              const char *names, int from, int till) {
    static long serial = 1000;
    tls_ca out = { X509_new(), EVP_EC_gen("P-256") };
    X509_NAME *name = X509_get_subject_name(out.cert);

    ASN1_INTEGER_set(X509_get_serialNumber(out.cert), serial++);
    X509_set_version(out.cert, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(out.cert), 86400L * from - 60);
    X509_gmtime_adj(X509_getm_notAfter(out.cert), 86400L * till);
    X509_set_pubkey(out.cert, out.key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(out.cert,
                         X509_get_subject_name(ca ? ca->cert : out.cert));
    tls_extend(out.cert, NID_basic_constraints,
               names ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names) tls_extend(out.cert, NID_subject_alt_name, names);
    CHECK(X509_sign(out.cert, ca ? ca->key : out.key, EVP_sha256()) > 0);
    return out;
}

static inline void tls_free(tls_ca *c) {
    X509_free(c->cert);
    EVP_PKEY_free(c->key);
}

/* Writes NAME.crt and NAME.key. */
static inline void tls_write(const tls_ca *c, const char *name) {
    char file[64];
    FILE *f;

    snprintf(file, sizeof file, "%s.crt", name);
    f = fopen(tls_path(file), "w");
    CHECK(f && PEM_write_X509(f, c->cert) && fclose(f) == 0);
    snprintf(file, sizeof file, "%s.key", name);
    f = fopen(tls_path(file), "w");
    CHECK(f && PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL) &&
          fclose(f) == 0);
}

/* Makes and writes one that `ca` signs. */
static inline void tls_leaf(const tls_ca *ca, const char *file,
                            const char *names, int from, int till) {
    tls_ca leaf = tls_make(ca, file, names, from, till);

    tls_write(&leaf, file);
    tls_free(&leaf);
}

#endif
