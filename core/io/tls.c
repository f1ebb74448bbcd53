/* Two things make this more than two calls of OpenSSL. A handshake in recv may have
 * to write, and one in send to read: the stream's crossed flags bring the callback
 * that the waiting side needs. And what OpenSSL holds already makes no edge: recv
 * keeps `readable`, and a send that read ahead wakes the reader. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls.h"

#include "base/mem.h"
#include "io/tls_bio.h"
#include "io/tls_cert.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WHY = 256, FILE_PIECE = 16384, HOST_MAX = 255 };

typedef struct ct_tls {
    SSL *ssl;
    ct_tls_context *context;
    ct_tls_wire wire;
    int end; /* what recv answers from here on: EOF, ERROR; 0 while it goes on */
    bool truncated;
    bool broken;  /* OpenSSL must not be asked again */
    bool counted; /* its handshake, in the counters */
    bool ending;  /* close_notify waits for room */
    char *why;    /* or NULL */
} ct_tls;

static void free_tls(ct_tls *t) {
    SSL_free(t->ssl);
    ct_tls_context_give(t->context);
    ct_free(t->why);
    ct_free(t);
}

/* -- What went wrong ------------------------------------------------------- */

static bool is_reason(int reason) {
    return ERR_GET_REASON(ERR_peek_error()) == reason;
}

static void say(ct_tls *t) {
    long verdict = SSL_get_verify_result(t->ssl);

    t->why = ct_alloc(WHY);
    if (is_reason(SSL_R_CERTIFICATE_VERIFY_FAILED))
        snprintf(t->why, WHY, "certificate verify failed: %s",
                 X509_verify_cert_error_string(verdict));
    else if (t->wire.plain)
        snprintf(t->why, WHY, "plain text where TLS should begin");
    else if (t->wire.error)
        snprintf(t->why, WHY, "%s", strerror(t->wire.error));
    else if (t->wire.ended)
        snprintf(t->why, WHY, "the peer left during the handshake");
    else
        ct_tls_reason(t->why, WHY, "TLS", "failed");
}

static bool is_cut(const ct_tls *t, int error) {
    if (!t->wire.ended || SSL_in_init(t->ssl)) return false;
    return error == SSL_ERROR_SYSCALL ||
           is_reason(SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

/* Our handshakes as a server are counted, once each. */
static void count(const ct_stream *s, bool good) {
    ct_counters *c = s->loop->counters;
    ct_tls *t = s->tls;

    if (t->counted || !ct_tls_context_is_server(t->context)) return;
    t->counted = true;
    if (!good)
        ct_count_add(&c->tls_failed, 1);
    else
        ct_count_add(&c->tls, 1);
    if (good && SSL_session_reused(t->ssl)) ct_count_add(&c->tls_resumed, 1);
}

/* Nothing more will be received: what `t->end` is. Behind a socket's end that was
 * not the session's we may still send, as on a plain stream. */
static int give_up(const ct_stream *s, int error) {
    ct_tls *t = s->tls;
    bool cut = is_cut(t, error);

    t->broken = !cut || error == SSL_ERROR_SSL;
    if (cut) {
        t->truncated = true;
        return t->end = CT_STREAM_EOF;
    }
    if (!t->why) say(t);
    count(s, false);
    return t->end = CT_STREAM_ERROR;
}

/* What a call of OpenSSL that returned `r` <= 0 means; `reads`: for whom. */
static int failed(ct_stream *s, int r, bool reads) {
    ct_tls *t = s->tls;
    int error = SSL_get_error(t->ssl, r), end;

    switch (error) {
    case SSL_ERROR_WANT_READ:
        if (!reads) s->write_on_read = true;
        return CT_STREAM_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        if (reads) s->read_on_write = true;
        ct_stream_await_room(s);
        return CT_STREAM_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        if (reads && !SSL_in_init(t->ssl)) return t->end = CT_STREAM_EOF;
        __attribute__((fallthrough));
    default: end = give_up(s, error); break;
    }
    ERR_clear_error();
    return end;
}

/* Before each call of OpenSSL. The stream may have moved since the last one. To
 * look at the queue of errors costs a tenth of clearing it. */
static void begin(const ct_stream *s) {
    ct_tls *t = s->tls;

    t->wire.stream = s;
    t->wire.dry = t->wire.took = false;
    if (ERR_peek_error()) ERR_clear_error();
}

/* A send that waits for the handshake, which recv has brought to its end. */
static void wake_sender(ct_stream *s) {
    if (!s->write_on_read || SSL_in_init(s->tls->ssl)) return;
    s->write_on_read = false;
    ct_stream_poke(s, CT_STREAM_WRITE);
}

/* A recv that waits, for what somebody else has read. */
static void wake_reader(ct_stream *s) {
    if (s->tls->wire.took && SSL_has_pending(s->tls->ssl))
        ct_stream_poke(s, CT_STREAM_READ);
}

/* -- The operations -------------------------------------------------------- */

/* Where plain has one recv() there may be many records: they are taken until
 * there is neither a whole one nor anything in the socket. */
static ssize_t tls_recv(ct_stream *s, char *p, size_t n) {
    ct_tls *t = s->tls;
    size_t got = 0, k;
    int why = 0;

    begin(s);
    while (got < n && !t->end && !why) {
        int r = SSL_read_ex(t->ssl, p + got, n - got, &k);

        if (r)
            got += k;
        else
            why = failed(s, r, true);
        if (t->wire.dry && !SSL_has_pending(t->ssl)) break;
    }
    if (!t->counted && SSL_is_init_finished(t->ssl)) count(s, true);
    wake_sender(s);
    if (!got && t->end) why = t->end;
    /* An end behind what was got is told by the next call. */
    s->readable = got && (t->end || got == n || s->shut);
    if (got) return (ssize_t)got;
    return why ? why : CT_STREAM_AGAIN;
}

static ssize_t tls_send(ct_stream *s, const char *p, size_t n) {
    ct_tls *t = s->tls;
    size_t sent = 0, k;
    int why = 0;

    if (t->broken) return CT_STREAM_ERROR;
    begin(s);
    while (sent < n && !why) {
        int r = SSL_write_ex(t->ssl, p + sent, n - sent, &k);

        if (r)
            sent += k;
        else
            why = failed(s, r, false);
    }
    wake_reader(s);
    if (why && why != CT_STREAM_AGAIN) return CT_STREAM_ERROR;
    return sent ? (ssize_t)sent : why;
}

static ssize_t tls_sendfile(ct_stream *s, int fd, uint64_t at, size_t n) {
    size_t sent = 0;

    while (sent < n) {
        size_t most = n - sent < FILE_PIECE ? n - sent : FILE_PIECE;
        ssize_t got, k;

        do got = pread(fd, s->loop->scratch, most, (off_t)(at + sent));
        while (got == -1 && errno == EINTR);
        if (got <= 0) return got ? CT_STREAM_ERROR : CT_STREAM_EOF;
        k = tls_send(s, s->loop->scratch, (size_t)got);
        if (k < 0) return sent && k == CT_STREAM_AGAIN ? (ssize_t)sent : k;
        sent += (size_t)k;
        if (k < got) break;
    }
    return (ssize_t)sent;
}

/* Sends close_notify, if there is a session to end: what OpenSSL says of it. A
 * repeated call sends what did not fit, and does not wait for the peer's. */
static int end_session(const ct_stream *s) {
    ct_tls *t = s->tls;
    int r;

    if (t->broken || SSL_in_init(t->ssl)) return 0;
    if (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN && !t->ending) return 0;
    begin(s);
    r = SSL_shutdown(t->ssl);
    t->ending = r < 0;
    return r;
}

static int tls_shut(ct_stream *s) {
    int r = end_session(s);

    if (r < 0)
        return failed(s, r, false) == CT_STREAM_AGAIN ? CT_STREAM_AGAIN
                                                      : CT_STREAM_ERROR;
    return shutdown(s->fd, SHUT_WR) == 0 ? 0 : CT_STREAM_ERROR;
}

static void tls_fini(ct_stream *s) {
    if (!s->reset) (void)end_session(s); /* best effort: nobody waits */
    free_tls(s->tls);
    s->tls = NULL;
}

static const ct_stream_ops tls_ops = {
    .recv = tls_recv,
    .send = tls_send,
    .shut = tls_shut,
    .fini = tls_fini,
    .sendfile = tls_sendfile,
};

/* -- Starting -------------------------------------------------------------- */

static bool is_ip(const char *host) {
    unsigned char ip[16];

    return inet_pton(AF_INET, host, ip) == 1 ||
           inet_pton(AF_INET6, host, ip) == 1;
}

/* Whom a client means to reach. A name's last dot is not part of it in TLS. */
static bool set_host(ct_tls *t, const char *host) {
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    char name[HOST_MAX + 1];
    size_t n = strlen(host);

    if (is_ip(host)) return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    if (n && host[n - 1] == '.') n--;
    if (!n || n > HOST_MAX) return false;
    memcpy(name, host, n);
    name[n] = 0;
    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(t->ssl, name) &&
           X509_VERIFY_PARAM_set1_host(param, name, n) == 1;
}

static ct_tls *new_tls(ct_tls_context *context) {
    ct_tls *t = ct_new(ct_tls);
    BIO *bio = BIO_new(ct_tls_context_bio(context));

    t->context = ct_tls_context_take(context);
    t->ssl = SSL_new(ct_tls_context_ssl(context));
    if (!bio || !t->ssl) {
        BIO_free(bio);
        free_tls(t);
        return NULL;
    }
    BIO_set_data(bio, &t->wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio); /* takes it */
    if (ct_tls_context_is_server(context))
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    return t;
}

bool ct_tls_start(ct_stream *s, ct_tls_context *context, const char *host,
                  size_t unread, char *why, size_t size) {
    bool server = ct_tls_context_is_server(context);
    const char *wrong = NULL;
    ct_tls *t;

    if (s->tls)
        wrong = "the stream has TLS already";
    else if (unread)
        wrong = "bytes that came in plain text have not been used";
    else if (!server && !host && ct_tls_context_verifies(context))
        wrong = "expected the host's name, to compare with its certificate";
    if (wrong) {
        snprintf(why, size, "cannot start TLS: %s", wrong);
        return false;
    }
    ERR_clear_error();
    t = new_tls(context);
    if (t && !server && host && !set_host(t, host)) {
        free_tls(t);
        snprintf(why, size, "cannot start TLS: no host name: %.100s", host);
        return false;
    }
    if (!t) {
        ct_tls_reason(why, size, "cannot start TLS", "no memory");
        return false;
    }
    s->tls = t;
    s->ops = &tls_ops;
    return true;
}

int ct_tls_handshake(ct_stream *s) {
    ct_tls *t = s->tls;
    int r;

    if (t->broken) return CT_STREAM_ERROR;
    if (!SSL_in_init(t->ssl)) return 0;
    begin(s);
    r = SSL_do_handshake(t->ssl);
    if (t->wire.dry) s->readable = s->shut;
    if (r <= 0)
        return failed(s, r, true) == CT_STREAM_AGAIN ? CT_STREAM_AGAIN
                                                     : CT_STREAM_ERROR;
    wake_sender(s);
    wake_reader(s);
    return 0;
}

/* Of a server's handshake: has it failed before it was done? */
static bool is_greeting(const ct_tls *t) {
    return t && SSL_in_init(t->ssl) && ct_tls_context_is_server(t->context);
}

static void become_plain(ct_stream *s) {
    free_tls(s->tls);
    s->tls = NULL;
    s->ops = &ct_stream_plain;
    s->readable = true;
}

bool ct_tls_refuse(ct_stream *s) {
    if (!is_greeting(s->tls) || !s->tls->wire.plain) return false;
    become_plain(s);
    return true;
}

bool ct_tls_abandon(ct_stream *s) {
    const ct_tls *t = s->tls;

    if (!is_greeting(t) || t->wire.ended || t->wire.error) return false;
    become_plain(s);
    return true;
}

/* -- What was agreed on ---------------------------------------------------- */

static SSL *agreed(const ct_stream *s) {
    return s->tls && SSL_is_init_finished(s->tls->ssl) ? s->tls->ssl : NULL;
}

const char *ct_tls_why(const ct_stream *s) {
    return s->tls && s->tls->why ? s->tls->why : "";
}

int ct_tls_errno(const ct_stream *s) {
    const ct_tls *t = s->tls;

    if (!t || !t->end) return 0;
    if (t->wire.error) return t->wire.error;
    return t->wire.ended && !t->truncated ? ECONNABORTED : EPROTO;
}

bool ct_tls_is_truncated(const ct_stream *s) {
    return s->tls && s->tls->truncated;
}

const char *ct_tls_version(const ct_stream *s) {
    const SSL *ssl = agreed(s);

    return ssl ? SSL_get_version(ssl) : "";
}

const char *ct_tls_cipher(const ct_stream *s) {
    const SSL *ssl = agreed(s);

    return ssl ? SSL_get_cipher_name(ssl) : "";
}

const char *ct_tls_server_name(const ct_stream *s) {
    const SSL *ssl = agreed(s);
    const char *name =
        ssl ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : NULL;

    return name ? name : "";
}

const char *ct_tls_protocol(const ct_stream *s, size_t *n) {
    const SSL *ssl = agreed(s);
    const unsigned char *p = NULL;
    unsigned size = 0;

    if (ssl) SSL_get0_alpn_selected(ssl, &p, &size);
    *n = size;
    return size ? (const char *)p : "";
}

bool ct_tls_is_resumed(const ct_stream *s) {
    const SSL *ssl = agreed(s);

    return ssl && SSL_session_reused(ssl);
}

SSL_SESSION *ct_tls_session(const ct_stream *s) {
    SSL *ssl = agreed(s);
    SSL_SESSION *session = ssl ? SSL_get1_session(ssl) : NULL;

    if (session && SSL_SESSION_is_resumable(session)) return session;
    SSL_SESSION_free(session);
    return NULL;
}

void ct_tls_resume(ct_stream *s, SSL_SESSION *session) {
    (void)SSL_set_session(s->tls->ssl,
                          session); /* without it it is a new one */
    ERR_clear_error();
}

X509 *ct_tls_peer(const ct_stream *s) {
    const SSL *ssl = agreed(s);

    return ssl ? SSL_get1_peer_certificate(ssl) : NULL;
}
