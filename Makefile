# ctornado: `make help` lists the targets, V=1 shows the commands.

# -- The map ----------------------------------------------------------------
# A folder is a layer, and #include only ever points up this list: log, clock,
# memory, strings; sockets and the loop; requests and replies; stores; Lua; who
# runs what.

ABI    = core/abi.h $(patsubst %,core/%,$(shell sed -n 's/^.include "\(abi.*\)".*/\1/p' core/abi.h))
BASE   = $(wildcard core/base/*.c)
IO     = $(wildcard core/io/*.c)
HTTP   = $(wildcard core/http/*.c)
DATA   = $(wildcard core/data/*.c)
VM     = $(wildcard core/vm/*.c)
SERVER = $(wildcard core/server/*.c)
MAIN   = core/main.c

LUA    = $(sort $(shell find lua -type f))
TEXTS  = $(LUA) ctornado.conf
LAYERS = $(BASE) $(IO) $(HTTP) $(DATA) $(VM) $(SERVER)
SRC    = $(LAYERS) $(wildcard $(MAIN))
HEADER = $(wildcard core/*.h core/*/*.h)

# -- Tools and flags --------------------------------------------------------

PKG     = luajit libevent_core libevent_extra libpcre2-8 libssl libcrypto \
          zlib libbrotlienc libcares libcurl

WARN    = -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes \
          -Wmissing-prototypes -Wvla -Wwrite-strings
HARDEN  = -fstack-protector-strong -D_FORTIFY_SOURCE=3
COMMON  = -std=gnu11 -g -fPIE -D_GNU_SOURCE -Icore
SYSTEM  = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKG)))
LIBS    = $(shell pkg-config --libs $(PKG)) -ldl -lm -lpthread

CFLAGS  = $(COMMON) -O2 $(WARN) $(HARDEN)
LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed \
          -Wl,--export-dynamic-symbol='ct_*' \
          -Wl,--export-dynamic-symbol='*alloc*' \
          -Wl,--export-dynamic-symbol='*memalign'

# The ASan build leaves out mimalloc, which would hide what ASan looks for, and
# _FORTIFY_SOURCE, whose checks come before ASan's and say less.
SANE    = -fsanitize=address,undefined -fno-sanitize-recover=undefined
ACFLAGS = $(COMMON) -O1 $(WARN) -fno-omit-frame-pointer $(SANE) -DCT_ASAN
PCFLAGS = $(COMMON) -O1 $(WARN) -fno-omit-frame-pointer -DCT_ASAN
FCFLAGS = $(COMMON) -O1 -fno-omit-frame-pointer $(SANE) -DCT_ASAN

PREFIX  ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60

# -- What is built ----------------------------------------------------------

BIN   = build/ctornado
ABIN  = build/asan/ctornado
PBIN  = build/plain/ctornado
LIBA  = build/asan/core.a
FLIB  = build/fuzz/core.a

OBJ   = $(SRC:core/%.c=build/obj/%.o) build/obj/scripts.o
AOBJ  = $(SRC:core/%.c=build/asan/obj/%.o) build/asan/obj/scripts.o
POBJ  = $(SRC:core/%.c=build/plain/obj/%.o) build/plain/obj/scripts.o
FOBJ  = $(LAYERS:core/%.c=build/fuzz/obj/%.o) build/fuzz/obj/scripts.o
TEST  = $(patsubst spec/core/%.c,build/test/%,$(wildcard spec/core/test_*.c))
FUZZ  = $(patsubst spec/fuzz/%.c,build/fuzz/%,$(wildcard spec/fuzz/fuzz_*.c))

Q     = $(if $(V),,@)
say   = $(if $(V),@:,@echo '$1 $@')
sayc  = $(if $(V),@:,@echo '$1 $<')
# `$(MAKE) $(J)`: on all CPUs, unless this make was told how many.
J     = --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

all: $(BIN)

$(BIN): $(OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(OBJ) -lmimalloc $(LIBS)

$(ABIN): $(AOBJ)
	$(call say,LINK)
	$(Q)$(CC) $(SANE) $(LDFLAGS) -o $@ $(AOBJ) $(LIBS)

$(PBIN): $(POBJ)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(POBJ) $(LIBS)

build/obj/%.o: core/%.c
	$(call sayc,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(SYSTEM) -MMD -MP -c -o $@ $<

build/asan/obj/%.o: core/%.c
	$(call sayc,ASAN)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ACFLAGS) $(SYSTEM) -MMD -MP -c -o $@ $<

build/fuzz/obj/%.o: core/%.c
	$(call sayc,FUZZ)
	@mkdir -p $(@D)
	$(Q)clang $(FCFLAGS) -fsanitize=fuzzer-no-link $(SYSTEM) -MMD -MP -c -o $@ $<

# For valgrind: neither a sanitizer nor mimalloc, which both hide the heap.
build/plain/obj/%.o: core/%.c
	$(call sayc,PLAIN)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PCFLAGS) $(SYSTEM) -MMD -MP -c -o $@ $<

build/abi.h: $(ABI)
	@mkdir -p $(@D)
	@cat $(ABI) > $@

# The scripts inside the binary: the list decides scripts.S, the files scripts.o.
build/scripts.list: FORCE
	@mkdir -p $(@D)
	@echo '$(TEXTS)' | cmp -s - $@ || echo '$(TEXTS)' > $@

build/scripts.S: core/vm/embed.sh build/scripts.list build/abi.h
	$(call say,EMBED)
	$(Q)core/vm/embed.sh build/abi.h $(TEXTS) > $@.new && mv $@.new $@

build/obj/scripts.o $(addprefix build/,$(addsuffix /obj/scripts.o,asan plain fuzz)): \
    build/scripts.S build/abi.h $(TEXTS)
	@mkdir -p $(@D)
	$(Q)$(CC) -c -o $@ $<

# evhttp's parser is in every libevent 2.1 and 2.2, but in no public header.
build/libevent.ok:
	@mkdir -p $(@D)
	@pkg-config --exists $(PKG) || { \
	    echo "A library is missing: \`make deps' installs it." >&2; \
	    pkg-config --print-errors --exists $(PKG); exit 1; }
	@echo 'int evhttp_parse_firstline_(void), evhttp_parse_headers_(void);' \
	    'int main(void)' \
	    '{ return evhttp_parse_firstline_() + evhttp_parse_headers_(); }' | \
	    $(CC) -x c -o $@.try - $(LIBS) 2> $@.log || { cat $@.log >&2; \
	    echo "This libevent does not export evhttp_parse_firstline_ and" \
	    "evhttp_parse_headers_: ctornado needs libevent 2.1.12 or 2.2," \
	    "built with evhttp (Debian: libevent-dev)." >&2; exit 1; }
	@rm -f $@.try $@.log; touch $@

$(OBJ) $(AOBJ) $(POBJ) $(FOBJ): Makefile | build/libevent.ok

-include $(patsubst %.o,%.d,$(OBJ) $(AOBJ) $(POBJ) $(FOBJ)) $(TEST:=.d) $(FUZZ:=.d)

# -- Tests ------------------------------------------------------------------

asan: $(ABIN) $(TEST)

plain: $(PBIN)

# An archive, so that a test of one file links only what that file needs.
$(LIBA): $(filter-out build/asan/obj/main.o,$(AOBJ))
	@rm -f $@
	$(Q)ar rcs $@ $^

build/test/%: spec/core/%.c $(LIBA)
	$(call sayc,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ACFLAGS) $(SYSTEM) -Ispec/core -MMD -MP -MF $@.d \
	    $(LDFLAGS) -o $@ $< $(LIBA) $(LIBS)

# What is done without memory: with mimalloc, as ASan could not go on either.
build/test/test_mem: spec/core/test_mem.c build/obj/base/mem.o build/obj/base/assert.o
	$(call sayc,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Ispec/core -MMD -MP -MF $@.d $(LDFLAGS) -o $@ \
	    $(filter %.c %.o,$^) -lmimalloc -lpthread

$(FLIB): $(FOBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

build/fuzz/fuzz_%: spec/fuzz/fuzz_%.c $(FLIB)
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)clang $(FCFLAGS) -fsanitize=fuzzer $(SYSTEM) -Ispec/core -MMD -MP \
	    -MF $@.d -o $@ $< $(FLIB) $(LIBS)

fuzzers: $(FUZZ)

fuzz: fuzzers
	$(Q)spec/fuzz/run $(FUZZ_SECONDS) $(FUZZ)

test: test-deps
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) MAKEFLAGS= spec/run

# Takes minutes; see spec/faults/README.md. FAULTS="--only kills" runs some.
faults: all test-deps
	$(Q)CT_TIMES=1 spec/faults/slow.py $(FAULTS)
	$(Q)spec/faults/undisturbed.py

test-deps:
	$(Q)vendor/install build test

# -- Checks -----------------------------------------------------------------

CHECKS = check-format check-tidy check-cppcheck check-luacheck \
         check-shell check-layers check-length
C      = $(SRC) $(HEADER) $(wildcard spec/core/*.[ch] spec/fuzz/*.[ch] spec/faults/shim/*.c)
SHELLS = core/vm/embed.sh vendor/install .ci/run spec/run spec/layers.sh \
         $(addprefix vendor/debian/,build postinst prerm postrm) \
         $(wildcard spec/fuzz/run spec/bench/*.sh spec/integration/*.sh)

check:
	$(Q)$(MAKE) $(J) -k -Otarget $(CHECKS)

check-format:
	$(Q)clang-format --dry-run -Werror $(C)

check-tidy: $(SRC:core/%.c=build/tidy/%.ok)

build/tidy/%.ok: core/%.c $(HEADER) .clang-tidy
	$(call sayc,TIDY)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet --warnings-as-errors='*' $< -- $(COMMON) $(SYSTEM) \
	    2> $@.log || { cat $@.log >&2; exit 1; }
	@touch $@

check-cppcheck:
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
	    --enable=warning,performance,portability -ULUA_USER_H -Icore \
	    -D_GNU_SOURCE -j $(shell nproc) core

check-luacheck:
	$(Q)luacheck --quiet --no-color lua $(wildcard sites) spec

check-shell:
	$(Q)shellcheck $(SHELLS)

check-layers:
	$(Q)spec/layers.sh

check-length:
	$(Q)spec/length core lua

# -- The rest ---------------------------------------------------------------

deps:
	$(Q)vendor/install build

run: deps
	$(Q)$(MAKE) $(J) all
	$(BIN) --debug

bench: all
	$(Q)vendor/install build bench
	$(Q)spec/bench/compare $(BENCH)

deb: all
	$(Q)vendor/install build deb
	$(Q)vendor/debian/build $(BIN)

build/ctornado.1: vendor/debian/manpage.lua $(BIN)
	$(call say,MAN)
	$(Q)$(BIN) run $< > $@.new && mv $@.new $@

DOC   = $(DESTDIR)$(PREFIX)/share/doc/ctornado
SHARE = $(DESTDIR)$(PREFIX)/share/ctornado
UNIT  = $(DESTDIR)$(PREFIX)/lib/systemd/system
MAN   = $(DESTDIR)$(PREFIX)/share/man/man1

install: all build/ctornado.1
	install -d $(DESTDIR)$(PREFIX)/bin $(DOC) $(SHARE) $(UNIT) $(MAN)
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/ctornado
	install -m 644 ctornado.conf LICENSE $(wildcard *.md) $(DOC)
	sed 's|/usr/local/|$(PREFIX)/|g' build/ctornado.1 > $(MAN)/ctornado.1
	chmod 644 $(MAN)/ctornado.1
	cp -R sites $(SHARE)
	chmod -R u=rwX,go=rX $(SHARE)
	sed 's|/usr/local/|$(PREFIX)/|g' vendor/ctornado.service > $(UNIT)/ctornado.service
	install -m 644 vendor/ctornado.socket $(UNIT)
	chmod 644 $(UNIT)/ctornado.service

clean:
	rm -rf build

help:
	@echo 'make            build/ctornado'
	@echo 'make deps       install the packages that the build needs (apt)'
	@echo 'make run        deps, build, and serve sites/welcome and the manual on 127.0.0.1:8888'
	@echo 'make test       deps, build, and run every test and check'
	@echo 'make check      formatters, linters, layers, lengths'
	@echo 'make asan       build/asan/ctornado and the C tests, with ASan and UBSan'
	@echo 'make faults     the faults that take minutes: kills, sieges, a soak'
	@echo 'make fuzz       each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make bench      CPU per request beside nginx and Tornado; BENCH="--help"'
	@echo 'make install    binary, documents, sites, systemd units to PREFIX=$(PREFIX), under DESTDIR'
	@echo 'make deb        a Debian package, in build/'
	@echo 'make clean      remove build/'

.PHONY: all asan bench check $(CHECKS) clean deb deps faults fuzz fuzzers help install \
        plain run test test-deps FORCE
.DELETE_ON_ERROR:
.SECONDARY:
