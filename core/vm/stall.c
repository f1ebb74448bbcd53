/* One function, not the whole stack: unwinding through LuaJIT's frames from a
 * signal's handler ends in an abort() of libgcc, and Lua tells the rest. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/stall.h"

#include <dlfcn.h>
#include <luajit.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

void *ct_stall_place(const void *context) {
    const ucontext_t *c = context;

#if defined __x86_64__
    return (void *)c->uc_mcontext.gregs[REG_RIP];
#elif defined __aarch64__
    return (void *)c->uc_mcontext.pc;
#else
    (void)c;
    return NULL;
#endif
}

/* dladdr() is not for handlers; this is, and finds no file for compiled Lua. */
bool ct_stall_may_allocate(const void *place) {
    struct dl_find_object at, lua;

    if (!place || _dl_find_object((void *)place, &at) != 0) return true;
    return _dl_find_object((void *)(uintptr_t)luaJIT_profile_stop, &lua) == 0 &&
           at.dlfo_map_start == lua.dlfo_map_start;
}

static const char *file_of(const Dl_info *info) {
    const char *slash = strrchr(info->dli_fname, '/');

    return slash ? slash + 1 : info->dli_fname;
}

bool ct_stall_is_foreign(const void *place) {
    Dl_info info;

    return place && dladdr(place, &info) &&
           strncmp(file_of(&info), "libluajit", 9) != 0;
}

void ct_stall_name(const void *place, char *out, size_t size) {
    Dl_info info;

    if (!place || !dladdr(place, &info))
        snprintf(out, size, "an unknown place");
    else if (info.dli_sname)
        snprintf(out, size, "%s (%s)", info.dli_sname, file_of(&info));
    else
        snprintf(out, size, "%s+0x%zx", file_of(&info),
                 (size_t)((const char *)place - (const char *)info.dli_fbase));
}
