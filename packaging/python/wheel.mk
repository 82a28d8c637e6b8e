# Packages for PyPI, into build/dist: make sdist, make wheel (for this processor), and with
# `scripts/setup aarch64` make wheel-aarch64. make wheel-musl: the command alone.
#
# The library is the usual one, without what debuggers read. The command is linked with musl, whole:
# so it runs with any glibc, and without.
dist      = $(B)/dist
backend  := python3 packaging/python/backend.py
machine   = $(shell uname -m)
MUSL_CC  ?= musl-gcc

# of-wheel: a make of its own, since other flags make other objects. $(1) directory $(2) variables $(3) file
of_wheel  = +$(MAKE) B=$(B)/wheel/$(1) CFLAGS=-O2 $(2) $(B)/wheel/$(1)/$(3)
of_static = $(call of_wheel,$(1),$(2) STATIC=1 LDFLAGS=-s,gcpreload)

.PHONY: sdist wheel wheel-aarch64 wheel-musl

sdist:
	$(backend) sdist $(dist)

wheel:
	$(call of_wheel,$(machine),,libgcpreload.so)
	$(call of_static,$(machine)-static,CC=$(MUSL_CC))
	$(backend) wheel $(dist) py3-none-manylinux_2_17_$(machine) \
		$(B)/wheel/$(machine)-static/gcpreload $(B)/wheel/$(machine)/libgcpreload.so

wheel-musl:
	$(call of_static,$(machine)-alone,CC=$(MUSL_CC) CPPFLAGS=-DGCPRELOAD_COMMAND_ALONE)
	$(backend) wheel $(dist) py3-none-musllinux_1_1_$(machine) $(B)/wheel/$(machine)-alone/gcpreload

# musl of Debian's package for arm64, which is unpacked and not installed.
arm64    := build/debian-arm64
arm64_cc := aarch64-linux-gnu-gcc

wheel-aarch64:
	$(call of_wheel,aarch64,CC=$(arm64_cc),libgcpreload.so)
	$(call of_static,aarch64-static,CC=$(arm64)/musl-gcc)
	$(backend) wheel $(dist) py3-none-manylinux_2_17_aarch64 \
		$(B)/wheel/aarch64-static/gcpreload $(B)/wheel/aarch64/libgcpreload.so
