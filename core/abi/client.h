/* Requests to other servers. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_CLIENT_H
#define CT_ABI_CLIENT_H
#include "abi/base.h"

/* -- Clients: a pool of connections each -------------------------------------- */

/* A client that keeps at most `pool` idle connections and opens at most `most`
 * at once, `host_most` of them to one host (0: any number). 0: too many clients,
 * see ct_abi_why(). */
uint32_t ct_abi_client(ct_vm *vm, uint32_t pool, uint32_t most,
                       uint32_t host_most);

/* Closes its connections; fetches that run end with CT_FETCH_CLOSED. */
int ct_abi_client_close(ct_vm *vm, uint32_t client);

/* -- Fetches: one request and its response ------------------------------------ */

enum {
    CT_FETCH_HEAD = 1,   /* the response has no body */
    CT_FETCH_BODY = 2,   /* the request has one: `body`, or */
    CT_FETCH_UPLOAD = 4, /* ... what ct_abi_fetch_write() gives */
    CT_FETCH_STREAM = 8, /* tell of the head and of pieces of the body */
    CT_FETCH_DECODE = 16,
    CT_FETCH_EXPECT = 32, /* wait for 100 Continue before the body */
    CT_FETCH_NO_VERIFY = 64,
    CT_FETCH_IPV4 = 128,
    CT_FETCH_DIGEST = 256, /* auth: digest; else the caller sends the field */
    CT_FETCH_PROXY_DIGEST = 512,
    CT_FETCH_ENV_PROXY = 1024, /* proxies from the environment */
    CT_FETCH_HTTP10 = 2048,
    CT_FETCH_HTTP11 = 4096,
    CT_FETCH_HTTP2 = 8192, /* without asking first, also over plain TCP */
    CT_FETCH_PUBLIC =
        16384,             /* refuse loopback, private, link-local addresses */
    CT_FETCH_TLS13 = 32768 /* nothing older */
};

typedef struct ct_fetch_request {
    ct_str url, method;
    ct_str fields; /* lines "Name: value\n" */
    ct_str body;
    double upload_size; /* with UPLOAD: its bytes, or -1 for chunks */
    double connect_timeout, request_timeout; /* seconds; 0: none */
    double max_body_size;                    /* after decoding */
    uint32_t max_header_size;
    uint32_t flags; /* CT_FETCH_* */
} ct_fetch_request;

/* What few requests have; strings that end in a zero byte. */
typedef enum ct_fetch_text {
    CT_FETCH_USERNAME,
    CT_FETCH_PASSWORD,
    CT_FETCH_PROXY, /* "HOST:PORT" */
    CT_FETCH_PROXY_USERNAME,
    CT_FETCH_PROXY_PASSWORD,
    CT_FETCH_CA_CERTS,
    CT_FETCH_CLIENT_CERT,
    CT_FETCH_CLIENT_KEY,
    CT_FETCH_CIPHERS,
    CT_FETCH_INTERFACE,
    CT_FETCH_UNIX_SOCKET,
    CT_FETCH_CONNECT_TO, /* "HOST:PORT:ADDRESS:PORT": another peer */
    CT_FETCH_RESOLVE,    /* "+HOST:PORT:ADDRESS,..": what DNS said */
    CT_FETCH_TEXTS
} ct_fetch_text;

typedef enum ct_fetch_failure {
    CT_FETCH_OK,
    CT_FETCH_FAILED, /* by libcurl: see `curl` and `why` */
    CT_FETCH_CONNECT_TIMEOUT,
    CT_FETCH_TIMEOUT,
    CT_FETCH_CLOSED,     /* the connection, within the response or before */
    CT_FETCH_HEADER_MAX, /* the head is over max_header_size */
    CT_FETCH_BODY_MAX,
    CT_FETCH_BAD,      /* a response that HTTP does not allow */
    CT_FETCH_NO_TUNNEL /* a proxy's: code and head are its answer to CONNECT */
} ct_fetch_failure;

enum { CT_FETCH_TIMES = 7 };

typedef struct ct_fetch_info {
    uint32_t whole;   /* the final head is here: code, version and head */
    uint32_t done;    /* nothing will follow */
    uint32_t failure; /* ct_fetch_failure */
    uint32_t curl;    /* CURLcode */
    uint32_t code;    /* of the response */
    uint32_t version; /* 10, 11, 20 */
    ct_str head;      /* status line and fields, each with its CRLF */
    ct_str why;       /* the failure in words */
    double times[7];  /* seconds since the start: namelookup, connect,
                         appconnect, pretransfer, starttransfer, total,
                         redirect */
} ct_fetch_info;

/* A fetch that is not started; 0: CLOSED client or too many fetches. */
uint32_t ct_abi_fetch(ct_vm *vm, uint32_t client);

/* Before the start: OK, ERROR (see ct_abi_why()), CLOSED. */
int ct_abi_fetch_text(ct_vm *vm, uint32_t fetch, uint32_t what,
                      const char *text);

/* Starts; CT_EVENT_FETCH tells when it is done, and with STREAM or UPLOAD each
 * time there is something to do. OK, ERROR (see ct_abi_why()), CLOSED. */
int ct_abi_fetch_start(ct_vm *vm, uint32_t fetch, const ct_fetch_request *r);

/* Where it stands: OK, CLOSED. Times are filled in when it is done. */
int ct_abi_fetch_info(ct_vm *vm, uint32_t fetch, ct_fetch_info *out);

/* All of the body that is here, and room for more: OK, AGAIN, EOF (it is done),
 * CLOSED. */
int ct_abi_fetch_read(ct_vm *vm, uint32_t fetch, ct_str *out);

/* Gives a piece of the body to send; OK, LIMIT (64 KiB wait already: nothing was
 * taken, CT_EVENT_FETCH tells), EOF (the fetch is done), CLOSED. */
int ct_abi_fetch_write(ct_vm *vm, uint32_t fetch, const char *p, uint32_t size);

/* Bytes given and not taken by the network yet. */
uint32_t ct_abi_fetch_unsent(ct_vm *vm, uint32_t fetch);

/* The body to send is complete: OK, EOF, CLOSED. */
int ct_abi_fetch_write_end(ct_vm *vm, uint32_t fetch);

/* Ends the fetch, with its connection when it is not done. */
int ct_abi_fetch_release(ct_vm *vm, uint32_t fetch);

#endif
