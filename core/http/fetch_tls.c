/* The end of a TLS session, for bodies that end with it. libcurl takes any end for
 * theirs, so that whoever cuts the connection could shorten them; the session's own
 * end is close_notify, an alert that OpenSSL shows us as it comes. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fetch.h"

#include <openssl/ssl.h>

static ct_fetch *find(const ct_client *c, const SSL *ssl) {
    for (ct_list *at = c->running.next; at != &c->running; at = at->next) {
        ct_fetch *f = ct_list_of(at, ct_fetch, node);

        if (f->session == ssl) return f;
    }
    return NULL;
}

/* The argument is the client, which outlives all its sessions; fetches do not. */
/* NOLINTNEXTLINE(readability-function-size): OpenSSL has these parameters */
static void on_message(int is_sent, int version, int type, const void *p,
                       size_t n, SSL *ssl, void *arg) {
    const unsigned char *alert = p;
    ct_fetch *f;

    (void)version;
    if (is_sent || type != SSL3_RT_ALERT || n < 2 ||
        alert[1] != SSL_AD_CLOSE_NOTIFY)
        return;
    f = find(arg, ssl);
    if (f) f->session_ended = true;
}

/* RFC 9112 §6.3: what has neither a length nor chunks; HTTP/2 has its own ends. */
static bool ends_with_connection(const ct_fetch *f) {
    const ct_response *head = &f->head;

    return !head->has_length && !head->chunked && head->version < 20 &&
           head->code >= 200 && head->code != 204 && head->code != 304 &&
           !(f->flags & CT_FETCH_HEAD);
}

void ct_fetch_tls_watch(ct_fetch *f) {
    struct curl_tlssessioninfo *info = NULL;

    ct_fetch_tls_fini(f);
    if (!ends_with_connection(f)) return;
    if (curl_easy_getinfo(f->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK ||
        !info || !info->internals)
        return;
    f->session = info->internals;
    f->session_ended = SSL_get_shutdown(f->session) & SSL_RECEIVED_SHUTDOWN;
    SSL_set_msg_callback(f->session, on_message);
    SSL_set_msg_callback_arg(f->session, f->client);
}

/* RFC 9112 §9.8. */
void ct_fetch_tls_check(ct_fetch *f) {
    if (f->session && !f->session_ended)
        (void)ct_fetch_give_up(f, CT_FETCH_CLOSED,
                               "the connection ended before the TLS session");
}

void ct_fetch_tls_fini(ct_fetch *f) {
    f->session = NULL;
    f->session_ended = false;
}
