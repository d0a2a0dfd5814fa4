# ws-echo: `make help` lists what can be made.

VERSION = 1.0

CC ?= cc
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
SYSCONFDIR ?= /etc
UNITDIR ?= $(shell $(PKG_CONFIG) --variable=systemdsystemunitdir systemd)

WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Werror
HARDENING = -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
OURS = -std=gnu17 $(WARNINGS) $(HARDENING) -DVERSION='"$(VERSION)"' -Ibuild

# Names of Debian's and Ubuntu's packages.
BUILD_PACKAGES = gcc libc6-dev pkgconf nettle-dev libsystemd-dev systemd
CHECK_PACKAGES = clang clang-format curl libclang-rt-14-dev mandoc node-ws python3-pytest python3-tornado \
	python3-websocket python3-websockets strace

# $(call tool,COMMAND,PACKAGE) and $(call library,NAME,PACKAGE): one line that names what is missing.
missing = { echo "$(1) is missing: install the package $(2), or run 'make deps'" >&2; exit 1; }
tool = @command -v $(1) >/dev/null || $(call missing,$(1),$(2))
library = @$(PKG_CONFIG) --exists $(1) || $(call missing,$(1),$(2))

# $(call packages,NAMES): installs those that are not there.
packages = @set -e; absent=$$(for name in $(1); do \
		dpkg-query -W -f '$${db:Status-Abbrev}' $$name 2>/dev/null | grep -q '^.i' || echo $$name; done); \
	[ -z "$$absent" ] || { [ $$(id -u) = 0 ] || sudo=sudo; $$sudo apt-get update; \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$absent; }

.PHONY: all help run deps check install uninstall clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

all: ws-echo

help:
	@echo 'make            build ws-echo'
	@echo 'make run        serve on port 8888, IPv4 and IPv6, until Ctrl-C; ARGS="--verbose" adds options'
	@echo 'make deps       install what building and testing need, by apt-get (with run: only what that needs)'
	@echo 'make check      run the tests'
	@echo 'make install    install into PREFIX ($(PREFIX)) and UNITDIR ($(UNITDIR)), below DESTDIR'
	@echo 'make uninstall  remove what was installed'
	@echo 'make clean      remove what was built'

# The page as a string, and what its Content-Security-Policy allows: the hashes of its script and its style.
build/page.h: ws-echo.html Makefile
	$(call tool,basenc,coreutils)
	@mkdir -p build
	@hash() { sed -n "/^<$$1>$$/,/^<\/$$1>$$/p" $< | sed "1s/^<$$1>//; \$$s/<\/$$1>$$//" | head -c -1 | \
		sha256sum | cut -d ' ' -f 1 | tr a-f A-F | basenc --base16 -d | base64; }; \
	{ echo '/* Made of ws-echo.html by the Makefile. */'; \
	echo "#define PAGE_SCRIPT_HASH \"sha256-$$(hash script)\""; \
	echo "#define PAGE_STYLE_HASH \"sha256-$$(hash style)\""; \
	echo 'static const char PAGE[] ='; sed 's/[\\"]/\\&/g; s/.*/    "&\\n"/' $<; echo '    ;'; } > $@

ws-echo: ws-echo.c build/page.h Makefile
	$(call tool,$(CC),gcc)
	$(call tool,$(PKG_CONFIG),pkgconf)
	$(call library,nettle,nettle-dev)
	$(call library,libsystemd,libsystemd-dev)
	$(CC) $(OURS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -pie -o $@ $< $(shell $(PKG_CONFIG) --libs nettle)

run: ws-echo
	$(call tool,systemd-socket-activate,systemd)
	@echo 'Open http://localhost:8888/, or type new WebSocket("ws://localhost:8888/socket") into a console.'
	@SYSTEMD_LOG_LEVEL=warning systemd-socket-activate --accept --inetd --listen=8888 ./ws-echo $(ARGS)

deps:
	$(call packages,$(BUILD_PACKAGES) $(if $(filter run install,$(MAKECMDGOALS)),,$(CHECK_PACKAGES)))

check: ws-echo
	@$(PYTHON) -c 'import pytest' 2>/dev/null || $(call missing,pytest,python3-pytest)
	$(PYTHON) -m pytest -q tests --ignore=tests/system --ignore=tests/bench

clean:
	rm -rf build ws-echo
