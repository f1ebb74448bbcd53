/* The framework's modules, which are in the binary (embed.sh): `require` finds
 * them before the file system, so that binary and framework cannot differ. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_MODULES_H
#define CT_MODULES_H

#include "vm/scripts.h"
#include <stdbool.h>

struct lua_State;

enum { CT_MODULES_MAX = 1024 }; /* files in the binary */

/* Some of them, by their place in ct_scripts. */
typedef struct ct_modules {
    bool has[CT_MODULES_MAX];
} ct_modules;

/* The file of that name, or NULL. */
const ct_script *ct_modules_find(const char *name);

/* Puts a loader for them behind package.preload's. It notes in `loaded`, which it
 * borrows, what it was asked for. */
void ct_modules_add_loader(struct lua_State *L, ct_modules *loaded);

/* Compiles those modules; the loader will find them so. Leaves out what it cannot
 * compile: the loader then says why. */
void ct_modules_compile(struct lua_State *L, const ct_modules *modules);

/* Lua's function(name): the text of a file in the binary, or nil. */
int ct_modules_text(struct lua_State *L);

#endif
