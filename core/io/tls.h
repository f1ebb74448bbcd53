/* The TLS form of a stream, for both sides: OpenSSL on the stream's own descriptor.
 * Once started it is used as any stream; recv and send shake hands first, so that
 * nothing else has to. Whoever owns it gives the handshake a deadline.
 *
 * What differs from plain: recv answers EOF both when the peer has ended the
 * session and when its socket just ended, which an attacker can bring about;
 * ct_tls_is_truncated() tells which (RFC 8446 §6.1). shut ends the session and the
 * socket's side. Lifetime: the stream's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_TLS_H
#define CT_TLS_H

#include "base/buf.h"
#include "io/stream.h"
#include "io/tls_context.h"
#include <stdbool.h>
#include <stddef.h>

/* Makes `s` the TLS stream of a client or a server, as `context` is one, which it
 * takes a share of. `host` is whom a client means to reach, a name or an IP address:
 * its certificate must say so, and a name is told to it (SNI). NULL is fine for
 * servers, and for clients that verify nothing.
 *
 * `unread` is how many bytes the owner has received in plain text and not used.
 * There must be none: what came before the handshake is not protected, and to take
 * it for what came after lets others put words into the peer's mouth (CVE-2011-0411,
 * STARTTLS). False with the reason in `why`, `s` as it was, for these, for a stream
 * that has TLS already, and a `host` that is none. */
bool ct_tls_start(ct_stream *s, ct_tls_context *context, const char *host,
                  size_t unread, char *why, size_t size)
    __attribute__((warn_unused_result));

/* True when `s` is a TLS stream. */
static inline bool ct_tls_is_on(const ct_stream *s) {
    return s->tls != NULL;
}

/* Shakes hands as far as possible: 0 when that is done, AGAIN (CT_STREAM_READ will
 * come), or ERROR. Only for those who want to know: recv and send do it too. */
int ct_tls_handshake(ct_stream *s);

/* Why recv, send or ct_tls_handshake() answered ERROR ("certificate verify failed:
 * certificate has expired"), or "". Borrows. */
const char *ct_tls_why(const ct_stream *s);

/* The same as errno: what the socket said, which ct_tls_why() repeats; ECONNABORTED
 * when the peer left during the handshake; EPROTO for all else; 0: nothing failed. */
int ct_tls_errno(const ct_stream *s);

/* True when EOF came without the end of the session. */
bool ct_tls_is_truncated(const ct_stream *s);

/* After a server's ERROR: when the client spoke plain text, makes the stream plain
 * again, so that it can be told, and returns true. What it said is lost. */
bool ct_tls_refuse(ct_stream *s);

/* After a server's ERROR within the handshake: when the client is there, which has been
 * sent an alert, makes the stream plain, so that what comes can be thrown away until
 * the client has ended, and returns true. */
bool ct_tls_abandon(ct_stream *s);

/* -- What was agreed on, after the handshake -------------------------------- */

/* "TLSv1.3"; "" before. Borrows, as the next three. */
const char *ct_tls_version(const ct_stream *s);

/* "TLS_AES_256_GCM_SHA384", or "". */
const char *ct_tls_cipher(const ct_stream *s);

/* The host that the client asked for (SNI), or "". */
const char *ct_tls_server_name(const ct_stream *s);

/* The protocol agreed on (ALPN), `*n` bytes, none: 0. */
const char *ct_tls_protocol(const ct_stream *s, size_t *n);

/* True when the session was resumed from a ticket. */
bool ct_tls_is_resumed(const ct_stream *s);

/* A client's session for ct_tls_resume(), or NULL: the server gave none, or (1.3
 * sends them behind the handshake) not yet. Caller frees with SSL_SESSION_free(). */
SSL_SESSION *ct_tls_session(const ct_stream *s);

/* Before a client's handshake: offers a session that a stream with the same context
 * and `host` had. The server may take it or not. */
void ct_tls_resume(ct_stream *s, SSL_SESSION *session);

/* The peer's certificate, or NULL. Caller frees with X509_free(). */
X509 *ct_tls_peer(const ct_stream *s);

#endif
