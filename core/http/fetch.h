/* One request to another server and its response, on a libcurl easy handle.
 * Fetches are recycled with their handles by the client. Lifetime: from
 * ct_fetch_take() to ct_fetch_give(). */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_FETCH_H
#define CT_FETCH_H

#include "base/buf.h"
#include "base/deflate.h"
#include "http/client.h"
#include "http/response.h"

enum { CT_FETCH_AHEAD = 65536 }; /* bytes kept in each direction of a stream */

/* What is known of the heads that libcurl has sent (fetch_upload.c). */
typedef struct ct_fetch_sent {
    uint32_t tail; /* the last four bytes */
    bool open;     /* the last one is not complete */
    bool line;     /* its first line is */
    bool http1;
    bool torn;  /* it went in pieces */
    bool ended; /* the last chunk was given to libcurl */
} ct_fetch_sent;

typedef struct ct_fetch {
    ct_list node;      /* in the client's list */
    ct_client *client; /* NULL: that is gone */
    CURL *easy;
    uint32_t tag;       /* the owner's name for it */
    uint32_t flags;     /* CT_FETCH_* of abi.h */
    ct_response head;   /* of the final response */
    ct_buf body;        /* decoded and not read yet */
    ct_buf packed;      /* that waits to be decoded, as `body` is full */
    ct_inflate *gunzip; /* or NULL: the body is not coded, or has not begun */
    ct_buf upload;      /* written and not sent yet */
    ct_fetch_sent sent;
    size_t read;        /* bytes of `body` that the last view has */
    double received;    /* of the body, so far, decoded */
    double raw;         /* as it came */
    double max_body;    /* bytes */
    ct_buf fields;      /* what `list` was made of */
    ct_buf url, method; /* as `easy` has them, with their zero byte */
    char *data;         /* the request's body */
    struct curl_slist *list, *connect_to, *resolve;
    double times[2]; /* connect and request timeout that `easy` has */
    uint32_t kind;   /* flags that `easy` was set up for */
    ct_fetch_failure failure;
    CURLcode code;
    const char *reason;        /* our own for giving up, or NULL */
    char why[CURL_ERROR_SIZE]; /* libcurl's */
    bool running, done, told;
    bool set;   /* `easy` has the options all fetches share */
    bool dirty; /* `easy` has more: reset before it serves again */
    bool upload_ended;
    bool recv_paused, send_paused;
    bool more;          /* `gunzip` has more than `body` had room for */
    bool refused;       /* the address was not public */
    bool proxied;       /* `easy` has a proxy */
    bool tunnels;       /* ... which is asked for a tunnel */
    bool of_proxy;      /* `head` is its answer to that */
    bool session_ended; /* by the server, with close_notify */
    void *session; /* an SSL that the body ends with, compared alone; or NULL */
} ct_fetch;

/* A fetch of the client, new or recycled; NULL when libcurl has no memory. */
ct_fetch *ct_fetch_take(ct_client *c, uint32_t tag);

/* Ends it, with its connection when it is running, and gives it back. */
void ct_fetch_give(ct_fetch *f);

/* An option of abi.h's ct_fetch_text. False: libcurl does not have it. */
bool ct_fetch_text_set(ct_fetch *f, ct_fetch_text what, const char *text)
    __attribute__((warn_unused_result));

/* Starts. False, with f->why: libcurl refuses. */
bool ct_fetch_start(ct_fetch *f, const ct_fetch_request *r)
    __attribute__((warn_unused_result));

/* See abi.h: ct_abi_fetch_read() and ct_abi_fetch_write(). */
int ct_fetch_read(ct_fetch *f, ct_str *out);
int ct_fetch_write(ct_fetch *f, const char *p, size_t n);
int ct_fetch_write_end(ct_fetch *f);
void ct_fetch_describe(ct_fetch *f, ct_fetch_info *out);

/* For the client: libcurl is done with it; it has answered, while libcurl still
 * sends; the client is going; free it. */
void ct_fetch_finish(ct_fetch *f, CURLcode result);
void ct_fetch_answer(ct_fetch *f);
void ct_fetch_orphan(ct_fetch *f);
void ct_fetch_free(ct_fetch *f);

/* For ct_fetch_start(): sets the handle up (fetch_setup.c). */
bool ct_fetch_setup(ct_fetch *f, const ct_fetch_request *r)
    __attribute__((warn_unused_result));

/* For client_sockets.c: libcurl wants to read nothing more. When that is while it
 * still sends, the fetch is over as soon as libcurl has returned. */
void ct_fetch_on_silence(ct_fetch *f);

/* For fetch_setup.c and fetch.c: ends the transfer from a callback of libcurl; the
 * first reason counts. Returns what the callback returns. */
size_t ct_fetch_give_up(ct_fetch *f, ct_fetch_failure failure, const char *why);

/* For fetch.c: the body (fetch_body.c). Takes a piece as it came; decodes what
 * there was no room for; whether that is all; forgets everything. False: the fetch
 * has failed. */
bool ct_fetch_body_add(ct_fetch *f, const char *p, size_t n)
    __attribute__((warn_unused_result));
bool ct_fetch_body_resume(ct_fetch *f) __attribute__((warn_unused_result));
bool ct_fetch_body_is_full(const ct_fetch *f);
void ct_fetch_body_check(ct_fetch *f);
void ct_fetch_body_fini(ct_fetch *f);

/* For fetch.c: bodies that end with their TLS session (fetch_tls.c). Behind the
 * head: listens for the session's end if this body is one; at the end of the fetch:
 * gives up when there was none; forgets. */
void ct_fetch_tls_watch(ct_fetch *f);
void ct_fetch_tls_check(ct_fetch *f);
void ct_fetch_tls_fini(ct_fetch *f);

/* For fetch_setup.c: libcurl's callbacks. */
size_t ct_fetch_on_head(char *p, size_t size, size_t n, void *arg);
size_t ct_fetch_on_body(char *p, size_t size, size_t n, void *arg);
size_t ct_fetch_on_upload(char *p, size_t size, size_t n, void *arg);

/* For fetch_setup.c: prepares for a body of unknown length. */
void ct_fetch_watch_heads(ct_fetch *f);

/* For fetch_upload.c: there is news. */
void ct_fetch_tell(ct_fetch *f);

#endif
