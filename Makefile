# SPDX-License-Identifier: MIT
# ws-echo: `make help` lists what can be made.

# The last release.  packaging/version prints the version of this tree: this release, or one derived from the commit.
VERSION = 1.1

CC ?= cc
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3

# Everything is installed below PREFIX, except configuration: with PREFIX=/usr or /usr/local that goes to /etc.
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
ROOTDIR ?= $(PREFIX)/lib/ws-echo
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),,$(PREFIX))/etc
# The directory of the dynamic loader and the libraries on the machine that runs the program.  The service can read
# only this one.  Debian's compilers print it; if it is empty, the service can read /usr/lib and /usr/lib64.
LOADERDIR ?= $(addprefix /usr/lib/,$(shell $(CC) -print-multiarch 2>/dev/null))

# Our flags come first, so that the builder's CPPFLAGS, CFLAGS and LDFLAGS override them.  Only the tests turn
# warnings into errors.  FORTIFY sets _FORTIFY_SOURCE if the compiler optimises (the macro requires that), unless the
# builder's flags or the compiler define it already.
WARNINGS = -Wall -Wextra -Wshadow -Wconversion
HARDENING = -fstack-protector-strong -fPIE $(FORTIFY)
FORTIFY = $(shell $(CC) $(CPPFLAGS) $(CFLAGS) -dM -E -x c /dev/null 2>/dev/null | awk '/ __OPTIMIZE__ /{can = 1} \
	/ _FORTIFY_SOURCE /{decided = 1} END{if (can && !decided) print "-D_FORTIFY_SOURCE=2"}')
OURS = -std=gnu17 -D_GNU_SOURCE $(WARNINGS) $(HARDENING) -DVERSION='"$(shell packaging/version)"' -Isrc -Ibuild

# A room is a source and a header in src/.  build/ws-echo.c includes all rooms, so that gcc compiles them as one unit
# with -fwhole-program.  Compiled one by one, a connection takes 1 % and a short message 14 % more instructions.
# -fno-lto comes last, to override the builder's flags: link-time optimisation undoes the unrolled loops, and a large
# message then takes a third more.
whole = $(shell $(1) -fwhole-program -Werror -c -x c -o /dev/null /dev/null 2>/dev/null && echo -fwhole-program)
ROOMS = $(wildcard src/*.c)
UNIT = build/ws-echo.c $(ROOMS) $(wildcard src/*.h) ws-echo.c build/page.h Makefile

# Nettle is linked statically if libnettle.a is there: loading the shared library would take a tenth of each start.
# --defsym then selects the SHA-1 without CPU extensions: otherwise Nettle executes CPUID at each start to choose one,
# and in a virtual machine CPUID traps to the hypervisor; on ARM64, its code to choose does not link with musl.
# NETTLE=-lnettle links the shared library and uses its public names only.  Packages do that, because security updates
# of the library do not reach a static copy.
comma = ,
NETTLE_ARCHIVE = $(filter /%,$(shell $(CC) -print-file-name=libnettle.a 2>/dev/null))
PLAIN_SHA1 = $(shell nm $(NETTLE_ARCHIVE) 2>/dev/null | sed -n 's/.* T \(_nettle_sha1_compress_\(x86_64\|c\)\)$$/\1/p')
NETTLE ?= $(or $(PLAIN_SHA1:%=-Wl$(comma)--defsym=nettle_sha1_compress=%) $(NETTLE_ARCHIVE),-lnettle)

# zlib is linked statically too: only connections that compress use it, and the others then need not load it.
# ZLIB=-lz links the shared library.
ZLIB ?= $(or $(filter /%,$(shell $(CC) -print-file-name=libz.a 2>/dev/null)),-lz)

# dlopen is in libdl before glibc 2.34; later versions have an empty libdl.
DLOPEN = -ldl

# `make static` links musl, Nettle and zlib statically, and does without libsystemd.  On a musl system it uses CC,
# elsewhere Debian's musl-gcc.  With -static-pie, musl-gcc makes a dynamic program, so the start files are listed
# here.  It searches only musl's headers, so -idirafter adds those of the libraries.  SYSROOT is the folder that has
# musl and the libraries of another architecture; packaging/make-container sets it.
MACHINE = $(shell $(STATIC_CC) -print-multiarch 2>/dev/null)
ifneq ($(findstring musl,$(shell $(CC) -dumpmachine 2>/dev/null)),)
STATIC_CC = $(CC)
STATIC = -static-pie
else
STATIC_CC = musl-gcc
MUSL = $(SYSROOT)/usr/lib/$(subst -gnu,-musl,$(MACHINE))
STATIC = -idirafter $(SYSROOT)/usr/include -idirafter $(SYSROOT)/usr/include/$(MACHINE) -static -nostartfiles \
	-Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now $(MUSL)/rcrt1.o $(MUSL)/crti.o
STATIC_END = $(MUSL)/crtn.o
endif

# $(call need,NAME:PACKAGE...) fails if a command, library or Python module is missing, and names the package to
# install.
need = @PKG_CONFIG='$(PKG_CONFIG)' PYTHON='$(PYTHON)' packaging/need $(1)
BUILD_NEEDS = $(firstword $(CC)):gcc $(firstword $(PKG_CONFIG)):pkgconf nettle.pc:nettle-dev zlib.pc:zlib1g-dev \
	libsystemd.pc:libsystemd-dev
RUN_NEEDS = systemd-socket-activate:systemd
STATIC_NEEDS = $(firstword $(STATIC_CC)):musl-tools
CHECK_NEEDS = $(STATIC_NEEDS) pytest.py:python3-pytest xdist.py:python3-pytest-xdist

.PHONY: all help static run install uninstall deb rpm container dist manual-md clean
.PHONY: deps check deps-system check-system deps-packages check-packages deps-elsewhere check-elsewhere
.PHONY: deps-long check-long coverage fuzz corpora mutants deps-bench bench
.DELETE_ON_ERROR:
# Goals are made in the order of the command line; only the programs for `make check` are made at the same time.
ifneq ($(MAKECMDGOALS),programs)
.NOTPARALLEL:
endif

all: ws-echo

# $(call hand_over,FILE...[,-R]): if root runs make, as in `sudo make install`, gives built files to the owner of the
# tree, who can then build them again.
hand_over = { [ $$(id -u) != 0 ] || chown -h $(2) $$(stat -c %u:%g Makefile) $(1); }

help:
	@echo 'make            build ws-echo; links Nettle and zlib statically if it can, so build again after their security'
	@echo '                updates; NETTLE=-lnettle ZLIB=-lz link the shared libraries'
	@echo 'make static     build ws-echo-static: fully static with musl, starts faster'
	@echo 'make run        serve until Ctrl-C; PORT= sets the port (8888), LISTEN= one address such as 127.0.0.1 or ::1'
	@echo '                (all), ARGS= options of ws-echo'
	@echo 'make deps       install with apt-get what building and testing need (with run: only what running needs)'
	@echo 'make check      run the tests that need no privileges'
	@echo 'make deps-long, make check-long'
	@echo '                run the tests that take minutes: every fault, the static program, sanitizers, static analysers, load'
	@echo 'make coverage   print which lines and branches no test reaches'
	@echo 'make fuzz       search for inputs that break a rule, TIME= seconds (60) for each target in tests/fuzz/corpora;'
	@echo '                new inputs go to build/corpora; make corpora adds those that reach more to tests/fuzz/corpora'
	@echo 'make deps-system, make check-system'
	@echo '                run the tests with real launchers, a real systemd and real browsers; as root'
	@echo 'make deps-elsewhere, make check-elsewhere'
	@echo '                run the unprivileged tests in fresh roots of other Debian releases, for i386, and for s390x in'
	@echo '                an emulator; ONLY= chooses, also among five architectures (see README.md); as root'
	@echo 'make deps-bench, make bench'
	@echo '                compare the speed with that of cat and of other servers'
	@echo 'make mutants    change the program in one place at a time and print whether a test fails; takes hours; N= sets'
	@echo '                how many changes, ROOM= one file such as frame'
	@echo 'make install    install below PREFIX=$(PREFIX), and into SYSCONFDIR=$(SYSCONFDIR); below DESTDIR, if set.'
	@echo '                Also: SBINDIR UNITDIR SYSUSERSDIR MANDIR COMPLETIONDIR ROOTDIR LOADERDIR; see the Makefile'
	@echo 'make uninstall  remove what was installed, except an xinetd entry that was edited'
	@echo 'make deb, make rpm, make container'
	@echo '                build a package for Debian or for Fedora, or a container image named ws-echo;'
	@echo '                ARCHITECTURES="amd64 arm64" builds the image for these, as one list'
	@echo 'make deps-packages, make check-packages'
	@echo '                test the packages on booted Debian 12 and 13, and the container; as root'
	@echo 'make manual-md  write man/*.md anew, the manual as web forges show it; needs mandoc'
	@echo 'make dist       write the source archive build/ws-echo-VERSION.tar.gz, reproducibly'
	@echo 'make clean      remove what was built'

build/page.h: src/page.html packaging/make-page
	$(call need,basenc:coreutils)
	@mkdir -p build
	packaging/make-page $< > $@
	@$(call hand_over,build $@)

build/ws-echo.c: $(ROOMS) build/page.h Makefile
	@for file in $(ROOMS) ws-echo.c; do echo "#include \"../$$file\""; done > $@
	@$(call hand_over,build $@)

# `make run` and `make check` look for missing commands before they build anything.
run-needs:
	$(call need,$(BUILD_NEEDS) $(RUN_NEEDS))
check-needs:
	$(call need,$(BUILD_NEEDS) $(CHECK_NEEDS))

# Both programs are built twice.  With -DDUMPABLE, the user who runs a process may trace it and read its files in
# /proc, as tests do.
DUMPABLE = build/dumpable/ws-echo build/dumpable/ws-echo-static
$(DUMPABLE): OURS += -DDUMPABLE
programs: ws-echo ws-echo-static $(DUMPABLE)

ws-echo build/dumpable/ws-echo: $(UNIT)
	$(call need,$(BUILD_NEEDS))
	@mkdir -p $(@D)
	$(CC) $(OURS) $(call whole,$(CC)) -pie $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -fno-lto -o $@ $< $(NETTLE) $(ZLIB) $(DLOPEN)
	@$(call hand_over,$(filter-out ./,$(dir $@)) $@)

static: ws-echo-static

ws-echo-static build/dumpable/ws-echo-static: $(UNIT)
	$(call need,$(STATIC_NEEDS))
	@mkdir -p $(@D)
	$(STATIC_CC) $(OURS) $(call whole,$(STATIC_CC)) -DWITHOUT_LIBSYSTEMD $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -fno-lto $(STATIC) \
		-o $@ $< $(NETTLE) $(ZLIB) $(STATIC_END)
	@! readelf -lW $@ | grep INTERP || { echo "$@ is not static" >&2; rm $@; exit 1; }
	@$(call hand_over,$(filter-out ./,$(dir $@)) $@)

# Rewritten only if the version changes, so that the program is built again after a new commit.
build/version: FORCE
	@mkdir -p build
	@version=$$(packaging/version) && { [ "$$(cat $@ 2>/dev/null)" = "$$version" ] || \
		{ echo "$$version" > $@ && $(call hand_over,build $@); }; }
FORCE:
ws-echo ws-echo-static $(DUMPABLE): build/version

PORT ?= 8888
run: run-needs ws-echo
	@packaging/serve '$(PORT)' '$(LISTEN)' $(ARGS)

deps:
	@packaging/install-deps build $(if $(filter run install,$(MAKECMDGOALS)),,static check)

# Six tests for each processor at a time, because tests mostly wait.  -rfEs lists skipped tests with the reason.
# rules.py looks through all tests and so leaves them compiled for pytest's workers.
PYTEST = $(PYTHON) -m pytest -q -rfEs
check: export PYTHONPYCACHEPREFIX = $(CURDIR)/build/python
check: export PYTHONDONTWRITEBYTECODE =
check: check-needs
	@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,--jobs=4) programs
	@$(PYTHON) tests/tools/rules.py >/dev/null
	@$(PYTEST) --numprocesses=$$(($$(nproc) * 6)) --durations=10 --durations-min=3 \
		$(addprefix tests/,protocol process clients documents unit); status=$$?; $(call hand_over,build,-R); exit $$status

TIME ?= 60
SANITIZERS = -O1 -U_FORTIFY_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
FUZZERS = build/fuzz-functions build/fuzz-connections
$(FUZZERS): build/fuzz-%: tests/fuzz/%.c tests/fuzz/driver.h $(UNIT)
	$(call need,clang:clang)
	clang $(OURS) $(SANITIZERS) -g -pie -o $@ $< -lnettle -lz

fuzz: $(FUZZERS)
	@tests/fuzz/run $(TIME)

corpora: $(FUZZERS)
	@tests/fuzz/corpus.py pack build/corpora

deps-long: deps
	@packaging/install-deps long

check-long: programs
	$(PYTEST) --numprocesses=$$(nproc) --durations=10 tests/long

coverage: ws-echo
	$(PYTHON) tests/tools/coverage.py all

deps-system: deps
	@packaging/install-deps system
	@tests/system/fetch-launchers
	@tests/system/fetch-axe
	@$(call hand_over,build)

check-system: programs
	$(PYTEST) tests/system

deb rpm container:
	@packaging/make-$@ $(if $(filter container,$@),$(ARCHITECTURES)); status=$$?; [ ! -d build/$@ ] || \
		{ $(call hand_over,build) && $(call hand_over,build/$@,-R); } || exit; exit $$status

deps-packages: deps
	@packaging/install-deps packages
	@tests/packaging/make-roots
	@$(call hand_over,build)

check-packages: ws-echo
	$(PYTEST) tests/packaging

deps-elsewhere: deps
	@packaging/install-deps elsewhere

# Two roots at a time: one downloads while the other computes.  -rP prints what the tests in each root reported.
ONLY ?= debian-13 or sid or i386 or s390x
check-elsewhere: ws-echo
	$(PYTEST) -rP --durations=0 --durations-min=1 --numprocesses=2 --dist=loadgroup tests/elsewhere -k '$(ONLY)'

deps-bench: deps
	@packaging/install-deps bench

bench: ws-echo ws-echo-static
	$(PYTHON) tests/bench/bench.py
	$(PYTHON) tests/bench/compression.py
	[ $$(id -u) != 0 ] || $(PYTHON) tests/system/measure.py

mutants:
	nice -n 15 $(PYTHON) tests/tools/mutants.py $(N:%=--number=%) $(ROOM:%=--only=%)

# The files in the tree have the paths of PREFIX=/usr.  $(call here,FILE) prints one with the paths of this
# installation, $(call put,FILE,TARGET) installs it so.
UNITS = $(wildcard *.socket *.service packaging/*.service)
XINETD = $(SYSCONFDIR)/xinetd.d/ws-echo
here = sed 's|/usr/sbin/|$(SBINDIR)/|g; s|/usr/lib/ws-echo|$(ROOTDIR)|g; s|/usr/lib/sysusers.d/|$(SYSUSERSDIR)/|g; \
	s|/usr/lib/systemd/system/|$(UNITDIR)/|g; s|/etc/default/|$(SYSCONFDIR)/default/|g; \
	s|/etc/xinetd.d/|$(SYSCONFDIR)/xinetd.d/|g; \
	$(if $(LOADERDIR),s| /usr/lib -/usr/lib64| $(LOADERDIR)|)' $(1)
put = install -D -m 644 $(1) $(DESTDIR)$(2) && $(call here,$(1)) >$(DESTDIR)$(2)

# Each page goes to the folder of its section.
MANUAL = $(wildcard man/*.[1-8])
page = $(MANDIR)/man$(subst .,,$(suffix $(1)))/$(notdir $(1))

# `make install` refuses a program that is built for tests: without the filter of system calls, or dumpable.
FOR_TESTS = $(foreach macro,-DWITHOUT_FILTER -DDUMPABLE,$(findstring $(macro),$(CPPFLAGS) $(CFLAGS) $(CC)))
install: ws-echo
	$(if $(strip $(FOR_TESTS)),$(error $(strip $(FOR_TESTS)) builds a program for tests, which is not installed))
	install -D -m 755 ws-echo $(DESTDIR)$(SBINDIR)/ws-echo
	$(foreach unit,$(UNITS),$(call put,$(unit),$(UNITDIR)/$(notdir $(unit))) &&) :
	$(call put,packaging/ws-echo-crowd,$(ROOTDIR)-crowd) && chmod 755 $(DESTDIR)$(ROOTDIR)-crowd
	$(call put,packaging/ws-echo.sysusers,$(SYSUSERSDIR)/ws-echo.conf)
	@# Administrators enable the entry by editing it, so an existing file is kept.
	[ -e $(DESTDIR)$(XINETD) ] || { $(call put,packaging/ws-echo.xinetd,$(XINETD)); }
	$(foreach file,$(MANUAL),$(call put,$(file),$(call page,$(file))) &&) :
	install -D -m 644 packaging/ws-echo.bash-completion $(DESTDIR)$(COMPLETIONDIR)/ws-echo
	packaging/make-root "$(DESTDIR)$(ROOTDIR)" "$(LOADERDIR)" "$(SBINDIR)"

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/ws-echo $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(UNITS))) \
		$(foreach file,$(MANUAL),$(DESTDIR)$(call page,$(file))) \
		$(DESTDIR)$(SYSUSERSDIR)/ws-echo.conf $(DESTDIR)$(COMPLETIONDIR)/ws-echo
	rm -rf $(DESTDIR)$(ROOTDIR) $(DESTDIR)$(ROOTDIR)-crowd
	@[ ! -e $(DESTDIR)$(XINETD) ] || if $(call here,packaging/ws-echo.xinetd) | cmp -s - $(DESTDIR)$(XINETD); \
		then rm $(DESTDIR)$(XINETD); else echo '$(DESTDIR)$(XINETD) was edited and stays'; fi

manual-md: $(MANUAL:%=%.md)
man/%.md: man/% packaging/render-page
	$(call need,mandoc:mandoc)
	packaging/render-page $< > $@
	@$(call hand_over,$@)

dist:
	@mkdir -p build
	@archive=build/ws-echo-$$(packaging/version).tar.gz && packaging/archive $$archive && $(call hand_over,build $$archive)

clean:
	rm -rf build ws-echo ws-echo-static
