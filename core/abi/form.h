/* Multipart forms, and the codings of bodies. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_FORM_H
#define CT_ABI_FORM_H
#include "abi/base.h"

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

/* A decoder of gzip that belongs to nobody but who has its memory. */
typedef struct ct_gunzip {
    double memory[6144];
} ct_gunzip;

void ct_abi_gunzip(ct_gunzip *z);

/* Decodes p[*at..size), moving *at, to `out`, of which `room` bytes are free: how
 * many were written, or -1 for corrupt data. */
int ct_abi_gunzip_run(ct_gunzip *z, const char *p, uint32_t size, uint32_t *at,
                      char *out, uint32_t room);

/* 1 when the data so far is complete. */
int ct_abi_gunzip_end(const ct_gunzip *z);

#endif
