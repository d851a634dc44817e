# Makefile of gthread. `make help` lists the targets; V=1 shows the commands.

BUILD   ?= build
CC      ?= gcc
CXX     ?= g++
ARCH    := $(shell uname -m)
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=
VERSION := 0.1

WARN     = -Wall -Wextra -Werror
OPT     ?= -O2 -g
CFLAGS  += $(OPT) $(WARN)
CXXFLAGS += $(OPT) $(WARN)
# -fno-plt would resolve every import at load time, which single-threaded programs would feel.
LIB_CFLAGS = -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -fno-strict-aliasing \
             -fasynchronous-unwind-tables -I. -Iarch/$(ARCH) -I$(BUILD)/gen
LIB_LDFLAGS = -shared -Wl,-soname,libgthread.so -Wl,-z,nodelete -Wl,-z,noexecstack \
              -Wl,--version-script=$(BUILD)/gen/exports.map \
              $(BUILD)/gen/aliases.ld

LIB    := $(BUILD)/libgthread.so
SRCS   := $(wildcard sched/*.c shim/*.c interpose/*.c arch/$(ARCH)/*.c arch/$(ARCH)/*.S)
OBJS   := $(patsubst %,$(BUILD)/%.o,$(SRCS))
GEN    := $(BUILD)/gen/next.h $(BUILD)/gen/syscalls.h
# The command: a program of its own, with libraries that the library must not have (DANGERS C1).
CMD    := $(BUILD)/gthread
CMD_SRCS := $(wildcard tools/gthread/*.c)
CMD_OBJS := $(patsubst %,$(BUILD)/%.o,$(CMD_SRCS))
CMD_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DGTHREAD_VERSION='"$(VERSION)"' -I. -Itools/gthread -I$(BUILD)/gen
CMD_LIBS = -lunwind-x86_64 -ldw -lelf -ljansson -lcapstone -lz -lm

Q := $(if $(V),,@)

.PHONY: all deps demo check check-all stress bench compat check-suites format lint install deb clean help
all: $(LIB) $(LIB)-gdb.py $(CMD)

$(BUILD)/gen/next.h: interpose/symbols.tab tools/gen-symbols
	$(Q)tools/gen-symbols $< $(BUILD)/gen

$(BUILD)/gen/syscalls.h: interpose/syscalls.tab tools/gen-syscalls
	$(Q)tools/gen-syscalls $< $(BUILD)/gen

# The names of the system calls of this machine, for `gthread check`.
$(BUILD)/gen/syscall_names.h:
	@mkdir -p $(@D)
	$(Q)echo '#include <sys/syscall.h>' | $(CC) -E -dM - | \
		sed -nE 's/^#define __NR_([a-z0-9_]+) ([0-9]+)$$/[\2] = "\1",/p' | sort -t[ -k2 -n >$@

$(BUILD)/tools/%.c.o: tools/%.c $(BUILD)/gen/syscall_names.h
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CFLAGS) $(CMD_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/tools/gthread/main.c.o: Makefile # VERSION

$(CMD): $(CMD_OBJS)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(CMD_OBJS) $(CMD_LIBS) -o $@

$(BUILD)/%.c.o: %.c $(GEN)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CFLAGS) $(LIB_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.S.o: %.S
	@mkdir -p $(@D)
	@echo "  AS    $<"
	$(Q)$(CC) $(LIB_CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(OBJS) $(GEN)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LIB_CFLAGS) $(OBJS) $(LIB_LDFLAGS) -o $@

# The command once more, for tests/fuzz.py: what it parses comes from others.
SANITIZED := $(BUILD)/sanitize/gthread
$(SANITIZED): $(CMD_SRCS) $(wildcard tools/gthread/*.h) $(BUILD)/gen/syscall_names.h
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitize OPT="-O1 -g -fno-omit-frame-pointer \
		-fsanitize=address,undefined -fno-sanitize-recover=undefined" $@

# gdb loads the script that lies beside the library under this name.
$(LIB)-gdb.py: tools/gthread-gdb.py
	$(Q)cp $< $@

-include $(OBJS:.o=.d) $(CMD_OBJS:.o=.d)
-include tests/tests.mk

deps: ## install what building and testing needs (Debian 12, root)
	$(Q)tools/deps

demo: $(LIB) ## run a real program with and without the preload, print before and after
	$(Q)tools/demo $(LIB)

bench: $(LIB) ## the micro-benchmarks, as ratios to NPTL
	$(Q)tests/bench/run $(LIB)

# What to run is said by COMPAT, e.g. COMPAT='--suites all --programs none'; compat/compat --list, --help.
compat: all ## real programs and two short conformance suites; writes compat/report/index.html
	@compat/compat --library $(LIB) --command $(CMD) $(COMPAT)

# Those that take under five minutes each, for CI; all: SUITES=all.
SUITES ?= libstdcxx,rt-tests,perl-threads,glib,mariadb,ruby
check-suites: all ## conformance suites: what passes on NPTL passes; SUITES=all, or names
	@compat/compat --library $(LIB) --command $(CMD) --programs none --suites $(SUITES) --report $(BUILD)/suites

format: ## clang-format all sources
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h' '*.cc')

lint: $(GEN) ## clang-format and clang-tidy without complaint
	$(Q)clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h' '*.cc')
	$(Q)clang-tidy --quiet --warnings-as-errors='*' $(filter %.c,$(SRCS)) -- $(LIB_CFLAGS)
	$(Q)clang-tidy --quiet --warnings-as-errors='*' $(CMD_SRCS) -- $(CMD_CFLAGS) -I$(BUILD)/gen

install: all ## DESTDIR, PREFIX, LIBDIR
	install -D -m 755 $(LIB) $(DESTDIR)$(LIBDIR)/libgthread.so
	install -D -m 644 tools/gthread-gdb.py $(DESTDIR)$(LIBDIR)/libgthread.so-gdb.py
	install -D -m 755 $(CMD) $(DESTDIR)$(PREFIX)/bin/gthread
	install -D -m 644 docs/gthread.1 $(DESTDIR)$(PREFIX)/share/man/man1/gthread.1
	install -D -m 644 tools/completion/gthread $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gthread

	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' tools/gthread.pc.in \
		>$(DESTDIR)$(LIBDIR)/pkgconfig/gthread.pc

DEB = $(BUILD)/gthread_$(VERSION)_$(shell dpkg --print-architecture).deb
deb: all ## a Debian package, in the build folder
	$(Q)rm -rf $(BUILD)/deb
	$(Q)$(MAKE) -s install DESTDIR=$(BUILD)/deb PREFIX=/usr LIBDIR=/usr/lib
	$(Q)tools/deb $(BUILD)/deb $(VERSION) $(DEB)
	$(Q)rm -rf $(BUILD)/deb
	@echo "  DEB   $(DEB)"

clean: ## remove the build folder
	rm -rf $(BUILD)

help: ## this text
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort
