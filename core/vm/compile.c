/* A program of the build: compiles the framework's modules to the bytecode that
 * is embedded beside their text, so that a generation need not parse them.
 *
 *     compile lua/tornado/web.lua build/code/tornado/web.bc
 *
 * Lines and names stay in it: tracebacks are those of the text. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>

static int write_part(lua_State *L, const void *p, size_t n, void *file) {
    (void)L;
    return fwrite(p, 1, n, file) != n;
}

static int fail(const char *what, const char *why) {
    fprintf(stderr, "compile: %s: %s\n", what, why);
    return 1;
}

/* The chunk's name is that in tracebacks, as vm.c gives it to a text. */
static int load(lua_State *L, const char *path) {
    char text[1 << 18];
    FILE *in = fopen(path, "rb");
    size_t n;

    if (!in) return fail(path, "cannot be read");
    n = fread(text, 1, sizeof text, in);
    if (fclose(in) != 0 || n == sizeof text) return fail(path, "too long");
    lua_pushfstring(L, "@%s", strncmp(path, "lua/", 4) ? path : path + 4);
    if (luaL_loadbuffer(L, text, n, lua_tostring(L, -1)) == 0) return 0;
    return fail(path, lua_tostring(L, -1));
}

int main(int argc, char **argv) {
    lua_State *L = luaL_newstate();
    FILE *out;
    int bad;

    if (argc != 3 || !L) return fail("usage", "compile FILE.lua FILE.bc");
    if (load(L, argv[1])) return 1;
    out = fopen(argv[2], "wb");
    if (!out) return fail(argv[2], "cannot be written");
    bad = lua_dump(L, write_part, out);
    lua_close(L);
    if (fclose(out) != 0 || bad) return fail(argv[2], "cannot be written");
    return 0;
}
