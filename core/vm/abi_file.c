/* The part of abi.h that is files: for StaticFileHandler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "http/file.h"
#include "http/mime.h"
#include "http/range.h"
#include "http/static.h"
#include "vm/vm.h"
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(ct_file_info) == 48,
               "ct_file_info as the FFI lays it out");

static ct_request *request_of(ct_vm *vm, uint32_t handle) {
    return ct_slots_get(&vm->server->requests, handle);
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_file_serve(ct_vm *vm, uint32_t request, const char *root,
                      uint32_t root_size, const char *path, uint32_t path_size,
                      uint32_t flags) {
    ct_request *r = request_of(vm, request);

    if (!r) return CT_CLOSED;
    return ct_static_serve(r, (ct_str){ root, root_size },
                           (ct_str){ path, path_size }, flags);
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_file_info(ct_vm *vm, const char *root, uint32_t root_size,
                     const char *path, uint32_t path_size, uint32_t flags,
                     ct_file_info *out) {
    ct_file *f;
    int status =
        ct_files_find(&vm->server->files, (ct_str){ root, root_size },
                      (ct_str){ path, path_size }, vm->loop->clock.mono_ms,
                      flags & CT_FILE_FRESH, &f);

    if (status != CT_OK) return status;
    out->size = (double)f->size;
    out->modified = (double)f->stat.st_mtim.tv_sec;
    out->version = (ct_str){ f->etag + 1, CT_FILE_ETAG - 2 };
    out->type = (ct_str){ f->type, (uint32_t)strlen(f->type) };
    return CT_OK;
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_file_coding(ct_vm *vm, uint32_t request, const char *root,
                       uint32_t root_size, const char *path, uint32_t path_size,
                       uint32_t flags) {
    ct_request *r = request_of(vm, request);

    if (!r) return 0;
    return ct_static_coding(r, (ct_str){ root, root_size },
                            (ct_str){ path, path_size }, flags);
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_file_reply(ct_vm *vm, uint32_t request, const char *root,
                      uint32_t root_size, const char *path, uint32_t path_size,
                      const char *type, int coding, uint32_t flags) {
    ct_request *r = request_of(vm, request);

    if (!r) return CT_CLOSED;
    return ct_static_reply(r, (ct_str){ root, root_size },
                           (ct_str){ path, path_size }, type, coding, flags);
}

/* NOLINTNEXTLINE(readability-function-size): a struct would cost Lua a copy */
int ct_abi_file_read(ct_vm *vm, const char *root, uint32_t root_size,
                     const char *path, uint32_t path_size, double from,
                     char *out, uint32_t size) {
    ct_file *f;
    int status = ct_files_find(&vm->server->files, (ct_str){ root, root_size },
                               (ct_str){ path, path_size },
                               vm->loop->clock.mono_ms, false, &f);

    if (status != CT_OK || from < 0) return -1;
    return ct_file_read(f, out, size, (uint64_t)from) ? (int)size : -1;
}

int ct_abi_file_range(const char *p, uint32_t n, double total, double *from,
                      double *size) {
    ct_range ranges[CT_RANGES_MAX];
    int count = ct_range_parse((ct_str){ p, n }, (uint64_t)total, ranges);

    if (count != 1) return count < 0 ? -1 : 0;
    *from = (double)ranges->from;
    *size = (double)ranges->size;
    return 1;
}

const char *ct_abi_file_type(const char *name, uint32_t size) {
    return ct_mime_type((ct_str){ name, size });
}

double ct_abi_http_date_parse(const char *p, uint32_t size) {
    time_t at;

    return ct_range_date((ct_str){ p, size }, &at) ? (double)at : -1;
}

int ct_abi_working_folder(char *out, uint32_t size) {
    return getcwd(out, size) != NULL;
}
