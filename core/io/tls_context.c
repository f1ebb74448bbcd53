/* One SSL_CTX: the first certificate is its own, so that a server with one has no
 * work for a handshake; with others a callback puts those that fit into place. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls_context.h"

#include "base/assert.h"
#include "base/digest.h"
#include "base/mem.h"
#include "io/tls_bio.h"
#include "io/tls_cert.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { ALPN_MAX = 255 };

_Static_assert(sizeof(ct_tls_key) == CT_TLS_TICKET_KEY, "as the header says");

struct ct_tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    ct_tls_cert *certs;
    int cert_count;
    unsigned owners;
    bool server;
    ct_tls_verify verify;
    const ct_tls_tickets *shared; /* borrowed; NULL: its own keys */
    ct_tls_key keys[2];           /* to make tickets; to take those of before */
    int key_count;
    uint8_t alpn[ALPN_MAX + 1]; /* each with its length before it */
    unsigned alpn_size;
};

/* Mozilla's "intermediate" without finite-field Diffie-Hellman. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:"
                              "ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:"
                              "ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:"
                              "ECDHE-RSA-CHACHA20-POLY1305";

/* -- Tickets --------------------------------------------------------------- */

static bool use_key(const ct_tls_key *k, unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool making) {
    char hash[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->hmac, sizeof k->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1 &&
           EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv,
                             making) == 1;
}

/* The key to make a ticket with. */
static bool newest_key(const ct_tls_context *c, ct_tls_key *out) {
    if (c->shared) return ct_tls_tickets_newest(c->shared, out);
    *out = c->keys[0];
    return true;
}

/* The key of that name, as ct_tls_tickets_find(). */
static int find_key(const ct_tls_context *c, const uint8_t *name,
                    ct_tls_key *out) {
    if (c->shared) return ct_tls_tickets_find(c->shared, name, out);
    for (int i = 0; i < c->key_count; i++) {
        if (memcmp(name, c->keys[i].name, sizeof out->name) != 0) continue;
        *out = c->keys[i];
        return i;
    }
    return -1;
}

/* 1: go on; 2: and give a new ticket; 0: no such key; -1: failed. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int making) {
    const ct_tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    ct_tls_key k;
    int age = 0, answer;

    if (making) {
        if (!newest_key(c, &k)) return 0;
        memcpy(name, k.name, sizeof k.name);
        ct_digest_random(iv, EVP_MAX_IV_LENGTH);
    } else {
        age = find_key(c, name, &k);
        if (age == -1) return 0;
    }
    answer = use_key(&k, iv, cipher, mac, making) ? 1 + (age > 0) : -1;
    OPENSSL_cleanse(&k, sizeof k);
    return answer;
}

void ct_tls_context_share(ct_tls_context *c, const ct_tls_tickets *tickets) {
    c->shared = tickets;
}

void ct_tls_context_tickets(ct_tls_context *c, const uint8_t *keys, int count) {
    ct_assert(count == 1 || count == 2);
    c->shared = NULL;
    memcpy(c->keys, keys, (size_t)count * sizeof c->keys[0]);
    c->key_count = count;
}

void ct_tls_context_rotate(ct_tls_context *c) {
    (void)newest_key(c, &c->keys[1]);
    c->shared = NULL;
    ct_digest_random(&c->keys[0], sizeof c->keys[0]);
    if (c->key_count < 2) c->key_count++;
}

void ct_tls_context_inherit(ct_tls_context *c, const ct_tls_context *from) {
    c->shared = from->shared;
    memcpy(c->keys, from->keys, sizeof c->keys);
    c->key_count = from->key_count;
}

/* -- Certificates ---------------------------------------------------------- */

static int show(SSL *ssl, const ct_tls_cert *c) {
    return SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1) == 1;
}

/* The SSL begins with the first certificate. */
static int on_certificate(SSL *ssl, void *arg) {
    const ct_tls_context *c = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    bool found = false;

    if (!name || !*name) return 1;
    for (int i = 0; i < c->cert_count; i++) {
        if (!ct_tls_cert_is_for(&c->certs[i], name)) continue;
        if (!found) SSL_certs_clear(ssl);
        found = true;
        if (!show(ssl, &c->certs[i])) return 0;
    }
    return 1;
}

static int on_status(SSL *ssl, void *arg) {
    const ct_tls_context *c = arg;
    X509 *leaf = SSL_get_certificate(ssl);

    for (int i = 0; i < c->cert_count; i++) {
        const ct_tls_cert *cert = &c->certs[i];
        unsigned char *copy;

        if (X509_cmp(cert->leaf, leaf) != 0) continue;
        if (!ct_tls_ocsp_is_valid(&cert->ocsp, time(NULL))) continue;
        copy = OPENSSL_memdup(cert->ocsp.der, (size_t)cert->ocsp.size);
        if (!copy) return SSL_TLSEXT_ERR_NOACK;
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, cert->ocsp.size);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* Takes `cert`. */
static bool add(ct_tls_context *c, ct_tls_cert cert, const char *what,
                char *why, size_t size) {
    size_t n = (size_t)c->cert_count + 1;

    c->certs = ct_realloc(c->certs, n * sizeof *c->certs);
    c->certs[n - 1] = cert;
    c->cert_count = (int)n;
    ERR_clear_error();
    if (n == 1 && SSL_CTX_use_cert_and_key(c->ssl, cert.leaf, cert.key,
                                           cert.chain, 1) != 1) {
        ct_tls_reason(why, size, what, "cannot be used");
        return false;
    }
    if (n == 2) SSL_CTX_set_cert_cb(c->ssl, on_certificate, c);
    if (cert.ocsp.der) {
        SSL_CTX_set_tlsext_status_cb(c->ssl, on_status);
        SSL_CTX_set_tlsext_status_arg(c->ssl, c);
    }
    return true;
}

bool ct_tls_context_add(ct_tls_context *c, const char *certificate,
                        const char *key, const char *ocsp, char *why,
                        size_t size) {
    ct_tls_cert cert;

    if (!c->server && c->cert_count) {
        snprintf(why, size, "%s: a client has one certificate", certificate);
        return false;
    }
    return ct_tls_cert_load(&cert, certificate, key, ocsp, why, size) &&
           add(c, cert, certificate, why, size);
}

bool ct_tls_context_add_made(ct_tls_context *c, char *why, size_t size) {
    ct_tls_cert cert;

    return ct_tls_cert_make(&cert, why, size) &&
           add(c, cert, "self-signed certificate", why, size);
}

X509 *ct_tls_context_certificate(const ct_tls_context *c, uint32_t number) {
    return number < (uint32_t)c->cert_count ? c->certs[number].leaf : NULL;
}

/* -- Whom to trust --------------------------------------------------------- */

/* A session is resumed only where it would have been made: what was asked of a
 * client in one place says nothing in another one. */
static void set_scope(ct_tls_context *c, const char *file, const char *dir) {
    char text[2 * 4096 + 8], digest[CT_DIGEST_SIZE];
    int n = snprintf(text, sizeof text, "%d\n%s\n%s", (int)c->verify,
                     file ? file : "", dir ? dir : "");
    size_t most = sizeof text - 1;

    ct_digest(CT_HASH_SHA256, text, (size_t)n < most ? (size_t)n : most,
              digest);
    SSL_CTX_set_session_id_context(c->ssl, (unsigned char *)digest,
                                   SSL_MAX_SID_CTX_LENGTH);
}

static bool trust(ct_tls_context *c, const char *file, const char *dir,
                  char *why, size_t size) {
    ERR_clear_error();
    if (!file && !dir) {
        if (SSL_CTX_set_default_verify_paths(c->ssl)) return true;
        ct_tls_reason(why, size, "the system's authorities", "cannot be read");
        return false;
    }
    if (file && !SSL_CTX_load_verify_file(c->ssl, file)) {
        ct_tls_reason(why, size, file, "cannot be read");
        return false;
    }
    if (dir && !SSL_CTX_load_verify_dir(c->ssl, dir)) {
        ct_tls_reason(why, size, dir, "cannot be read");
        return false;
    }
    return true;
}

/* What a server tells clients: by whom their certificate may be signed. */
static bool name_authorities(ct_tls_context *c, const char *file, char *why,
                             size_t size) {
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);

    if (names) {
        SSL_CTX_set_client_CA_list(c->ssl, names); /* takes them */
        return true;
    }
    ct_tls_reason(why, size, file, "no certificates");
    return false;
}

bool ct_tls_context_verify(ct_tls_context *c, ct_tls_verify verify,
                           const char *file, const char *dir, char *why,
                           size_t size) {
    int mode = SSL_VERIFY_NONE;

    if (verify != CT_TLS_NONE) {
        mode = SSL_VERIFY_PEER;
        if (c->server && !file && !dir) {
            snprintf(why, size,
                     "client certificates: set ca_certs, a file or folder of "
                     "the authorities that sign them");
            return false;
        }
        if (!trust(c, file, dir, why, size)) return false;
        if (c->server && file && !name_authorities(c, file, why, size))
            return false;
    }
    if (verify == CT_TLS_REQUIRED) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    c->verify = verify;
    SSL_CTX_set_verify(c->ssl, mode, NULL);
    set_scope(c, file, dir);
    return true;
}

/* -- Protocols ------------------------------------------------------------- */

bool ct_tls_context_ciphers(ct_tls_context *c, const char *list, char *why,
                            size_t size) {
    ERR_clear_error();
    if (SSL_CTX_set_cipher_list(c->ssl, list)) return true;
    ct_tls_reason(why, size, list, "no such ciphers");
    return false;
}

void ct_tls_context_versions(ct_tls_context *c, bool only13) {
    SSL_CTX_set_min_proto_version(c->ssl,
                                  only13 ? TLS1_3_VERSION : TLS1_2_VERSION);
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                   const unsigned char *in, unsigned int in_n, void *arg) {
    const ct_tls_context *c = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, n, c->alpn, c->alpn_size, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* "a,b" as length-prefixed strings; false for an empty name, or too many. */
static bool pack(ct_tls_context *c, const char *list) {
    unsigned used = 0;

    while (*list) {
        size_t n = strcspn(list, ",");

        if (!n || n > 255 || used + 1 + n > ALPN_MAX) return false;
        c->alpn[used++] = (uint8_t)n;
        memcpy(c->alpn + used, list, n);
        used += (unsigned)n;
        list += n;
        if (*list == ',' && !*++list) return false;
    }
    c->alpn_size = used;
    return true;
}

bool ct_tls_context_alpn(ct_tls_context *c, const char *list, char *why,
                         size_t size) {
    if (!pack(c, list)) {
        snprintf(why, size,
                 "%s: expected protocols separated by commas, at "
                 "most %d bytes",
                 list, ALPN_MAX);
        return false;
    }
    if (c->server)
        SSL_CTX_set_alpn_select_cb(c->ssl, c->alpn_size ? on_alpn : NULL, c);
    else
        SSL_CTX_set_alpn_protos(c->ssl, c->alpn, c->alpn_size);
    return true;
}

/* -- Life ------------------------------------------------------------------ */

static bool set_up(ct_tls_context *c, char *why, size_t size) {
    SSL_CTX *ssl = c->ssl;

    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS |
                              SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_app_data(ssl, c);
    if (!ct_tls_context_ciphers(c, ciphers, why, size)) return false;
    if (!c->server)
        return ct_tls_context_verify(c, CT_TLS_REQUIRED, NULL, NULL, why, size);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
    ct_tls_context_rotate(c);
    set_scope(c, NULL, NULL);
    return true;
}

ct_tls_context *ct_tls_context_new(bool server, char *why, size_t size) {
    ct_tls_context *c = ct_new(ct_tls_context);

    c->owners = 1;
    c->server = server;
    ERR_clear_error();
    c->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    c->bio = ct_tls_bio_new();
    if (c->ssl && c->bio) {
        if (set_up(c, why, size)) return c;
    } else {
        ct_tls_reason(why, size, "TLS", "cannot be set up");
    }
    ct_tls_context_give(c);
    return NULL;
}

ct_tls_context *ct_tls_context_take(ct_tls_context *c) {
    c->owners++;
    return c;
}

void ct_tls_context_give(ct_tls_context *c) {
    if (!c || --c->owners) return;
    for (int i = 0; i < c->cert_count; i++) ct_tls_cert_fini(&c->certs[i]);
    ct_free(c->certs);
    SSL_CTX_free(c->ssl);
    BIO_meth_free(c->bio);
    OPENSSL_cleanse(c->keys, sizeof c->keys);
    ct_free(c);
}

bool ct_tls_context_is_server(const ct_tls_context *c) {
    return c->server;
}

bool ct_tls_context_verifies(const ct_tls_context *c) {
    return c->verify != CT_TLS_NONE;
}

SSL_CTX *ct_tls_context_ssl(const ct_tls_context *c) {
    return c->ssl;
}

BIO_METHOD *ct_tls_context_bio(const ct_tls_context *c) {
    return c->bio;
}
