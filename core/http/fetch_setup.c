/* Sets an easy handle up for a request. Setting everything costs more than many
 * a transfer, so a handle keeps what all fetches share, and of the rest only what
 * differs from its last request is set. Whatever else a request needs (proxies,
 * certificates, credentials) makes the handle dirty: it is reset before it serves
 * another one, so that nothing leaks from request to request. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fetch.h"

#include "base/mem.h"
#include <string.h>

static curl_socket_t on_open(void *arg, curlsocktype why,
                             struct curl_sockaddr *to) {
    ct_fetch *f = arg;

    (void)why;
    if (f->flags & CT_FETCH_PUBLIC && !ct_client_is_public(&to->addr)) {
        f->refused = true;
        return CURL_SOCKET_BAD;
    }
    return ct_client_sockets_open(f->client, to);
}

static void set_callbacks(ct_fetch *f) {
    CURL *e = f->easy;

    curl_easy_setopt(e, CURLOPT_PRIVATE, f);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, f->why);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, ct_fetch_on_head);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, ct_fetch_on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, ct_fetch_on_upload);
    curl_easy_setopt(e, CURLOPT_READDATA, f);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, f);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, ct_client_sockets_close);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, f->client);
}

/* QUICK_EXIT: a fetch that is cancelled does not wait for libcurl's resolver.
 * PROXY "": the environment is not asked. */
static void set_shared(ct_fetch *f) {
    CURL *e = f->easy;

    if (f->set) return;
    f->set = true;
    f->kind = ~0u;
    f->times[0] = f->times[1] = -1;
    set_callbacks(f);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(e, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, 300L);
}

static long version_of(uint32_t flags) {
    if (flags & CT_FETCH_HTTP10) return CURL_HTTP_VERSION_1_0;
    if (flags & CT_FETCH_HTTP11) return CURL_HTTP_VERSION_1_1;
    if (flags & CT_FETCH_HTTP2) return CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    return CURL_HTTP_VERSION_2TLS;
}

/* A connection that was opened without CT_FETCH_PUBLIC may lead anywhere. */
static void set_kind(ct_fetch *f, uint32_t kind) {
    CURL *e = f->easy;
    long verify = !(kind & CT_FETCH_NO_VERIFY), fresh;

    if (kind == f->kind) return;
    f->kind = kind;
    fresh = (kind & (CT_FETCH_PUBLIC | CT_FETCH_UPLOAD)) != 0;
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, fresh);
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, kind & CT_FETCH_PUBLIC ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, version_of(kind));
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING,
                     kind & CT_FETCH_DECODE ? "gzip" : NULL);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, verify);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION,
                     (long)(kind & CT_FETCH_TLS13 ? CURL_SSLVERSION_TLSv1_3
                                                  : CURL_SSLVERSION_TLSv1_2));
    curl_easy_setopt(e, CURLOPT_IPRESOLVE,
                     (long)(kind & CT_FETCH_IPV4 ? CURL_IPRESOLVE_V4
                                                 : CURL_IPRESOLVE_WHATEVER));
    curl_easy_setopt(e, CURLOPT_HTTPAUTH,
                     kind & CT_FETCH_DIGEST ? CURLAUTH_DIGEST : CURLAUTH_BASIC);
    curl_easy_setopt(e, CURLOPT_PROXYAUTH,
                     kind & CT_FETCH_PROXY_DIGEST ? CURLAUTH_DIGEST
                                                  : CURLAUTH_BASIC);
}

static long ms(double seconds) {
    double value = seconds * 1e3;

    return value < 1 ? 1 : value > 2e9 ? 2000000000 : (long)value;
}

/* For libcurl no connect timeout means its default, five minutes. */
static void set_times(ct_fetch *f, double connect, double whole) {
    if (f->times[0] != connect)
        curl_easy_setopt(f->easy, CURLOPT_CONNECTTIMEOUT_MS,
                         ms(connect > 0 ? connect : 1e9));
    if (f->times[1] != whole)
        curl_easy_setopt(f->easy, CURLOPT_TIMEOUT_MS,
                         whole > 0 ? ms(whole) : 0L);
    f->times[0] = connect;
    f->times[1] = whole;
}

/* True when `kept` was something else; then it is `s`, with a zero byte. */
static bool renew(ct_buf *kept, ct_str s) {
    if (kept->len == s.n + 1u && memcmp(ct_buf_bytes(kept), s.p, s.n) == 0)
        return false;
    kept->head = kept->len = 0;
    if (s.n) ct_buf_add(kept, s.p, s.n);
    ct_buf_add(kept, "", 1);
    return true;
}

static bool append(struct curl_slist **list, const char *line) {
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer) *list = longer;
    return longer != NULL;
}

/* An empty value is written "Name;" for libcurl. Takes apart `fields`. */
static bool add_lines(struct curl_slist **list, char *fields) {
    char *line = fields, *end;

    for (; (end = strchr(line, '\n')); line = end + 1) {
        char *colon = strchr(line, ':');

        *end = 0;
        if (colon && colon[strspn(colon, ": ")] == 0) memcpy(colon, ";", 2);
        if (!append(list, line)) return false;
    }
    return true;
}

/* Fields that libcurl would add by itself are named without a value. */
static bool set_fields(ct_fetch *f, ct_str fields) {
    struct curl_slist *list = NULL;
    char *copy;
    bool good;

    if (!renew(&f->fields, fields) && f->list) return true;
    copy = ct_memdup(fields.p, fields.n);
    good = add_lines(&list, copy) && append(&list, "Accept:") &&
           append(&list, "Content-Type:") &&
           (f->flags & CT_FETCH_EXPECT || append(&list, "Expect:"));
    ct_free(copy);
    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, list);
    curl_slist_free_all(f->list);
    f->list = list;
    return good;
}

static void set_upload(ct_fetch *f, const ct_fetch_request *r) {
    CURL *e = f->easy;

    f->dirty = true;
    curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, ct_buf_bytes(&f->method));
    curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->upload_size);
    if (r->upload_size < 0) ct_fetch_watch_heads(f);
}

static void set_body(ct_fetch *f, const ct_fetch_request *r) {
    CURL *e = f->easy;

    f->data = ct_memdup(r->body.p, r->body.n);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
    curl_easy_setopt(e, CURLOPT_POSTFIELDS, f->data);
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, ct_buf_bytes(&f->method));
    f->method.head = f->method.len = 0; /* POSTFIELDS is to be taken back */
}

static void set_plain(ct_fetch *f) {
    CURL *e = f->easy;
    const char *method = ct_buf_bytes(&f->method);
    bool get = strcmp(method, "GET") == 0, head = strcmp(method, "HEAD") == 0;

    curl_easy_setopt(e, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(e, CURLOPT_NOBODY, head ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, get || head ? NULL : method);
}

static void set_method(ct_fetch *f, const ct_fetch_request *r) {
    bool changed = renew(&f->method, r->method);

    if (f->flags & CT_FETCH_UPLOAD)
        set_upload(f, r);
    else if (f->flags & CT_FETCH_BODY)
        set_body(f, r);
    else if (changed)
        set_plain(f);
}

static bool is_secure(ct_str url) {
    return url.n > 6 && strncmp(url.p, "https:", 6) == 0;
}

/* What a proxy says to CONNECT is told when that is no tunnel. */
static void set_tunnel(ct_fetch *f, ct_str url) {
    f->tunnels =
        is_secure(url) && (f->proxied || f->flags & CT_FETCH_ENV_PROXY);
    if (f->tunnels)
        curl_easy_setopt(f->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 0L);
}

/* Whether to wait and see if the first connection can be shared (HTTP/2): the
 * handshake of TLS tells soon. Of plain HTTP the first response would, and that may
 * be a long poll's. */
static bool set_url(ct_fetch *f, ct_str url) {
    bool wait = f->flags & CT_FETCH_HTTP2 || is_secure(url);

    curl_easy_setopt(f->easy, CURLOPT_PIPEWAIT, (long)wait);
    return !renew(&f->url, url) ||
           curl_easy_setopt(f->easy, CURLOPT_URL, ct_buf_bytes(&f->url)) ==
               CURLE_OK;
}

bool ct_fetch_setup(ct_fetch *f, const ct_fetch_request *r) {
    uint32_t kind =
        f->flags & ~(uint32_t)(CT_FETCH_STREAM | CT_FETCH_BODY | CT_FETCH_HEAD);

    set_shared(f);
    set_kind(f, kind);
    set_times(f, r->connect_timeout, r->request_timeout);
    if (f->flags & CT_FETCH_EXPECT) {
        f->dirty = true;
        curl_easy_setopt(f->easy, CURLOPT_EXPECT_100_TIMEOUT_MS,
                         r->request_timeout > 0 ? ms(r->request_timeout)
                                                : 2000000000L);
    }
    if (f->flags & CT_FETCH_ENV_PROXY) {
        f->dirty = true;
        curl_easy_setopt(f->easy, CURLOPT_PROXY, NULL);
    }
    if (!set_url(f, r->url)) return false;
    set_tunnel(f, r->url);
    set_method(f, r);
    return set_fields(f, r->fields);
}

/* -- What few requests have ----------------------------------------------------- */

static bool set_list(ct_fetch *f, CURLoption option, struct curl_slist **list,
                     const char *text) {
    return append(list, text) &&
           curl_easy_setopt(f->easy, option, *list) == CURLE_OK;
}

bool ct_fetch_text_set(ct_fetch *f, ct_fetch_text what, const char *text) {
    static const CURLoption options[CT_FETCH_TEXTS] = {
        [CT_FETCH_USERNAME] = CURLOPT_USERNAME,
        [CT_FETCH_PASSWORD] = CURLOPT_PASSWORD,
        [CT_FETCH_PROXY] = CURLOPT_PROXY,
        [CT_FETCH_PROXY_USERNAME] = CURLOPT_PROXYUSERNAME,
        [CT_FETCH_PROXY_PASSWORD] = CURLOPT_PROXYPASSWORD,
        [CT_FETCH_CA_CERTS] = CURLOPT_CAINFO,
        [CT_FETCH_CLIENT_CERT] = CURLOPT_SSLCERT,
        [CT_FETCH_CLIENT_KEY] = CURLOPT_SSLKEY,
        [CT_FETCH_CIPHERS] = CURLOPT_SSL_CIPHER_LIST,
        [CT_FETCH_INTERFACE] = CURLOPT_INTERFACE,
        [CT_FETCH_UNIX_SOCKET] = CURLOPT_UNIX_SOCKET_PATH,
    };

    if (what >= CT_FETCH_TEXTS || f->running || f->done) return false;
    set_shared(f);
    f->dirty = true;
    if (what == CT_FETCH_CONNECT_TO)
        return set_list(f, CURLOPT_CONNECT_TO, &f->connect_to, text);
    if (what == CT_FETCH_RESOLVE)
        return set_list(f, CURLOPT_RESOLVE, &f->resolve, text);
    if (what == CT_FETCH_PROXY) {
        f->proxied = true;
        curl_easy_setopt(f->easy, CURLOPT_NOPROXY, "");
    }
    if (what == CT_FETCH_CA_CERTS) /* these and no others */
        curl_easy_setopt(f->easy, CURLOPT_CAPATH, NULL);
    return curl_easy_setopt(f->easy, options[what], text) == CURLE_OK;
}
