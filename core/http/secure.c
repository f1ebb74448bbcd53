/* The handshake needs no state of its own here: recv brings it on, nothing comes
 * before it is done, and header_timeout, which runs from the beginning, is its
 * deadline too. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/secure.h"

#include "io/tls.h"
#include <stdio.h>

static void complain(ct_conn *c, const char *why) {
    char ip[CT_ADDRESS_TEXT];

    ct_peer_ip(&c->peer, ip);
    ct_log_line(c->server->loop->log, CT_LEVEL_DEBUG, "tls", "%s: %s", ip, why);
}

void ct_secure_open(ct_conn *c) {
    ct_tls_context *tls = c->listener->tls;
    char why[256];

    if (!tls || ct_tls_start(&c->stream, tls, NULL, 0, why, sizeof why)) return;
    complain(c, why);
    ct_conn_close(c, true);
}

/* As nginx says it, and as a program would show it to whoever mistyped. */
static void refuse(ct_conn *c) {
    static const char text[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
        "Content-Length: 49\r\nConnection: close\r\n\r\n"
        "The plain HTTP request was sent to an HTTPS port\n";

    complain(c, "plain HTTP on a port that is for HTTPS");
    c->linger = true;
    ct_conn_reply(c, text, sizeof text - 1, (ct_str){ 0 }, false);
}

void ct_secure_failed(ct_conn *c) {
    const char *why = ct_tls_why(&c->stream);

    if (ct_tls_refuse(&c->stream)) {
        refuse(c);
        return;
    }
    if (*why) complain(c, why);
    if (!ct_tls_abandon(&c->stream)) {
        ct_conn_close(c, true);
        return;
    }
    c->linger = true; /* a reset would take the alert with it */
    ct_conn_reply(c, "", 0, (ct_str){ 0 }, false);
}
