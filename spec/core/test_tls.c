/* TLS streams against each other: both ends are ours, on one loop, over a
 * socketpair or over a relay that passes on a byte at a time. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls.h"

#include "base/mem.h"
#include "check.h"
#include "io/tls_cert.h"
#include "loop.h"
#include "tls_files.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/ocsp.h>
#include <sys/socket.h>

static tls_ca ca, other_ca;
static char why[256];

/* -- Help ------------------------------------------------------------------ */

static ct_tls_context *server_with(const char *name) {
    ct_tls_context *c = ct_tls_context_new(true, why, sizeof why);
    char cert[64], key[64];

    CHECK(c != NULL);
    if (!name) return c;
    snprintf(cert, sizeof cert, "%s.crt", name);
    snprintf(key, sizeof key, "%s.key", name);
    if (!CHECK(ct_tls_context_add(c, tls_path(cert), tls_path(key), NULL, why,
                                  sizeof why)))
        fprintf(stderr, "    %s\n", why);
    return c;
}

static ct_tls_context *client_for(const char *authority) {
    ct_tls_context *c = ct_tls_context_new(false, why, sizeof why);

    CHECK(c && ct_tls_context_verify(c, CT_TLS_REQUIRED, tls_path(authority),
                                     NULL, why, sizeof why));
    return c;
}

/* Two ends; `what` are the bits told since it was cleared. */
typedef struct end {
    ct_stream s;
    int what;
} end;

typedef struct pair {
    end server, client;
    int relay[2]; /* what lies between, or -1: nothing */
} pair;

static void on_event(ct_stream *s, int what, void *arg) {
    end *e = arg;

    (void)s;
    e->what |= what;
}

static void open_pair(pair *p, bool relayed) {
    int a[2], b[2];

    *p = (pair){ .relay = { -1, -1 } };
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a) == 0);
    b[0] = a[1];
    if (relayed) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b) == 0);
        p->relay[0] = a[1];
        p->relay[1] = b[1];
    }
    CHECK(ct_stream_init(&p->server.s, &loop, a[0], on_event, &p->server));
    CHECK(ct_stream_init(&p->client.s, &loop, b[0], on_event, &p->client));
}

static void start(pair *p, ct_tls_context *server, ct_tls_context *client,
                  const char *host) {
    CHECK(ct_tls_start(&p->server.s, server, NULL, 0, why, sizeof why));
    if (!CHECK(ct_tls_start(&p->client.s, client, host, 0, why, sizeof why)))
        fprintf(stderr, "    %s\n", why);
}

static void close_pair(pair *p) {
    ct_stream_fini(&p->server.s, false);
    ct_stream_fini(&p->client.s, false);
    for (int i = 0; i < 2; i++)
        if (p->relay[i] >= 0) close(p->relay[i]);
}

/* At most `n` bytes each way; returns how many went. */
static int relay(pair *p, int n) {
    char bytes[4096];
    int moved = 0;

    for (int i = 0; i < 2 && p->relay[0] >= 0; i++) {
        ssize_t got = read(p->relay[i], bytes, (size_t)n);

        if (got <= 0) continue;
        CHECK(write(p->relay[!i], bytes, (size_t)got) == got);
        moved += (int)got;
    }
    return moved;
}

/* Until both ends are through, or one has failed, or nothing moves any more. */
static bool shake(pair *p) {
    int a = CT_STREAM_AGAIN, b = CT_STREAM_AGAIN;

    for (int i = 0; i < 100000 && (a || b); i++) {
        if (a == CT_STREAM_AGAIN) a = ct_tls_handshake(&p->client.s);
        if (b == CT_STREAM_AGAIN) b = ct_tls_handshake(&p->server.s);
        relay(p, 1);
        turn();
        if (a == CT_STREAM_ERROR && b == CT_STREAM_ERROR) break;
        /* A 1.3 client is through before its server refuses it. */
        if (b == CT_STREAM_ERROR && a == 0) break;
    }
    return a == 0 && b == 0;
}

/* Waits for READ as an owner would, and receives. */
static ssize_t await(pair *p, end *e, char *out, size_t n) {
    ssize_t got = CT_STREAM_AGAIN;

    for (int i = 0; i < 100000 && got == CT_STREAM_AGAIN; i++) {
        if (e->s.readable) got = ct_stream_recv(&e->s, out, n);
        if (got != CT_STREAM_AGAIN) break;
        relay(p, 1);
        turn();
    }
    return got;
}

static bool say(pair *p, end *from, end *to, const char *text) {
    char in[100] = "";
    size_t n = strlen(text);
    ssize_t got;

    if (!CHECK(ct_stream_send(&from->s, text, n) == (ssize_t)n)) return false;
    got = await(p, to, in, sizeof in - 1);
    return CHECK(got == (ssize_t)n) && CHECK_STR(in, text);
}

static bool talk(pair *p) {
    return say(p, &p->client, &p->server, "Hello") &&
           say(p, &p->server, &p->client, "Good evening");
}

/* -- A session ------------------------------------------------------------- */

static void test_session(bool relayed) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    pair p;
    size_t n;
    X509 *peer;

    open_pair(&p, relayed);
    start(&p, server, client, "a.test");
    CHECK_STR(ct_tls_version(&p.client.s), "");
    CHECK(shake(&p));
    CHECK_STR(ct_tls_version(&p.client.s), "TLSv1.3");
    CHECK_STR(ct_tls_version(&p.server.s), "TLSv1.3");
    CHECK_STR(ct_tls_cipher(&p.server.s), ct_tls_cipher(&p.client.s));
    CHECK_STR(ct_tls_server_name(&p.server.s), "a.test");
    ct_tls_protocol(&p.server.s, &n);
    CHECK(n == 0);
    peer = ct_tls_peer(&p.client.s);
    CHECK(peer != NULL);
    X509_free(peer);
    CHECK(ct_tls_peer(&p.server.s) == NULL);
    CHECK(talk(&p));
    CHECK_STR(ct_tls_why(&p.server.s), "");
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

/* Nobody shakes hands but send and recv. */
static void test_lazy(bool relayed) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    char in[100];
    ssize_t sent = 0, got = CT_STREAM_AGAIN;
    pair p;

    open_pair(&p, relayed);
    start(&p, server, client, "a.test");
    CHECK(ct_stream_send(&p.client.s, "Hello", 5) == CT_STREAM_AGAIN);
    for (int i = 0; i < 100000 && got < 0; i++) {
        relay(&p, 1);
        turn();
        if (sent <= 0 && (p.client.what & CT_STREAM_WRITE)) {
            p.client.what = 0;
            sent = ct_stream_send(&p.client.s, "Hello", 5);
        }
        if (p.server.s.readable)
            got = ct_stream_recv(&p.server.s, in, sizeof in);
    }
    CHECK(sent == 5 && got == 5 && memcmp(in, "Hello", 5) == 0);
    CHECK(!p.server.s.readable);
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

/* The end of the handshake comes to recv while a send waits for it. */
static void test_crossed(void) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    char in[100];
    pair p;

    open_pair(&p, false);
    start(&p, server, client, "a.test");
    CHECK(ct_stream_send(&p.client.s, "Hello", 5) == CT_STREAM_AGAIN);
    turn();
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == CT_STREAM_AGAIN);
    CHECK(ct_stream_recv(&p.client.s, in, sizeof in) == CT_STREAM_AGAIN);
    CHECK_STR(ct_tls_version(&p.client.s), "TLSv1.3");
    p.client.what = 0;
    for (int i = 0; i < 10 && !(p.client.what & CT_STREAM_WRITE); i++) turn();
    CHECK(p.client.what & CT_STREAM_WRITE);
    CHECK(ct_stream_send(&p.client.s, "Hello", 5) == 5);
    /* The server sends: that reads the end of the handshake and more. */
    CHECK(ct_stream_send(&p.server.s, "Hi", 2) == 2);
    p.server.what = 0;
    p.server.s.readable = false;
    turn();
    CHECK(p.server.what & CT_STREAM_READ && p.server.s.readable);
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == 5);
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

/* The socket is full when recv has to write its part of the handshake. */
static void test_no_room(void) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    static char junk[65536];
    char in[100];
    pair p;

    open_pair(&p, false);
    CHECK(ct_tls_start(&p.client.s, client, "a.test", 0, why, sizeof why));
    CHECK(ct_tls_handshake(&p.client.s) == CT_STREAM_AGAIN);
    while (ct_stream_send(&p.server.s, junk, sizeof junk) > 0) continue;
    CHECK(ct_tls_start(&p.server.s, server, NULL, 0, why, sizeof why));
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == CT_STREAM_AGAIN);
    CHECK(p.server.s.read_on_write && !p.server.s.readable);
    turn();
    p.server.what = 0;
    turn();
    CHECK(!(p.server.what & CT_STREAM_READ));
    while (read(p.client.s.fd, junk, sizeof junk) > 0) continue;
    turn();
    turn();
    CHECK(p.server.what & CT_STREAM_READ && p.server.s.readable);
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == CT_STREAM_AGAIN);
    CHECK(!p.server.s.read_on_write);
    CHECK(shake(&p) && talk(&p));
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

/* More than the sockets hold, both ways; each end sees what the other sent. */
static void test_bulk(void) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    enum { SIZE = 3 << 20 };
    char *data = ct_alloc(SIZE), *in = ct_alloc(SIZE);
    size_t sent = 0, got = 0;
    pair p;

    for (int i = 0; i < SIZE; i++) data[i] = (char)(i % 251);
    open_pair(&p, false);
    start(&p, server, client, "a.test");
    CHECK(shake(&p));
    p.client.what = CT_STREAM_WRITE;
    for (int i = 0; i < 100000 && got < SIZE; i++) {
        if (sent < SIZE && (p.client.what & CT_STREAM_WRITE)) {
            ssize_t n = ct_stream_send(&p.client.s, data + sent, SIZE - sent);

            p.client.what = 0;
            CHECK(n > 0 || n == CT_STREAM_AGAIN);
            if (n > 0) sent += (size_t)n;
        }
        /* Less than a record at once: what OpenSSL holds makes no edge. */
        if (p.server.s.readable) {
            ssize_t n = ct_stream_recv(&p.server.s, in + got,
                                       SIZE - got < 9000 ? SIZE - got : 9000);

            CHECK(n > 0 || n == CT_STREAM_AGAIN);
            if (n > 0) got += (size_t)n;
        } else {
            turn();
        }
    }
    CHECK(sent == SIZE && got == SIZE && memcmp(in, data, SIZE) == 0);
    close_pair(&p);
    ct_free(data);
    ct_free(in);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

static void test_sendfile(void) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    enum { SIZE = 100000 };
    char *data = ct_alloc(SIZE), *in = ct_alloc(SIZE);
    FILE *file = tmpfile();
    size_t got = 0;
    pair p;

    for (int i = 0; i < SIZE; i++) data[i] = (char)(i % 251);
    CHECK(file && fwrite(data, 1, SIZE, file) == SIZE && fflush(file) == 0);
    open_pair(&p, false);
    start(&p, server, client, "a.test");
    CHECK(shake(&p));
    CHECK(ct_stream_sendfile(&p.server.s, fileno(file), 10, SIZE - 10) ==
          SIZE - 10);
    CHECK(ct_stream_sendfile(&p.server.s, fileno(file), SIZE, 10) ==
          CT_STREAM_EOF);
    turn();
    while (got < SIZE - 10) {
        ssize_t n = await(&p, &p.client, in + got, SIZE - got);

        if (!CHECK(n > 0)) break;
        got += (size_t)n;
    }
    CHECK(got == SIZE - 10 && memcmp(in, data + 10, got) == 0);
    fclose(file);
    close_pair(&p);
    ct_free(data);
    ct_free(in);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

/* -- Ends ------------------------------------------------------------------ */

/* `how`: 0 shut, 1 fini, 2 the socket ends without a word. */
static void test_end(int how) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    char in[100];
    pair p;

    open_pair(&p, false);
    start(&p, server, client, "a.test");
    CHECK(shake(&p) && talk(&p));
    CHECK(ct_stream_send(&p.client.s, "Last", 4) == 4);
    if (how == 0) CHECK(ct_stream_shut(&p.client.s) == 0);
    if (how == 1) ct_stream_fini(&p.client.s, false);
    if (how == 2) CHECK(shutdown(p.client.s.fd, SHUT_WR) == 0);
    turn();
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == 4);
    CHECK(p.server.s.readable);
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == CT_STREAM_EOF);
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == CT_STREAM_EOF);
    CHECK(ct_tls_is_truncated(&p.server.s) == (how == 2));
    if (how != 1) { /* the other direction goes on */
        CHECK(ct_stream_send(&p.server.s, "More", 4) == 4);
        CHECK(await(&p, &p.client, in, sizeof in) == 4);
        CHECK(ct_stream_shut(&p.server.s) == 0);
        CHECK(await(&p, &p.client, in, sizeof in) == CT_STREAM_EOF);
        CHECK(!ct_tls_is_truncated(&p.client.s));
        CHECK(ct_stream_shut(&p.server.s) == 0); /* twice is fine */
    }
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

static void test_left_early(void) {
    ct_tls_context *server = server_with("a");
    char in[100];
    pair p;

    open_pair(&p, false);
    CHECK(ct_tls_start(&p.server.s, server, NULL, 0, why, sizeof why));
    ct_stream_fini(&p.client.s, false);
    turn();
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == CT_STREAM_ERROR);
    CHECK_STR(ct_tls_why(&p.server.s), "the peer left during the handshake");
    CHECK(!ct_tls_refuse(&p.server.s));
    CHECK(ct_stream_send(&p.server.s, "x", 1) == CT_STREAM_ERROR);
    CHECK(ct_stream_shut(&p.server.s) == 0);
    close_pair(&p);
    ct_tls_context_give(server);
}

static void test_plain_client(void) {
    ct_tls_context *server = server_with("a");
    char in[100];
    pair p;

    open_pair(&p, false);
    CHECK(ct_tls_start(&p.server.s, server, NULL, 0, why, sizeof why));
    CHECK(ct_stream_send(&p.client.s, "DELETE / HTTP/1.1\r\n", 19) == 19);
    turn();
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == CT_STREAM_ERROR);
    CHECK_STR(ct_tls_why(&p.server.s), "plain text where TLS should begin");
    CHECK(ct_tls_refuse(&p.server.s) && !ct_tls_is_on(&p.server.s));
    CHECK(ct_stream_send(&p.server.s, "No", 2) == 2);
    CHECK(await(&p, &p.client, in, sizeof in) == 2);
    CHECK(memcmp(in, "No", 2) == 0); /* and nothing before it */
    close_pair(&p);
    ct_tls_context_give(server);
}

static void test_garbage(void) {
    ct_tls_context *server = server_with("a");
    char in[100];
    pair p;

    open_pair(&p, false);
    CHECK(ct_tls_start(&p.server.s, server, NULL, 0, why, sizeof why));
    CHECK(ct_stream_send(&p.client.s, "\x16\x03\x01\x00\x05\x99garb", 10) ==
          10);
    turn();
    CHECK(ct_stream_recv(&p.server.s, in, sizeof in) == CT_STREAM_ERROR);
    CHECK(strncmp(ct_tls_why(&p.server.s), "TLS: ", 5) == 0);
    CHECK(!ct_tls_refuse(&p.server.s));
    close_pair(&p);
    ct_tls_context_give(server);
}

/* -- STARTTLS -------------------------------------------------------------- */

static void test_upgrade(void) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    char in[100];
    pair p;

    open_pair(&p, false);
    CHECK(ct_stream_send(&p.client.s, "STARTTLS", 8) == 8);
    CHECK(await(&p, &p.server, in, sizeof in) == 8);
    CHECK(!ct_tls_start(&p.server.s, server, NULL, 3, why, sizeof why));
    CHECK_STR(why, "cannot start TLS: bytes that came in plain text have not "
                   "been used");
    CHECK(!ct_tls_is_on(&p.server.s));
    start(&p, server, client, "a.test");
    CHECK(!ct_tls_start(&p.server.s, server, NULL, 0, why, sizeof why));
    CHECK_STR(why, "cannot start TLS: the stream has TLS already");
    CHECK(shake(&p) && talk(&p));
    close_pair(&p);

    open_pair(&p, false);
    CHECK(!ct_tls_start(&p.client.s, client, NULL, 0, why, sizeof why));
    CHECK(!ct_tls_start(&p.client.s, client, "", 0, why, sizeof why));
    CHECK_STR(why, "cannot start TLS: no host name: ");
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

/* -- Certificates ---------------------------------------------------------- */

/* A client that trusts `authority` and means `host`: NULL, or its complaint. */
static const char *complaint(const char *cert, const char *authority,
                             const char *host) {
    static char text[256];
    ct_tls_context *server = server_with(cert), *client = client_for(authority);
    pair p;
    bool good;

    open_pair(&p, false);
    start(&p, server, client, host);
    good = shake(&p);
    snprintf(text, sizeof text, "%s", ct_tls_why(&p.client.s));
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
    return good ? NULL : text;
}

static void test_verify(void) {
#define FAILED "certificate verify failed: "
    CHECK(!complaint("a", "ca.crt", "a.test"));
    CHECK(!complaint("a", "ca.crt", "a.test."));
    CHECK(!complaint("a", "ca.crt", "A.TEST"));
    CHECK(!complaint("wild", "ca.crt", "x.b.test"));
    CHECK(!complaint("ip", "ca.crt", "127.0.0.1"));
    CHECK(!complaint("ip", "ca.crt", "::1"));
    CHECK_STR(complaint("a", "ca.crt", "b.test"), FAILED "hostname mismatch");
    CHECK_STR(complaint("wild", "ca.crt", "x.y.b.test"),
              FAILED "hostname mismatch");
    CHECK_STR(complaint("wild", "ca.crt", "b.test"),
              FAILED "hostname mismatch");
    CHECK_STR(complaint("ip", "ca.crt", "127.0.0.2"),
              FAILED "IP address mismatch");
    CHECK_STR(complaint("a", "ca.crt", "127.0.0.1"),
              FAILED "IP address mismatch");
    CHECK_STR(complaint("old", "ca.crt", "a.test"),
              FAILED "certificate has expired");
    CHECK_STR(complaint("early", "ca.crt", "a.test"),
              FAILED "certificate is not yet valid");
    CHECK_STR(complaint("a", "other.crt", "a.test"),
              FAILED "unable to get local issuer certificate");
    CHECK_STR(complaint("self", "ca.crt", "a.test"),
              FAILED "self-signed certificate");
#undef FAILED
}

/* Only one who says so trusts anybody; the system's authorities are the default. */
static void test_no_verify(void) {
    for (int i = 0; i < 2; i++) {
        ct_tls_context *server = server_with("self"),
                       *client = ct_tls_context_new(false, why, sizeof why);
        pair p;

        if (i)
            CHECK(ct_tls_context_verify(client, CT_TLS_NONE, NULL, NULL, why,
                                        sizeof why));
        open_pair(&p, false);
        start(&p, server, client, "wrong.test");
        CHECK(shake(&p) == (i == 1));
        close_pair(&p);
        ct_tls_context_give(server);
        ct_tls_context_give(client);
    }
}

/* The common name of the certificate that `host` gets. */
static const char *shown(ct_tls_context *server, const char *host) {
    static char name[64];
    ct_tls_context *client = ct_tls_context_new(false, why, sizeof why);
    pair p;
    X509 *peer;

    CHECK(ct_tls_context_verify(client, CT_TLS_NONE, NULL, NULL, why,
                                sizeof why));
    open_pair(&p, false);
    start(&p, server, client, host);
    CHECK(shake(&p));
    peer = ct_tls_peer(&p.client.s);
    if (CHECK(peer != NULL))
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName,
                                  name, sizeof name);
    X509_free(peer);
    close_pair(&p);
    ct_tls_context_give(client);
    return name;
}

static void test_names(void) {
    ct_tls_context *server = server_with("a");

    CHECK_STR(shown(server, "other.test"), "a");
    CHECK(ct_tls_context_add(server, tls_path("wild.crt"), tls_path("wild.key"),
                             NULL, why, sizeof why));
    CHECK(ct_tls_context_add(server, tls_path("ip.crt"), tls_path("ip.key"),
                             NULL, why, sizeof why));
    CHECK_STR(shown(server, "a.test"), "a");
    CHECK_STR(shown(server, "x.b.test"), "wild");
    CHECK_STR(shown(server, "X.B.Test"), "wild");
    CHECK_STR(shown(server, "x.y.b.test"), "a"); /* the first */
    CHECK_STR(shown(server, "ip.test"), "ip");
    CHECK_STR(shown(server, "127.0.0.1"), "a"); /* no name is sent */
    CHECK_STR(shown(server, NULL), "a");
    ct_tls_context_give(server);
}

static void test_made(void) {
    ct_tls_context *server = ct_tls_context_new(true, why, sizeof why);

    CHECK(ct_tls_context_add_made(server, why, sizeof why));
    CHECK_STR(shown(server, "localhost"), "localhost");
    ct_tls_context_give(server);
}

static void write_file(const char *name, const char *text) {
    FILE *f = fopen(tls_path(name), "w");

    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* Adding `cert` and `key` fails, and this is said. */
static void refused(const char *cert, const char *key, const char *ocsp,
                    const char *file, const char *reason) {
    ct_tls_context *c = ct_tls_context_new(true, why, sizeof why);
    char want[256];

    snprintf(want, sizeof want, "%s: %s", tls_path(file), reason);
    CHECK(!ct_tls_context_add(c, tls_path(cert), key ? tls_path(key) : NULL,
                              ocsp ? tls_path(ocsp) : NULL, why, sizeof why));
    CHECK_STR(why, want);
    ct_tls_context_give(c);
}

static void test_bad_files(void) {
    char text[256];
    FILE *f = fopen(tls_path("locked.key"), "w");

    CHECK(f && PEM_write_PrivateKey(f, ca.key, EVP_aes_128_cbc(),
                                    (const unsigned char *)"x", 1, NULL, NULL));
    fclose(f);
    write_file("empty.crt", "");
    refused("none.crt", NULL, NULL, "none.crt", "No such file or directory");
    refused("empty.crt", NULL, NULL, "empty.crt", "no certificate (PEM) in it");
    refused("a.key", NULL, NULL, "a.key", "no certificate (PEM) in it");
    refused("a.crt", "none.key", NULL, "none.key", "No such file or directory");
    refused("a.crt", "locked.key", NULL, "locked.key",
            "the key is encrypted; expected one that is not");
    snprintf(text, sizeof text, "the key does not belong to the certificate %s",
             tls_path("a.crt"));
    refused("a.crt", "ip.key", NULL, "ip.key", text);
    refused("a.crt", "a.key", "a.crt", "a.crt",
            "not a successful OCSP response (DER)");
    write_file("broken.crt", "-----BEGIN CERTIFICATE-----\nQUJD\n"
                             "-----END CERTIFICATE-----\n");
    refused("broken.crt", NULL, NULL, "broken.crt", "too long");
}

static void test_bad_options(void) {
    ct_tls_context *c = ct_tls_context_new(true, why, sizeof why);

    CHECK(!ct_tls_context_ciphers(c, "NONSENSE", why, sizeof why));
    CHECK_STR(why, "NONSENSE: no cipher match");
    CHECK(!ct_tls_context_alpn(c, "h2,,x", why, sizeof why));
    CHECK(!ct_tls_context_alpn(c, "h2,", why, sizeof why));
    CHECK(!ct_tls_context_verify(c, CT_TLS_REQUIRED, NULL, NULL, why,
                                 sizeof why));
    CHECK(!ct_tls_context_verify(c, CT_TLS_REQUIRED, tls_path("none.crt"), NULL,
                                 why, sizeof why));
    CHECK(strstr(why, "none.crt: ") != NULL);
    ct_tls_context_give(c);
}

static int on_staple(SSL *ssl, void *arg) {
    const unsigned char *p;

    *(long *)arg = SSL_get_tlsext_status_ocsp_resp(ssl, &p);
    return 1;
}

static X509 *read_cert(const char *name) {
    FILE *f = fopen(tls_path(name), "r");
    X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

    if (f) (void)fclose(f);
    CHECK(x != NULL);
    return x;
}

/* Writes what `by` says of `of`, valid from `from` to `till` seconds from now. */
static void write_ocsp(const char *name, const tls_ca *by, X509 *of, int status,
                       long from, long till) {
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    ASN1_TIME *a = X509_gmtime_adj(NULL, from),
              *b = X509_gmtime_adj(NULL, till);
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, of, ca.cert);
    OCSP_RESPONSE *response;
    unsigned char *der = NULL;
    FILE *f = fopen(tls_path(name), "w");
    int n;

    CHECK(OCSP_basic_add1_status(basic, id, status, 0, a, a, b) != NULL);
    CHECK(OCSP_basic_sign(basic, by->cert, by->key, EVP_sha256(), NULL, 0));
    response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    n = i2d_OCSP_RESPONSE(response, &der);
    CHECK(f && n > 0 && fwrite(der, 1, (size_t)n, f) == (size_t)n);
    if (f) CHECK(fclose(f) == 0);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(a);
    ASN1_TIME_free(b);
}

/* The warning for a response, or "" when it would be stapled. */
static const char *ocsp_warning(X509 *leaf, STACK_OF(X509) * chain) {
    ct_tls_ocsp o;

    CHECK(
        ct_tls_ocsp_load(&o, tls_path("x.ocsp"), leaf, chain, why, sizeof why));
    CHECK(!o.der == !!*why);
    CHECK(!o.der || (ct_tls_ocsp_is_valid(&o, time(NULL)) &&
                     !ct_tls_ocsp_is_valid(&o, time(NULL) + 10000)));
    ct_tls_ocsp_fini(&o);
    return strstr(why, ": it ") ? strstr(why, ": it ") + 2 : why;
}

static void test_bad_ocsp(void) {
    X509 *a = read_cert("a.crt"), *other = read_cert("ip.crt");
    STACK_OF(X509) *none = sk_X509_new_null(), *chain = sk_X509_new_null();
    const char *signature = "it is not signed by the certificate's issuer";

    sk_X509_push(chain, ca.cert);
    write_ocsp("x.ocsp", &ca, a, V_OCSP_CERTSTATUS_GOOD, 0, 3600);
    CHECK_STR(ocsp_warning(a, chain), "");
    CHECK_STR(ocsp_warning(a, none), "");
    CHECK_STR(ocsp_warning(other, chain), "it is of another certificate");
    CHECK_STR(ocsp_warning(other, none), "it is of another certificate");
    write_ocsp("x.ocsp", &ca, a, V_OCSP_CERTSTATUS_GOOD, -7200, -3600);
    CHECK_STR(ocsp_warning(a, chain), "it is expired, or not valid yet");
    write_ocsp("x.ocsp", &ca, a, V_OCSP_CERTSTATUS_GOOD, 3600, 7200);
    CHECK_STR(ocsp_warning(a, chain), "it is expired, or not valid yet");
    write_ocsp("x.ocsp", &ca, a, V_OCSP_CERTSTATUS_UNKNOWN, 0, 3600);
    CHECK_STR(ocsp_warning(a, chain),
              "it says that the certificate is not known");
    write_ocsp("x.ocsp", &other_ca, a, V_OCSP_CERTSTATUS_GOOD, 0, 3600);
    CHECK_STR(ocsp_warning(a, chain), signature);
    CHECK_STR(ocsp_warning(a, none), ""); /* nobody to compare with */
    sk_X509_free(none);
    sk_X509_free(chain);
    X509_free(a);
    X509_free(other);
}

static void test_ocsp(void) {
    ct_tls_context *server = server_with(NULL), *client = client_for("ca.crt");
    SSL_CTX *ssl = ct_tls_context_ssl(client);
    X509 *a = read_cert("a.crt");
    long size = 0;
    pair p;

    write_ocsp("a.ocsp", &ca, a, V_OCSP_CERTSTATUS_GOOD, 0, 3600);
    X509_free(a);
    CHECK(ct_tls_context_add(server, tls_path("ip.crt"), tls_path("ip.key"),
                             NULL, why, sizeof why));
    CHECK(ct_tls_context_add(server, tls_path("a.crt"), tls_path("a.key"),
                             tls_path("a.ocsp"), why, sizeof why));
    SSL_CTX_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
    SSL_CTX_set_tlsext_status_cb(ssl, on_staple);
    SSL_CTX_set_tlsext_status_arg(ssl, &size);
    open_pair(&p, false);
    start(&p, server, client, "a.test");
    CHECK(shake(&p) && size > 100);
    close_pair(&p);
    open_pair(&p, false);
    start(&p, server, client, "ip.test");
    CHECK(shake(&p) && size == -1); /* it is not this one's */
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

/* -- Client certificates --------------------------------------------------- */

static void add_client(ct_tls_context *c, const char *cert, const char *key) {
    CHECK(ct_tls_context_add(c, tls_path(cert), tls_path(key), NULL, why,
                             sizeof why));
}

/* What the server says when a client shows `cert` (or nothing) to it: "" for
 * a session, in which it has seen the certificate if there was one. */
static const char *asked(ct_tls_verify verify, const char *cert,
                         const char *key) {
    static char text[256];
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    bool good;
    X509 *peer;
    pair p;

    CHECK(ct_tls_context_verify(server, verify, tls_path("ca.crt"), NULL, why,
                                sizeof why));
    if (cert) add_client(client, cert, key);
    open_pair(&p, false);
    start(&p, server, client, "a.test");
    good = shake(&p);
    peer = ct_tls_peer(&p.server.s);
    CHECK((peer != NULL) == (good && cert && verify != CT_TLS_NONE));
    X509_free(peer);
    snprintf(text, sizeof text, "%s", ct_tls_why(&p.server.s));
    CHECK(good == !*text);
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
    return text;
}

static void test_clients(void) {
    CHECK_STR(asked(CT_TLS_REQUIRED, "me.crt", "me.key"), "");
    CHECK_STR(asked(CT_TLS_REQUIRED, NULL, NULL),
              "TLS: peer did not return a certificate");
    CHECK_STR(asked(CT_TLS_REQUIRED, "self.crt", "self.key"),
              "certificate verify failed: self-signed certificate");
    CHECK_STR(asked(CT_TLS_OPTIONAL, "me.crt", "me.key"), "");
    CHECK_STR(asked(CT_TLS_OPTIONAL, NULL, NULL), "");
    CHECK_STR(asked(CT_TLS_OPTIONAL, "old.crt", "old.key"),
              "certificate verify failed: certificate has expired");
    CHECK_STR(asked(CT_TLS_NONE, "me.crt", "me.key"), "");
}

/* The value of a certificate's `section` and `name`, or NULL. */
static const char *said(const ct_buf *b, const char *section, const char *name,
                        int nth) {
    const char *p = ct_buf_bytes(b), *stop = p + b->len;

    while (p < stop) {
        const char *n = p + strlen(p) + 1, *value = n + strlen(n) + 1;

        if (strcmp(p, section) == 0 && strcmp(n, name) == 0 && !nth--)
            return value;
        p = value + strlen(value) + 1;
    }
    return NULL;
}

static void test_describe(void) {
    tls_ca c = tls_make(&ca, "J\xc3\xb6rg",
                        "DNS:one.test,DNS:two.test,IP:10.0.0.1,IP:::1,"
                        "email:a@b.test,URI:urn:x",
                        0, 1);
    ct_buf b = { 0 };

    ct_tls_cert_describe(c.cert, &b);
    CHECK_STR(said(&b, "subject", "commonName", 0), "J\xc3\xb6rg");
    CHECK_STR(said(&b, "issuer", "commonName", 0), "Test CA");
    CHECK_STR(said(&b, "", "version", 0), "3");
    CHECK(strstr(said(&b, "", "notAfter", 0), " GMT") != NULL);
    CHECK(said(&b, "", "notBefore", 0) && said(&b, "", "serialNumber", 0));
    CHECK_STR(said(&b, "subjectAltName", "DNS", 0), "one.test");
    CHECK_STR(said(&b, "subjectAltName", "DNS", 1), "two.test");
    CHECK_STR(said(&b, "subjectAltName", "IP Address", 0), "10.0.0.1");
    CHECK_STR(said(&b, "subjectAltName", "IP Address", 1), "::1");
    CHECK_STR(said(&b, "subjectAltName", "email", 0), "a@b.test");
    CHECK_STR(said(&b, "subjectAltName", "URI", 0), "urn:x");
    ct_buf_fini(&b);
    tls_free(&c);
    /* A forger's name for those who stop at the zero byte. */
    c = tls_make(&ca, "x", "DNS:good.test", 0, 1);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c.cert), "O",
                               MBSTRING_UTF8,
                               (const unsigned char *)"good\0bad", 8, -1, 0);
    ct_tls_cert_describe(c.cert, &b);
    CHECK(!said(&b, "subject", "organizationName", 0));
    ct_buf_fini(&b);
    tls_free(&c);
}

/* -- Protocols, tickets, reload -------------------------------------------- */

/* What is agreed on; NULL: no session. */
static const char *agreed(const char *server_list, const char *client_list) {
    static char text[64];
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    size_t n = 0;
    pair p;
    bool good;

    CHECK(ct_tls_context_alpn(server, server_list, why, sizeof why));
    CHECK(ct_tls_context_alpn(client, client_list, why, sizeof why));
    open_pair(&p, false);
    start(&p, server, client, "a.test");
    good = shake(&p);
    snprintf(text, sizeof text, "%.*s",
             (int)(ct_tls_protocol(&p.client.s, &n), n),
             ct_tls_protocol(&p.client.s, &n));
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
    return good ? text : NULL;
}

static void test_alpn(void) {
    CHECK_STR(agreed("http/1.1", "h2,http/1.1"), "http/1.1");
    CHECK_STR(agreed("h2,http/1.1", "http/1.1,h2"), "h2"); /* server's order */
    CHECK_STR(agreed("http/1.1", ""), "");
    CHECK_STR(agreed("", "h2"), "");
    CHECK(!agreed("http/1.1", "h2"));
}

static SSL_SESSION *the_session;

/* Connects with the session that the last call got; true when it was resumed. */
static bool resumes(ct_tls_context *server, int version) {
    ct_tls_context *client = client_for("ca.crt");
    SSL_CTX *ssl = ct_tls_context_ssl(client);
    bool resumed;
    pair p;

    SSL_CTX_set_max_proto_version(ssl, version);
    open_pair(&p, false);
    start(&p, server, client, "a.test");
    if (the_session) ct_tls_resume(&p.client.s, the_session);
    CHECK(shake(&p) && talk(&p));
    SSL_SESSION_free(the_session);
    the_session = ct_tls_session(&p.client.s);
    CHECK(the_session != NULL);
    resumed = ct_tls_is_resumed(&p.server.s);
    CHECK(resumed == ct_tls_is_resumed(&p.client.s));
    close_pair(&p);
    ct_tls_context_give(client);
    return resumed;
}

static void test_tickets(int version) {
    ct_tls_tickets shared = { 0 };
    uint8_t keys[2][CT_TLS_TICKET_KEY];
    ct_tls_context *a = server_with("a"), *b = server_with("a"),
                   *asks = server_with("a");

    memset(keys[0], 1, sizeof keys[0]);
    memset(keys[1], 2, sizeof keys[1]);
    CHECK(!resumes(a, version) && resumes(a, version));
    CHECK(!resumes(b, version)); /* its key is its own */
    ct_tls_context_tickets(a, keys[0], 2);
    CHECK(!resumes(a, version));
    ct_tls_context_tickets(b, keys[0], 1);
    CHECK(resumes(b, version)); /* as another worker would */
    ct_tls_context_rotate(a);
    CHECK(resumes(a, version));  /* made with the key of before, and renewed */
    CHECK(!resumes(b, version)); /* by one that b has not */
    ct_tls_context_inherit(b, a);
    CHECK(resumes(b, version));
    ct_tls_context_rotate(b);
    ct_tls_context_rotate(b);
    CHECK(!resumes(b, version)); /* two rotations end it */
    CHECK(ct_tls_tickets_renew(&shared, 1000, 10));
    ct_tls_context_share(a, &shared);
    ct_tls_context_share(b, &shared);
    CHECK(!resumes(a, version) && resumes(b, version));
    CHECK(!ct_tls_tickets_renew(&shared, 1009, 10));
    CHECK(ct_tls_tickets_renew(&shared, 1010, 10));
    CHECK(resumes(a, version) && resumes(b, version));
    ct_tls_context_rotate(a); /* a key of its own, and that of before */
    CHECK(resumes(a, version) && !resumes(b, version));
    ct_tls_context_inherit(a, b);
    CHECK(resumes(a, version));
    for (int i = 0; i < 3; i++)
        CHECK(ct_tls_tickets_renew(&shared, 2000 + 10 * i, 10));
    CHECK(!resumes(a, version)); /* three keys later */
    /* A session says nothing where a certificate is asked for. */
    CHECK(ct_tls_context_verify(asks, CT_TLS_OPTIONAL, tls_path("ca.crt"), NULL,
                                why, sizeof why));
    ct_tls_context_inherit(asks, b); /* shares, too */
    CHECK(resumes(b, version) && !resumes(asks, version));
    SSL_SESSION_free(the_session);
    the_session = NULL;
    ct_tls_context_give(a);
    ct_tls_context_give(b);
    ct_tls_context_give(asks);
}

/* A new context for who comes; the old one lives as long as its connections. */
static void test_reload(void) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt"),
                   *next = server_with("ip");
    pair p;

    open_pair(&p, false);
    start(&p, server, client, "a.test");
    ct_tls_context_give(server);
    ct_tls_context_give(client);
    CHECK(shake(&p));
    CHECK_STR(shown(next, "ip.test"), "ip");
    CHECK(talk(&p));
    ct_tls_context_give(next);
    CHECK(talk(&p));
    close_pair(&p);
}

/* The old protocols are refused, whatever the client would like. */
static void test_versions(void) {
    ct_tls_context *server = server_with("a"), *client = client_for("ca.crt");
    SSL_CTX *ssl = ct_tls_context_ssl(client);
    pair p;

    SSL_CTX_set_security_level(ssl, 0);
    SSL_CTX_set_min_proto_version(ssl, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ssl, TLS1_1_VERSION);
    SSL_CTX_set_cipher_list(ssl, "ALL:@SECLEVEL=0");
    open_pair(&p, false);
    start(&p, server, client, "a.test");
    CHECK(!shake(&p));
    CHECK_STR(ct_tls_why(&p.server.s), "TLS: unsupported protocol");
    CHECK_STR(ct_tls_why(&p.client.s), "TLS: tlsv1 alert protocol version");
    close_pair(&p);
    SSL_CTX_set_max_proto_version(ssl, TLS1_2_VERSION);
    open_pair(&p, false);
    start(&p, server, client, "a.test");
    CHECK(shake(&p) && talk(&p));
    CHECK_STR(ct_tls_version(&p.server.s), "TLSv1.2");
    close_pair(&p);
    ct_tls_context_versions(server, true);
    open_pair(&p, false);
    start(&p, server, client, "a.test");
    CHECK(!shake(&p));
    close_pair(&p);
    ct_tls_context_give(server);
    ct_tls_context_give(client);
}

int main(void) {
    loop_begin();
    tls_files_begin();
    ca = tls_make(NULL, "Test CA", NULL, 0, 100);
    other_ca = tls_make(NULL, "Other CA", NULL, 0, 100);
    tls_write(&ca, "ca");
    tls_write(&other_ca, "other");
    tls_leaf(&ca, "a", "DNS:a.test", 0, 100);
    tls_leaf(&ca, "wild", "DNS:*.b.test", 0, 100);
    tls_leaf(&ca, "ip", "DNS:ip.test,IP:127.0.0.1,IP:::1", 0, 100);
    tls_leaf(&ca, "old", "DNS:a.test", -10, -1);
    tls_leaf(&ca, "early", "DNS:a.test", 10, 20);
    tls_leaf(&ca, "me", "email:me@a.test", 0, 100);
    tls_leaf(NULL, "self", "DNS:a.test", 0, 100);

    test_session(false);
    test_session(true);
    test_lazy(false);
    test_lazy(true);
    test_crossed();
    test_no_room();
    test_bulk();
    test_sendfile();
    for (int how = 0; how < 3; how++) test_end(how);
    test_left_early();
    test_plain_client();
    test_garbage();
    test_upgrade();
    test_verify();
    test_no_verify();
    test_names();
    test_made();
    test_bad_files();
    test_bad_options();
    test_ocsp();
    test_bad_ocsp();
    test_clients();
    test_describe();
    test_alpn();
    test_tickets(TLS1_2_VERSION);
    test_tickets(TLS1_3_VERSION);
    test_reload();
    test_versions();

    tls_free(&ca);
    tls_free(&other_ca);
    tls_files_end();
    loop_end();
    return check_report();
}
