-- Every package that ctornado builds, tests and measures with. No third-party
-- source is in this repository: the names are Debian's, and vendor/install
-- reads this table and installs what is missing.
--
--   kind  build     to compile and run the server
--         test      for `make test`
--         bench     the peers of `make bench`
--         deb       for `make deb`
--         (both, where it says "test bench")
--         optional  opened at run time by those who use it, never installed here
--
-- An entry with a command is also there when another package has brought that.
--
-- One entry a line: vendor/install reads it with awk, as no Lua is there yet.
-- SPDX-License-Identifier: Apache-2.0
return {
    { "gcc", kind = "build", licence = "GPL-3 with the runtime exception", why = "compiles the core" },
    { "libc6-dev", kind = "build", licence = "LGPL-2.1", why = "the C library's headers" },
    { "make", kind = "build", licence = "GPL-3", why = "runs the Makefile" },
    { "pkg-config", kind = "build", licence = "GPL-2", why = "finds the libraries below" },
    { "libluajit2-5.1-dev", kind = "build", licence = "MIT", why = "LuaJIT, with the branch that OpenResty keeps" },
    { "libevent-dev", kind = "build", licence = "BSD-3-Clause", why = "the event loop and evhttp's parser" },
    { "lua-cjson", kind = "build", licence = "MIT", why = "JSON at the speed of C, loaded by tornado.escape" },
    { "libpcre2-dev", kind = "build", licence = "BSD-3-Clause with the PCRE2 exemption", why = "regular expressions in routes, with JIT" },
    { "libssl-dev", kind = "build", licence = "Apache-2.0", why = "digests, signed cookies, TLS" },
    { "zlib1g-dev", kind = "build", licence = "Zlib", why = "gzip of replies and request bodies" },
    { "libbrotli-dev", kind = "build", licence = "MIT", why = "brotli of replies" },
    { "libc-ares-dev", kind = "build", licence = "MIT", why = "names resolved without blocking: DNS, hosts, resolv.conf" },
    { "libcurl4-openssl-dev", kind = "build", licence = "curl", why = "requests to other servers: HTTP/1.1, HTTP/2, TLS, proxies" },
    { "libmd4c-html0", kind = "build", licence = "MIT", why = "Markdown for tornado.markdown and the manual; opened at run time" },
    { "libmimalloc-dev", kind = "build", licence = "MIT", why = "the allocator, also libevent's" },

    { "lua-busted", kind = "test", licence = "MIT", why = "runs the specs inside `ctornado test`" },
    { "lua-luassert", kind = "test", licence = "MIT", why = "the assertions of the specs" },
    { "lua-check", kind = "test", licence = "MIT", why = "luacheck, the linter for Lua" },
    { "clang", kind = "test", licence = "Apache-2.0 with the LLVM exception", why = "builds the fuzz targets" },
    { "libclang-rt-dev", kind = "test", licence = "Apache-2.0 with the LLVM exception", why = "libFuzzer and its sanitizers" },
    { "clang-format", kind = "test", licence = "Apache-2.0 with the LLVM exception", why = "holds the layout of the C code" },
    { "clang-tidy", kind = "test", licence = "Apache-2.0 with the LLVM exception", why = "finds likely bugs in C" },
    { "cppcheck", kind = "test", licence = "GPL-3", why = "a second opinion on the C code" },
    { "valgrind", kind = "test", licence = "GPL-2", why = "finds uses of uninitialised memory, which ASan does not" },
    { "universal-ctags", kind = "test", licence = "GPL-2", why = "measures functions for the length report" },
    { "shellcheck", kind = "test", licence = "GPL-3", why = "the linter for shell scripts" },
    { "openssl", kind = "test", licence = "Apache-2.0", why = "makes certificates for tests" },
    { "curl", kind = "test", licence = "curl", why = "a client that is not ours" },
    { "python3", kind = "test bench", licence = "PSF-2", why = "tests and measurements that drive the server from outside" },
    { "python3-tornado", kind = "test bench", licence = "Apache-2.0", why = "whose interface this is: cookies are exchanged with it, and it is measured" },
    { "python3-websockets", kind = "test", licence = "BSD-3-Clause", why = "a peer of WebSockets that is not ours" },
    { "socat", kind = "test bench", licence = "GPL-2.0 (a program, not linked)", why = "a client and a peer of raw streams that is not ours" },
    { "strace", kind = "test", licence = "LGPL-2.1", why = "counts the system calls of a request" },
    { "tinyproxy-bin", kind = "test", licence = "GPL-2", why = "a proxy between tornado.httpclient and a server" },
    { "gettext", kind = "test", licence = "GPL-3 (a program)", why = "msgfmt, whose files tornado.locale reads", command = "msgfmt" },
    { "faketime", kind = "test", licence = "GPL-2 (preloaded into a server under test)", why = "a clock that jumps" },
    { "haproxy", kind = "test", licence = "GPL-2", why = "stands in front, with the PROXY protocol and TLS" },
    { "chromium", kind = "test", licence = "BSD-3-Clause", why = "the browser that the sites are tried with" },
    { "nodejs", kind = "test", licence = "MIT", why = "runs the browser tests, and `ws`, a peer of WebSockets", command = "node" },
    { "npm", kind = "test", licence = "Artistic-2.0", why = "gets playwright-core, which drives Chromium, and `ws` (into build/)", command = "npm" },
    { "wrk", kind = "test bench", licence = "modified Apache-2.0", why = "load, in tests of reload and in the bench" },

    { "nginx-light", kind = "test bench", licence = "BSD-2-Clause", why = "the peer for static files and for Lua handlers; a server for tornado.httpclient" },
    { "dpkg-dev", kind = "test deb", licence = "GPL-2", why = "finds what a Debian package needs (dpkg-shlibdeps)" },
    { "libnginx-mod-http-lua", kind = "bench", licence = "BSD-2-Clause", why = "OpenResty's engine inside nginx" },
    { "lua-nginx-websocket", kind = "bench", licence = "BSD-2-Clause", why = "WebSockets for it" },
}
