#!/bin/sh
# Holds the layers: what a file of core/ may include, and who may name what.
# Prints each line that breaks a rule and exits 1.
#
#   abi/, abi.h <- base/ <- io/ <- http/, data/ <- vm/ <- server/, main.c
#
# SPDX-License-Identifier: Apache-2.0
set -u
cd "$(dirname "$0")/.." || exit 2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find core -name '*.[ch]' | sort > "$work/files"

# say TEXT: the lines of the input, with what is wrong about them.
say() {
    sed "s|\$|  <- $1|" | tee -a "$work/found"
}

# An include is written from core/, and stays in its folder or points left.
# shellcheck disable=SC2016 # awk's own $
xargs awk '
    BEGIN {
        n = split("abi abi.h base io http,data vm server main.c", rows, " ")
        for (i = 1; i <= n; i++) {
            m = split(rows[i], names, ",")
            for (j = 1; j <= m; j++) rank[names[j]] = i
        }
    }
    /^ *# *include *"/ {
        split(FILENAME, from, "/")
        split($0, quoted, "\"")
        split(quoted[2], to, "/")
        if (to[1] == from[2] && to[1] != "abi.h") next
        if (!(to[1] in rank) || rank[to[1]] >= rank[from[2]])
            print FILENAME ":" FNR ": " $0
    }' < "$work/files" | say 'not from core/, or points to the right'

xargs grep -nE '<(lua[a-z]*|lauxlib)\.h' < "$work/files" |
    grep -v '^core/vm/' | say 'only core/vm/ includes Lua'

xargs grep -n 'evhttp_parse_' < "$work/files" |
    grep -v '^core/http/head\.c:' | say 'only core/http/head.c knows this name'

grep -rnE --include='*.lua' '^([^-]|-[^-])*ffi\.C\>' lua sites |
    grep -v '^lua/tornado/core\.lua:' |
    say 'only lua/tornado/core.lua names ffi.C'

# State belongs to a struct; what must be the process's says why. First the
# places: variables of a file, then static ones of a function.
{
    xargs ctags -x --languages=C --langmap=C:.c.h --kinds-C=v \
        --_xformat='%F:%n:' < "$work/files"
    xargs grep -nEo '^ +static ' < "$work/files"
} | cut -d : -f 1,2 > "$work/variables"
# shellcheck disable=SC2016 # awk's own $
xargs awk '
    FILENAME == ARGV[1] { variable[$0] = 1; next }
    (FILENAME ":" FNR) in variable && FILENAME != "core/main.c" &&
        (last $0) !~ /\/\* process-wide: / {
        decl = $0 ~ /^ / && last !~ /[;{}]|^$/ ? last $0 : $0
        sub(/ = .*/, "", decl)
        # A pointer is constant by what stands behind its last star.
        if (decl ~ /\*/ ? decl !~ /\* *const [^*]*$/ : decl !~ /const /)
            print FILENAME ":" FNR ": " $0
    }
    { last = $0 }' "$work/variables" < "$work/files" |
    say 'mutable, and not marked /* process-wide: reason */'

[ ! -s "$work/found" ]
