/* The part of abi.h that is codings and forms. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/deflate.h"
#include "http/coding.h"
#include "http/multipart.h"
#include "http/request.h"
#include "vm/vm.h"

_Static_assert(sizeof(ct_multipart) == 256, "as the FFI lays it out");
_Static_assert(sizeof(ct_gunzip) == CT_INFLATE_PLACE, "room for a decoder");
_Static_assert((int)CT_ENCODE_FINISH == (int)CT_FLUSH_END, "the same order");

static ct_request *request_of(ct_vm *vm, uint32_t handle) {
    return ct_slots_get(&vm->server->requests, handle);
}

/* -- Codings --------------------------------------------------------------- */

int ct_abi_encoder(ct_vm *vm, uint32_t request, int coding, int level) {
    ct_request *r = request_of(vm, request);

    if (!r) return CT_CLOSED;
    r->coding = ct_coding_encoder(r->coding, coding, level);
    return CT_OK;
}

int ct_abi_encode(ct_vm *vm, uint32_t request, const char *p, uint32_t size,
                  int how, ct_str *out) {
    ct_request *r = request_of(vm, request);

    *out = (ct_str){ 0 };
    if (!r || !r->coding) return CT_CLOSED;
    *out = ct_coding_encode(r->coding, p, size, (ct_flush)how);
    return CT_OK;
}

int ct_abi_decoder(ct_vm *vm, uint32_t request) {
    ct_request *r = request_of(vm, request);

    if (!r) return CT_CLOSED;
    r->coding = ct_coding_decoder(r->coding);
    return CT_OK;
}

static ct_inflate *decoder_of(ct_vm *vm, uint32_t request) {
    ct_request *r = request_of(vm, request);

    return r && r->coding ? r->coding->gunzip : NULL;
}

int ct_abi_decode(ct_vm *vm, uint32_t request, const char *p, uint32_t size,
                  uint32_t *at, ct_str *out) {
    ct_inflate *z = decoder_of(vm, request);
    char *scratch = vm->loop->scratch;
    ct_str in = { p + *at, size - *at };
    size_t made;

    *out = (ct_str){ scratch, 0 };
    if (!z) return CT_CLOSED;
    if (!ct_inflate_run(z, &in, scratch, CT_LOOP_SCRATCH, &made))
        return CT_ERROR;
    *at = size - in.n;
    out->n = (uint32_t)made;
    return CT_OK;
}

int ct_abi_decode_end(ct_vm *vm, uint32_t request) {
    ct_inflate *z = decoder_of(vm, request);

    return z && ct_inflate_is_whole(z) ? CT_OK : CT_ERROR;
}

void ct_abi_gunzip(ct_gunzip *z) {
    (void)ct_inflate_place(z);
}

int ct_abi_gunzip_run(ct_gunzip *z, const char *p, uint32_t size, uint32_t *at,
                      char *out, uint32_t room) {
    ct_str in = { p + *at, size - *at };
    size_t made;

    if (!ct_inflate_run((ct_inflate *)z, &in, out, room, &made)) return -1;
    *at = size - in.n;
    return (int)made;
}

int ct_abi_gunzip_end(const ct_gunzip *z) {
    return ct_inflate_is_whole((const ct_inflate *)z);
}

/* -- Forms ----------------------------------------------------------------- */

int ct_abi_multipart(ct_multipart *m, const char *boundary, uint32_t size,
                     uint32_t parts, uint32_t header) {
    return ct_multipart_init(m, boundary, size, parts, header) ? CT_OK
                                                               : CT_ERROR;
}

int ct_abi_multipart_next(ct_multipart *m, const char *p, uint32_t from,
                          uint32_t size, uint32_t *end, ct_str *out) {
    size_t used;
    int event = (int)ct_multipart_next(m, p + from, size - from, &used, out);

    *end = from + (uint32_t)used;
    return event;
}
