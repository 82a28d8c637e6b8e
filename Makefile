# libgcpreload: make, make check (unit tests), make install, make clean. V=1 shows commands.
VERSION := 0.1.0
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
BINDIR  ?= $(PREFIX)/bin
DESTDIR ?=
CC      ?= cc
CFLAGS  ?= -O2 -g
B       := build

ifeq ($(V),1)
quiet =
else
quiet = @printf '  %-5s %s\n' $(1) '$(@:$(B)/%=%)';
MAKEFLAGS += --no-print-directory
endif

# A compiler that warns of more than ours still builds it; the tests say WERROR=1.
warnings := $(if $(WERROR),-Werror) -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef -Wvla
flags := -std=gnu11 -D_GNU_SOURCE -I. -I$(B) -DGCPRELOAD_VERSION='"$(VERSION)"' $(warnings) -MMD -MP

# The library: hidden by default, no symbol newer than glibc 2.17 (checked by the tests).
lib_src  := $(wildcard preload/*.c engine/*.c inject/*.c rules/*.c base/*.c) $(filter-out ring/reader.c,$(wildcard ring/*.c))
lib_obj  := $(lib_src:%.c=$(B)/lib/%.o)
lib_flags := $(flags) -fPIC -fvisibility=hidden -fno-exceptions -fno-asynchronous-unwind-tables \
	-ffunction-sections -fdata-sections
# Few segments: each costs every program under the library page faults at its start (measured).
lib_link := -shared -Wl,-z,noseparate-code -Wl,-soname,libgcpreload.so -Wl,-z,defs -Wl,-z,now -Wl,-z,relro \
	-Wl,--gc-sections -Wl,--version-script=preload/exports.map

cli_src  := $(wildcard cli/*.c cli/attach/*.c cli/doctor/*.c rules/*.c) \
	$(addprefix base/,clock.c proc_stat.c small_file.c utf8.c) \
	$(addprefix ring/,control.c histogram.c labels.c names.c raw.c reader.c retired.c room.c sweep.c)
cli_flags := $(flags) -DGCPRELOAD_LIBDIR='"$(LIBDIR)"'
cli_obj  := $(cli_src:%.c=$(B)/cli/%.o)
cli_link := $(if $(STATIC),-static)

# What needs more than libc is a program of its own, cli/NAME/ as gcpreload-NAME. Where a library of
# it is missing or too old it is left out, which is said in a line. Only the objects that it uses are
# linked out of the command's archive.
PKG_CONFIG ?= pkg-config
export_pkg   := libmicrohttpd libcurl zlib
export_needs := 'libmicrohttpd >= 0.9.71' 'libcurl >= 7.66' zlib
top_pkg      := ncursesw
top_needs    := ncursesw
known        := $(foreach p,export top,$(if $(wildcard cli/$(p)/*.c),$(p)))
lacks         = $(shell command -v $(PKG_CONFIG) >/dev/null || { echo $(PKG_CONFIG); exit; }; \
	for need in $($(1)_needs); do $(PKG_CONFIG) --exists "$$need" 2>/dev/null || \
	{ echo "$$need"; exit; }; done)
$(foreach p,$(known),$(eval $(p)_lacks := $(call lacks,$(p))))
programs     := $(foreach p,$(known),$(if $($(p)_lacks),,$(p)))
ifneq ($(filter all install,$(or $(MAKECMDGOALS),all)),)
$(foreach p,$(known),$(if $($(p)_lacks),$(info $(p) is left out: $($(p)_lacks) is not here)))
endif
program_bin := $(programs:%=$(B)/gcpreload-%)
program_obj  = $(patsubst %.c,$(B)/cli/%.o,$(wildcard cli/$(1)/*.c))

# A program that is not made has no test, either.
unit_src := $(filter-out $(patsubst %,tests/unit/test_%.c,$(filter-out $(programs),export top)), \
	$(wildcard tests/unit/test_*.c))
unit_bin := $(unit_src:tests/unit/%.c=$(B)/unit/%)
# Everything of ours that a unit test may call, with sanitizers, in one archive.
unit_lib_src := $(wildcard base/*.c rules/*.c ring/*.c inject/*.c engine/*.c cli/attach/*.c cli/doctor/*.c) \
	$(filter-out cli/main.c,$(wildcard cli/*.c)) \
	$(foreach p,$(programs),$(filter-out cli/$(p)/main.c,$(wildcard cli/$(p)/*.c))) \
	$(filter-out preload/start.c $(wildcard preload/interpose*.c),$(wildcard preload/*.c))
unit_obj := $(unit_lib_src:%.c=$(B)/unit/obj/%.o)
unit_libs := -lcmocka -ldl -pthread $(foreach p,$(programs),$(shell $(PKG_CONFIG) --libs $($(p)_pkg)))
san      ?= -fsanitize=address,undefined -fno-sanitize-recover=undefined

.PHONY: all check fuzz tsan man install uninstall clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/libgcpreload.so $(B)/gcpreload $(program_bin)

$(B)/libgcpreload.so: $(lib_obj) preload/exports.map
	$(call quiet,LD)$(CC) $(CFLAGS) -o $@ $(lib_obj) $(lib_link) $(LDFLAGS)

$(B)/gcpreload: $(cli_obj)
	$(call quiet,LD)$(CC) $(CFLAGS) -o $@ $^ $(cli_link) $(LDFLAGS)

$(B)/cli/command.a: $(filter-out $(B)/cli/cli/main.o,$(cli_obj))
	$(call quiet,AR)rm -f $@ && ar rc $@ $^

.SECONDEXPANSION:
$(program_bin): $(B)/gcpreload-%: $$(call program_obj,$$*) $(B)/cli/command.a
	$(call quiet,LD)$(CC) $(CFLAGS) -o $@ $^ $(shell $(PKG_CONFIG) --libs $($*_pkg)) -pthread $(LDFLAGS)

# The exporter's page as C strings. An object's own dependencies are known only once it was made.
page_src := $(wildcard cli/export/page/*)
$(addprefix $(B)/,cli/cli/export/page_file.o unit/obj/cli/export/page_file.o): $(B)/page/page.inc

$(B)/page/page.inc: $(page_src)
	@mkdir -p $(@D)
	$(call quiet,PAGE)cli/export/page/assemble.sh > $@

$(B)/lib/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(lib_flags) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(B)/cli/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(cli_flags) $(HARDENING) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(B)/unit/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(flags) $(CPPFLAGS) -O1 -g $(san) -c -o $@ $<

$(B)/unit/gcpreload-test.a: $(unit_obj)
	$(call quiet,AR)rm -f $@ && ar rc $@ $^

$(B)/unit/test_%: tests/unit/test_%.c $(B)/unit/gcpreload-test.a
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(flags) -O1 -g $(san) -o $@ $< $(B)/unit/gcpreload-test.a $(unit_libs)

# cmocka's own handler for SIGSEGV would hide what the sanitizer found.
# RUN: an emulator, for those of another processor.
check: $(unit_bin)
	@for t in $(unit_bin); do ASAN_OPTIONS=handle_segv=2 $(RUN) $$t || exit 1; done

# The library under ThreadSanitizer, and the program that calls all of it from eight threads.
tsan_obj := $(lib_src:%.c=$(B)/tsan/obj/%.o)
# Fences, which the ring's slots need, are not seen by it: their readers are other processes.
tsan_flags := -O1 -g -fsanitize=thread -Wno-tsan -Wno-unknown-warning-option

tsan: $(B)/tsan/libgcpreload.so $(B)/tsan/calls_at_once

$(B)/tsan/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(lib_flags) $(CPPFLAGS) $(tsan_flags) -c -o $@ $<

$(B)/tsan/libgcpreload.so: $(tsan_obj) preload/exports.map
	$(call quiet,LD)$(CC) $(tsan_flags) -o $@ $(tsan_obj) $(lib_link)

$(B)/tsan/calls_at_once: tests/apps/calls_at_once.c Makefile
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) -Wall $(tsan_flags) -o $@ $< -pthread -ldl

# Readers of files that may be hostile, under clang's libFuzzer: tests/fuzz/fuzz_NAME.c.
fuzz_src := $(wildcard ring/*.c rules/*.c cli/attach/*.c cli/doctor/*.c) $(filter-out base/machine.c,$(wildcard base/*.c)) \
	$(filter-out cli/main.c,$(wildcard cli/*.c)) \
	$(addprefix cli/export/,counts.c exemplars.c gather.c metrics.c metrics_format.c) \
	$(addprefix cli/export/,metrics_living.c past.c services.c otlp_message.c otlp_state.c) \
	$(addprefix cli/export/,page_data.c page_history.c) \
	$(filter-out cli/top/main.c cli/top/screen.c,$(wildcard cli/top/*.c))
fuzz_obj := $(fuzz_src:%.c=$(B)/fuzz/obj/%.o)
fuzz_bin := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz_flags := $(flags) -DGCPRELOAD_LIBDIR='"$(LIBDIR)"' -O1 -g -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined

fuzz: $(fuzz_bin)

$(B)/fuzz/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC)clang $(fuzz_flags) -fsanitize=fuzzer-no-link -c -o $@ $<

$(B)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(fuzz_obj)
	$(call quiet,LD)clang $(fuzz_flags) -fsanitize=fuzzer -o $@ $< $(fuzz_obj)

# From what the programs say of themselves; where scdoc and python3 are.
man: $(B)/man/.made

$(B)/man/.made: $(B)/gcpreload $(program_bin) scripts/man.py
	$(call quiet,MAN)rm -rf $(@D) && python3 scripts/man.py $(B) $(@D) && \
		for page in $(@D)/*.scd; do scdoc < $$page > $${page%.scd} || exit 1; done && touch $@

include packaging/python/wheel.mk

doc = $(PREFIX)/share/doc/gcpreload

# Renamed into place: a process has the old file mapped, and each new one needs a whole one.
replace = install -m 0755 $(1) $(2)/.$(notdir $(1)).new && mv -f $(2)/.$(notdir $(1)).new $(2)/$(notdir $(1))

install: all
	install -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(doc)/docs $(DESTDIR)$(doc)/examples
	$(call replace,$(B)/libgcpreload.so,$(DESTDIR)$(LIBDIR))
	$(foreach p,$(B)/gcpreload $(program_bin),$(call replace,$(p),$(DESTDIR)$(BINDIR)) &&) :
	install -m 0644 README.md DESIGN.md CHANGELOG.md gcpreload.conf.example $(DESTDIR)$(doc)/
	install -m 0644 docs/* $(DESTDIR)$(doc)/docs/
	install -m 0644 examples/* $(DESTDIR)$(doc)/examples/
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 0644 completion/gcpreload.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/gcpreload
	if [ -e $(B)/man/.made ]; then \
		install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5; \
		install -m 0644 $(B)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/; \
		install -m 0644 $(B)/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5/; \
	fi

uninstall:
	rm -f $(DESTDIR)$(LIBDIR)/libgcpreload.so $(DESTDIR)$(BINDIR)/gcpreload \
		$(patsubst %,$(DESTDIR)$(BINDIR)/gcpreload-%,export top)
	rm -rf $(DESTDIR)$(doc)
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gcpreload \
		$(DESTDIR)$(PREFIX)/share/man/man1/gcpreload*.1 \
		$(DESTDIR)$(PREFIX)/share/man/man5/gcpreload.conf.5

clean:
	rm -rf $(B)/dist $(B)/fuzz $(B)/lib $(B)/cli $(B)/man $(B)/package $(B)/page $(B)/tsan $(B)/unit $(B)/wheel \
		$(B)/libgcpreload.so $(B)/gcpreload $(B)/gcpreload-*

-include packaging/packages.mk

-include $(shell find $(B)/lib $(B)/cli $(B)/tsan $(B)/unit -name '*.d' -type f 2>/dev/null)
