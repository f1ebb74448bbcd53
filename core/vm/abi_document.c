/* The part of abi.h with Markdown and the framework's own source. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/markdown.h"
#include "vm/scripts.h"
#include "vm/vm.h"
#include <stdio.h>
#include <string.h>

int ct_abi_markdown(ct_vm *vm, const char *p, uint32_t size, char *out,
                    uint32_t room) {
    const char *why = "";
    size_t len = 0;
    int status = ct_markdown(p, size, out, room, &len, &why);

    if (status == CT_OK) return (int)len;
    if (status == CT_LIMIT) why = "this text is too long";
    (void)snprintf(vm->why, sizeof vm->why, "%s", why);
    return -1;
}

int ct_abi_script(uint32_t i, ct_str *name, ct_str *text) {
    const ct_script *s = ct_scripts;

    while (s->name && i--) s++;
    if (!s->name) return 0;
    *name = (ct_str){ s->name, (uint32_t)strlen(s->name) };
    *text = (ct_str){ s->text, s->size };
    return 1;
}
