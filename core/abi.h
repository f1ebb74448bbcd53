/* The contract between C and Lua: compiled by C, and given to ffi.cdef as it
 * stands (lines that start with # are dropped). Types, enums, prototypes; no
 * macros, bit-fields, varargs, unions, callbacks, 64-bit integer fields.
 *
 * Lua holds handles (uint32_t), not pointers: an old one answers CT_CLOSED. C
 * copies what it keeps before a call returns. A ct_str that C gives is valid
 * until the next ct_abi_next(). Sizes are bytes, times are seconds. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_H
#define CT_ABI_H
#include <stdint.h>

enum { CT_ABI_VERSION = 1 };

typedef enum ct_status {
    CT_OK,
    CT_AGAIN,  /* not yet: an event will tell */
    CT_CLOSED, /* the handle is old: its object is gone */
    CT_EOF,    /* no more, or none */
    CT_LIMIT,  /* a limit was reached */
    CT_ERROR   /* see ct_why() */
} ct_status;

typedef enum ct_method {
    CT_METHOD_OTHER, /* ct_request_info() has its name */
    CT_METHOD_GET,
    CT_METHOD_HEAD,
    CT_METHOD_POST,
    CT_METHOD_PUT,
    CT_METHOD_DELETE,
    CT_METHOD_OPTIONS,
    CT_METHOD_PATCH,
    CT_METHOD_TRACE,
    CT_METHOD_CONNECT
} ct_method;

/* A view of bytes. Borrowed. */
typedef struct ct_str {
    const char *p;
    uint32_t n;
} ct_str;

typedef struct ct_pair {
    ct_str name, value;
} ct_pair;

typedef enum ct_event_type {
    CT_EVENT_NONE,
    CT_EVENT_REQUEST, /* a head has come: handle, owner, method, ... */
    CT_EVENT_BODY,    /* the body asked for is complete, or has more to read */
    CT_EVENT_DRAIN,   /* a reply's buffer has room again, or is sent */
    CT_EVENT_GONE,    /* the client has closed its side or vanished */
    CT_EVENT_TIMEOUT, /* handler_timeout has passed */
    CT_EVENT_TIMER,   /* a timer has fired; its handle is free */
    CT_EVENT_CHANNEL, /* a channel has something to read or has sent all */
    CT_EVENT_STOP     /* the process was asked to end: a signal's number */
} ct_event_type;

enum {
    CT_REQUEST_BODY = 1, /* it has a body, not read yet */
    CT_REQUEST_OLD = 2,  /* HTTP/1.0 */
    CT_REQUEST_CLOSE = 4 /* the connection ends with this reply */
};

typedef struct ct_event {
    uint32_t type;   /* ct_event_type */
    uint32_t handle; /* of the request or timer */
    uint32_t owner;  /* REQUEST: what ct_listen() returned */
    uint32_t method; /* REQUEST: ct_method */
    uint32_t flags;  /* REQUEST: CT_REQUEST_* */
    uint32_t path;   /* REQUEST: bytes of uri before '?' */
    ct_str uri;      /* REQUEST: origin-form, as sent */
} ct_event;

typedef struct ct_request_info {
    ct_str method;    /* as sent */
    ct_str remote_ip; /* "0.0.0.0" for a unix socket */
    double started;   /* wall clock, when the head was complete */
    uint32_t minor;   /* HTTP/1.minor */
} ct_request_info;

typedef struct ct_vm ct_vm;

/* Takes the next event: 1 with *out filled, 0 when there is none. Views that
 * were given before are invalid after it. */
int ct_abi_next(ct_vm *vm, ct_event *out);

/* The reason of the last CT_ERROR: a string, valid until the next call. */
const char *ct_abi_why(ct_vm *vm);

/* -- Requests ---------------------------------------------------------------
 * Alive from their event until ct_abi_request_release(). */

int ct_abi_request_info(ct_vm *vm, uint32_t request, ct_request_info *out);

/* The first field with that name (compared without case): OK for the only one,
 * AGAIN when there are more, EOF for none. */
int ct_abi_request_field(ct_vm *vm, uint32_t request, const char *name,
                         uint32_t size, ct_str *out);

/* Fields from number `from` (0 on), at most `max`; returns how many. */
uint32_t ct_abi_request_fields(ct_vm *vm, uint32_t request, uint32_t from,
                               ct_pair *out, uint32_t max);

/* Says that Lua is done with the request; its handle is old from here on. A
 * reply that is not complete is cut off. */
void ct_abi_request_release(ct_vm *vm, uint32_t request);

/* Writes the request's line to the access log, if there is one. */
void ct_abi_request_log(ct_vm *vm, uint32_t request);

/* Asks for the whole body, at most `max` bytes: OK when it is here, AGAIN when
 * CT_EVENT_BODY will tell, LIMIT when it is larger (nothing is answered yet; the
 * connection will close with the reply). */
int ct_abi_body_collect(ct_vm *vm, uint32_t request, double max);

/* The body that was collected: OK, AGAIN before it is complete. One that is
 * spooled to disk is mapped into memory. */
int ct_abi_body_get(ct_vm *vm, uint32_t request, ct_str *out);

/* The next piece of a body that is streamed, at most `max` bytes in all: OK, EOF
 * at its end, AGAIN when CT_EVENT_BODY will tell, LIMIT, CLOSED. The sender is
 * held back while nobody asks. */
int ct_abi_body_read(ct_vm *vm, uint32_t request, double max, ct_str *out);

/* The value, as sent, of the last cookie of that name: OK, EOF for none. */
int ct_abi_request_cookie(ct_vm *vm, uint32_t request, const char *name,
                          uint32_t size, ct_str *out);

/* -- Replies ----------------------------------------------------------------
 * Status line, Date, Content-Length, Transfer-Encoding and Connection are C's,
 * and Server, unless the fields have one. Each answers OK, CLOSED when the client
 * is gone, ERROR for a call out of order. */

enum { CT_FIELD_SET, CT_FIELD_ADD, CT_FIELD_REMOVE };

/* Sets (in place of all of that name), adds or removes a field of the reply.
 * ERROR: a value that HTTP does not allow; nothing has changed. The name has
 * been checked and is in its canonical form. */
int ct_abi_field(ct_vm *vm, uint32_t request, int how, const char *name,
                 uint32_t name_size, const char *value, uint32_t value_size);

/* The value of a field that was set: OK, EOF. */
int ct_abi_field_get(ct_vm *vm, uint32_t request, const char *name,
                     uint32_t size, ct_str *out);

/* The value of its line number `index` (0 on): OK, EOF. */
int ct_abi_field_nth(ct_vm *vm, uint32_t request, const char *name,
                     uint32_t size, uint32_t index, ct_str *out);

/* Forgets all fields that were set, but not the cookies. */
int ct_abi_field_clear(ct_vm *vm, uint32_t request);

/* Sets a cookie in place of the one of that name: `text` is the value of its
 * Set-Cookie field, which begins with the name and "=". */
int ct_abi_reply_cookie(ct_vm *vm, uint32_t request, uint32_t name_size,
                        const char *text, uint32_t size);

enum {
    CT_REPLY_NO_SERVER = 1, /* send no Server field */
    CT_REPLY_CLOSE = 2,     /* close the connection behind this reply */
    CT_REPLY_LENGTH = 4     /* HEAD and 304: say `length` in Content-Length */
};

/* The whole reply: status, the fields set so far, body. An empty reason means
 * the standard one, an empty content type none. HEAD, 1xx, 204 and 304 send no
 * body. */
int ct_abi_reply(ct_vm *vm, uint32_t request, uint32_t status,
                 const char *reason, uint32_t reason_size, const char *type,
                 uint32_t type_size, const char *body, uint32_t body_size,
                 double length, uint32_t flags);

/* The head of a streamed reply: `length` bytes will follow, or -1: unknown, so
 * chunked for HTTP/1.1 and until the end of the connection for HTTP/1.0. */
int ct_abi_reply_start(ct_vm *vm, uint32_t request, uint32_t status,
                       const char *reason, uint32_t reason_size,
                       const char *type, uint32_t type_size, double length,
                       uint32_t flags);

/* More of the body. AGAIN: taken, but the buffer is above its mark; wait for
 * CT_EVENT_DRAIN. ERROR: more than the length that was announced. */
int ct_abi_reply_write(ct_vm *vm, uint32_t request, const char *p,
                       uint32_t size);

/* The end of the body. ERROR (and the connection closes) when it was shorter
 * than announced. */
int ct_abi_reply_end(ct_vm *vm, uint32_t request);

/* OK when nothing waits to be sent, else AGAIN and CT_EVENT_DRAIN comes when all
 * is sent. */
int ct_abi_reply_flushed(ct_vm *vm, uint32_t request);

/* Cuts the connection, so that the client sees that the reply is broken. */
int ct_abi_reply_abort(ct_vm *vm, uint32_t request);

/* -- Static files -----------------------------------------------------------
 * A file is a path below a folder (`root`), given by both. The calls answer OK,
 * or what is in its place; ODD is a path that is not in its shortest form, or has
 * parts that begin with a dot. */

typedef enum ct_file_status {
    CT_FILE_NONE = 10,
    CT_FILE_FOLDER,
    CT_FILE_DENIED, /* no regular file, not readable, or outside of the root */
    CT_FILE_ODD
} ct_file_status;

enum { /* together with CT_REPLY_NO_SERVER and CT_REPLY_CLOSE */
       CT_FILE_VERSIONED = 16, /* may be kept for ten years */
       CT_FILE_FRESH = 32 /* look at the disk, however lately that was done */
};

/* The whole answer to GET or HEAD with a file, to its conditions, ranges and
 * accepted codings: the status sent (200, 206, 304, 416), or as above. */
int ct_abi_file_serve(ct_vm *vm, uint32_t request, const char *root,
                      uint32_t root_size, const char *path, uint32_t path_size,
                      uint32_t flags);

typedef struct ct_file_info {
    double size, modified; /* bytes; seconds since 1970 */
    ct_str version;        /* hex digits that change with the content */
    ct_str type;           /* the content type of its name */
} ct_file_info;

int ct_abi_file_info(ct_vm *vm, const char *root, uint32_t root_size,
                     const char *path, uint32_t path_size, uint32_t flags,
                     ct_file_info *out);

/* A reply with `size` bytes of a file from `from` on as its body, and the fields
 * set so far. */
int ct_abi_file_reply(ct_vm *vm, uint32_t request, const char *root,
                      uint32_t root_size, const char *path, uint32_t path_size,
                      uint32_t status, const char *type, uint32_t type_size,
                      double from, double size, uint32_t flags);

/* Copies bytes of a file from `from` on to `out`: how many, -1 on failure. */
int ct_abi_file_read(ct_vm *vm, const char *root, uint32_t root_size,
                     const char *path, uint32_t path_size, double from,
                     char *out, uint32_t size);

/* The first range of a Range field: 1 with *from and *size set, 0 for all of it
 * (several ranges, too), -1 for none that can be satisfied. */
int ct_abi_file_range(const char *p, uint32_t n, double total, double *from,
                      double *size);

/* The content type of a name. */
const char *ct_abi_file_type(const char *name, uint32_t size);

/* Seconds since 1970 of an HTTP date, or -1. */
double ct_abi_http_date_parse(const char *p, uint32_t size);

/* The process's working folder: 1, or 0. */
int ct_abi_working_folder(char *out, uint32_t size);

/* -- Timers and clocks ------------------------------------------------------ */

/* CT_EVENT_TIMER with this handle comes in `seconds`; 0: too many timers. */
uint32_t ct_abi_timer(ct_vm *vm, double seconds);

/* OK, or CLOSED when it has fired. */
int ct_abi_timer_stop(ct_vm *vm, uint32_t timer);
double ct_abi_wall(ct_vm *vm);      /* this turn's, since 1970 */
double ct_abi_monotonic(ct_vm *vm); /* this turn's */
double ct_abi_precise(ct_vm *vm);   /* monotonic, read now */

/* Makes the loop turn again without waiting. */
void ct_abi_wake(ct_vm *vm);

/* -- The server ------------------------------------------------------------- */

typedef enum ct_option {
    CT_OPTION_MAX_LINE_SIZE,
    CT_OPTION_MAX_HEADER_SIZE,
    CT_OPTION_MAX_FIELDS,
    CT_OPTION_MAX_BODY_SIZE, /* what a body may have when nobody asks */
    CT_OPTION_BODY_BUFFER_SIZE,
    CT_OPTION_WRITE_BUFFER_SIZE,
    CT_OPTION_HEADER_TIMEOUT,
    CT_OPTION_BODY_TIMEOUT,
    CT_OPTION_BODY_MIN_RATE,
    CT_OPTION_IDLE_TIMEOUT,
    CT_OPTION_WRITE_TIMEOUT,
    CT_OPTION_HANDLER_TIMEOUT,
    CT_OPTION_MAX_CONNECTIONS,
    CT_OPTION_MAX_KEEPALIVE_REQUESTS,
    CT_OPTION_BACKLOG,
    CT_OPTIONS
} ct_option;

int ct_abi_option(ct_vm *vm, uint32_t option, double value);

/* Folder for spooled bodies. */
int ct_abi_temp_dir(ct_vm *vm, const char *path);

/* Opens a listener; its requests come with the returned number as `owner`. 0:
 * see ct_abi_why(). */
uint32_t ct_abi_listen(ct_vm *vm, const char *address);

/* The address bound, "127.0.0.1:8888". */
int ct_abi_listen_address(ct_vm *vm, uint32_t listener, ct_str *out);

/* Closes the listener; its connections live on. With `drop`, they end too. */
int ct_abi_listen_close(ct_vm *vm, uint32_t listener, int drop);

/* Ends the process with that exit code after this turn. */
void ct_abi_exit(ct_vm *vm, int code);

/* What is open: for leak checks and status. */
typedef struct ct_counts {
    uint32_t connections, requests, timers, listeners, channels;
    uint32_t handled; /* requests since the start, modulo 2^32 */
    uint32_t unsent;  /* connections whose last reply is still on its way */
    uint32_t files;   /* descriptors that the cache of static files holds */
    uint32_t digests; /* under way */
} ct_counts;

void ct_abi_counts(ct_vm *vm, ct_counts *out);

/* -- Channels: outgoing connections ------------------------------------------ */

/* Begins to connect to "HOST:PORT" (an address, not a name) or "unix:/PATH"; 0:
 * see ct_abi_why(). CT_EVENT_CHANNEL tells when to look again. */
uint32_t ct_abi_connect(ct_vm *vm, const char *address);

/* Sends or keeps: OK, LIMIT when more than 1 MiB would wait, CLOSED. */
int ct_abi_channel_send(ct_vm *vm, uint32_t channel, const char *p,
                        uint32_t size);

/* At most `max` bytes (65536): OK, AGAIN, EOF, ERROR (reset or refused). */
int ct_abi_channel_recv(ct_vm *vm, uint32_t channel, uint32_t max, ct_str *out);

/* Bytes that wait to be sent; and the end of our side behind them. */
uint32_t ct_abi_channel_unsent(ct_vm *vm, uint32_t channel);
int ct_abi_channel_shut(ct_vm *vm, uint32_t channel);
int ct_abi_channel_close(ct_vm *vm, uint32_t channel, int reset);

/* -- Log ---------------------------------------------------------------------*/

/* Levels: 0 debug, 1 info, 2 warning, 3 error, 4 none. `id`: of the request that
 * the message is about, or "". */
void ct_abi_log(ct_vm *vm, uint32_t level, const char *where, const char *id,
                const char *text, uint32_t size);
uint32_t ct_abi_log_level(ct_vm *vm);
void ct_abi_log_set_level(ct_vm *vm, uint32_t level);
int ct_abi_log_open(ct_vm *vm, const char *path);
void ct_abi_log_json(ct_vm *vm,
                     int json); /* lines are objects, or text again */
/* Opens the access log ("" closes it, "stderr"). */
int ct_abi_access_log_open(ct_vm *vm, const char *path);

/* -- Bytes: pure functions; `out` belongs to the caller --------------------- */

int ct_abi_is_token(const char *p, uint32_t size);
int ct_abi_is_field_value(const char *p, uint32_t size);
int ct_abi_is_utf8(const char *p, uint32_t size);
uint32_t ct_abi_url_decode(const char *p, uint32_t size, int plus, char *out);
uint32_t ct_abi_url_encode(const char *p, uint32_t size, int plus, char *out);
uint32_t ct_abi_html_escape(const char *p, uint32_t size, char *out);
void ct_abi_sha1_hex(const char *p, uint32_t size, char *out);
void ct_abi_random(char *out, uint32_t size);

typedef enum ct_hash {
    CT_HASH_SHA1,
    CT_HASH_SHA256,
    CT_HASH_SHA512,
    CT_HASHES
} ct_hash;

/* The digest (or HMAC) of `size` bytes, raw, to `out` (64 bytes): its length. */
uint32_t ct_abi_digest(uint32_t hash, const char *p, uint32_t size, char *out);
uint32_t ct_abi_hmac(uint32_t hash, const char *key, uint32_t key_size,
                     const char *p, uint32_t size, char *out);

/* A digest of bytes that come in pieces, of this generation (freed with it): its
 * handle, or 0 when there are CT_DIGESTS already. */
enum { CT_DIGESTS = 4096 };
uint32_t ct_abi_digest_new(ct_vm *vm, uint32_t hash);
int ct_abi_digest_update(ct_vm *vm, uint32_t digest, const char *p,
                         uint32_t size);

/* Frees the handle; before that, writes the digest to `out` (64 bytes) unless
 * that is NULL. Returns its length, 0 for an old handle. */
uint32_t ct_abi_digest_final(ct_vm *vm, uint32_t digest, char *out);

/* 1 when both have the same bytes, in a time that depends on lengths alone. */
int ct_abi_same(const char *a, uint32_t a_size, const char *b, uint32_t b_size);

/* Base64 to `out` (at least (size + 2) / 3 * 4 + 1 bytes): its length. */
uint32_t ct_abi_base64(const char *p, uint32_t size, char *out);

/* Back to bytes (`out`: at least as many as `size`): their number, or -1 for
 * what is no base64 with its padding. */
int ct_abi_unbase64(const char *p, uint32_t size, char *out);

/* The same for hex: 2 * size digits, and -1 for what is not hex. */
void ct_abi_hex(const char *p, uint32_t size, char *out);
int ct_abi_unhex(const char *p, uint32_t size, char *out);
void ct_abi_http_date(double at, char *out);

/* True when `p` is printable ASCII that neither begins nor ends with a space:
 * an argument that needs no cleaning. */
int ct_abi_is_clean(const char *p, uint32_t size);

/* What a cookie's value or attribute has: 0 nothing that needs quotes, 1
 * something that does, 2 also ';' or DEL, 3 also spaces or controls. */
int ct_abi_cookie_class(const char *p, uint32_t size);

/* The last value of `name` in "a=b&c", decoded to `out` (at least `size` bytes):
 * its length, -1 when there is none, -2 for more than `max` pairs. */
int ct_abi_form_last(const char *p, uint32_t size, const char *name,
                     uint32_t name_size, uint32_t max, char *out);

/* Splits "a=b&c" into decoded pairs whose bytes are in `scratch` (at least
 * `size` bytes); returns how many, or -1 for more than `max`. */
int ct_abi_form(const char *p, uint32_t size, char *scratch, ct_pair *out,
                uint32_t max);

/* A compiled regular expression of this generation (freed with it): its handle,
 * or 0: see ct_abi_why(). */
uint32_t ct_abi_regex(ct_vm *vm, const char *pattern, uint32_t size);
int ct_abi_regex_groups(ct_vm *vm, uint32_t regex);
const char *ct_abi_regex_name(ct_vm *vm, uint32_t regex, int group);
int ct_abi_regex_match(ct_vm *vm, uint32_t regex, const char *p, uint32_t size,
                       int32_t *offsets, int max);

/* -- Forms: multipart/form-data ---------------------------------------------- */

enum { CT_MULTIPART_BOUNDARY = 200 }; /* the longest boundary */

typedef enum ct_multipart_event {
    CT_MULTIPART_MORE,   /* all bytes are taken; more must come */
    CT_MULTIPART_HEADER, /* a piece of a part's header, not the last one */
    CT_MULTIPART_BEGIN,  /* the last piece, with the empty line at its end */
    CT_MULTIPART_DATA,   /* a piece of the part's content */
    CT_MULTIPART_END,    /* the part is complete */
    CT_MULTIPART_DONE,   /* the body is; what follows means nothing */
    CT_MULTIPART_BAD     /* malformed, or a limit: see reason */
} ct_multipart_event;

/* Where a scan is. The caller's storage; all but `reason` is http/multipart.c's. */
typedef struct ct_multipart {
    const char *reason; /* BAD: one English phrase */
    uint32_t size;      /* of the delimiter */
    uint32_t matched;   /* bytes of it seen */
    uint32_t skip;      /* of these, how many are not the part's */
    uint32_t parts, max_parts;
    uint32_t header, max_header; /* bytes of this part's header */
    uint32_t looked;             /* looks at bytes, which tests hold linear */
    uint8_t state, line, last, inside;
    char tail;           /* what follows the delimiter: CR or '-' */
    char delimiter[207]; /* CR LF "--" boundary, and a '-' */
} ct_multipart;

/* OK, or ERROR for a boundary that cannot be one. */
int ct_abi_multipart(ct_multipart *m, const char *boundary, uint32_t size,
                     uint32_t parts, uint32_t header);

/* The next event in p[from..size), which takes bytes up to *end; see
 * http/multipart.h. */
int ct_abi_multipart_next(ct_multipart *m, const char *p, uint32_t from,
                          uint32_t size, uint32_t *end, ct_str *out);

/* -- Codings: gzip and brotli -------------------------------------------------
 * An encoder for its reply and a decoder for its body belong to a request, and
 * are freed with it. */

enum { CT_CODING_GZIP = 1, CT_CODING_BROTLI };
enum { CT_ENCODE_ON, CT_ENCODE_FLUSH, CT_ENCODE_FINISH };

/* A new encoder: OK, CLOSED. */
int ct_abi_encoder(ct_vm *vm, uint32_t request, int coding, int level);

/* Encodes; FLUSH gives all bytes so far, FINISH ends. The output is valid until
 * the next call. */
int ct_abi_encode(ct_vm *vm, uint32_t request, const char *p, uint32_t size,
                  int how, ct_str *out);

/* A new decoder, of gzip: OK, CLOSED. */
int ct_abi_decoder(ct_vm *vm, uint32_t request);

/* Decodes p[*at..size), moving *at, at most 64 KiB of output: OK, ERROR for
 * corrupt data. All is decoded when there is neither input nor output. */
int ct_abi_decode(ct_vm *vm, uint32_t request, const char *p, uint32_t size,
                  uint32_t *at, ct_str *out);

/* OK when the data so far is complete, else ERROR. */
int ct_abi_decode_end(ct_vm *vm, uint32_t request);

/* -- Files: for the loader and the checks, not for handlers ------------------*/

/* 1 for a folder, 2 for a regular file, 0 for anything else or nothing. */
int ct_abi_file_kind(const char *path);
/* The names in a folder, each with a zero byte, as far as they fit into `out`;
 * returns the bytes that all of them need, or -1: see ct_abi_why(). */
int ct_abi_folder(ct_vm *vm, const char *path, char *out, uint32_t max);
/* The folder that the process is in; "" when it has none any more. */
const char *ct_abi_here(ct_vm *vm);
/* Number of open descriptors of this process. */
int ct_abi_descriptors(void);
#endif
