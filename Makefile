# ws-echo: `make help` lists what can be made.

# The last release.  packaging/version tells which version is built of this tree, this one or a later one.
VERSION = 1.1

CC ?= cc
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3

# Everything is installed below PREFIX, but for what is configured where PREFIX is one of the system's own.
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
ROOTDIR ?= $(PREFIX)/lib/ws-echo
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),,$(PREFIX))/etc
# Where the dynamic loader and the libraries are on the machine that runs the program: the service sees that directory
# alone.  Compilers of Debian's family know it; where it is empty, the service sees /usr/lib and /usr/lib64.
LOADERDIR ?= $(addprefix /usr/lib/,$(shell $(CC) -print-multiarch 2>/dev/null))

# Ours come first, so that the builder's CPPFLAGS, CFLAGS and LDFLAGS overrule them.  A warning is an error in the tests
# only.  The compiler is asked whether to fortify: that needs optimisation, and is nobody's business where the builder
# or the compiler itself has decided it.
WARNINGS = -Wall -Wextra -Wshadow -Wconversion
HARDENING = -fstack-protector-strong -fPIE $(FORTIFY)
FORTIFY = $(shell $(CC) $(CPPFLAGS) $(CFLAGS) -dM -E -x c /dev/null 2>/dev/null | awk '/ __OPTIMIZE__ /{can = 1} \
	/ _FORTIFY_SOURCE /{decided = 1} END{if (can && !decided) print "-D_FORTIFY_SOURCE=2"}')
OURS = -std=gnu17 -D_GNU_SOURCE $(WARNINGS) $(HARDENING) -DVERSION='"$(shell packaging/version)"' -Isrc -Ibuild

# The rooms are compiled as one unit, of which gcc is told that it is the whole program: compiled one by one, a connection
# takes 1 % and a short message 14 % more instructions.  -fno-lto comes last, where it overrules the builder's flags: the
# optimiser at link time loses the unrolled loops, by which a large message takes a third more.
whole = $(shell $(1) -fwhole-program -Werror -c -x c -o /dev/null /dev/null 2>/dev/null && echo -fwhole-program)
ROOMS = $(wildcard src/*.c)
UNIT = build/ws-echo.c $(ROOMS) $(wildcard src/*.h) ws-echo.c build/page.h Makefile

# Nettle is linked in where there is a static one: finding it at each start would take a tenth of the start.  Its SHA-1
# is then bound to the plain version: otherwise each start would ask the processor for a better one, and in a virtual
# machine each CPUID instruction is a trap.  NETTLE=-lnettle links the shared library and uses its public names only:
# packages do, since a security update of the library does not reach a copy that is linked in.
comma = ,
NETTLE_ARCHIVE = $(filter /%,$(shell $(CC) -print-file-name=libnettle.a 2>/dev/null))
PLAIN_SHA1 = $(shell nm $(NETTLE_ARCHIVE) 2>/dev/null | sed -n 's/.* T \(_nettle_sha1_compress_x86_64\)$$/\1/p')
NETTLE ?= $(or $(PLAIN_SHA1:%=-Wl$(comma)--defsym=nettle_sha1_compress=%) $(NETTLE_ARCHIVE),-lnettle)

# So is zlib, which only connections that compress need, and which costs the others nothing then.  ZLIB=-lz links the
# shared one.
ZLIB ?= $(or $(filter /%,$(shell $(CC) -print-file-name=libz.a 2>/dev/null)),-lz)

# dlopen is in a library of its own before glibc 2.34; later that is empty.
DLOPEN = -ldl

# `make static`: musl, Nettle and zlib linked in, no libsystemd.  On a musl system that is the compiler at hand.  Elsewhere it
# is Debian's musl-gcc, whose own -static-pie makes a dynamic program, so the start files are named here, and which
# finds only musl's headers.
MACHINE = $(shell $(STATIC_CC) -print-multiarch 2>/dev/null)
ifneq ($(findstring musl,$(shell $(CC) -dumpmachine 2>/dev/null)),)
STATIC_CC = $(CC)
STATIC = -static-pie
else
STATIC_CC = musl-gcc
MUSL = /usr/lib/$(subst -gnu,-musl,$(MACHINE))
STATIC = -idirafter /usr/include -idirafter /usr/include/$(MACHINE) -static -nostartfiles \
	-Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now $(MUSL)/rcrt1.o $(MUSL)/crti.o
STATIC_END = $(MUSL)/crtn.o
endif

# $(call need,NAME:PACKAGE...): one line that names all that is missing.  A NAME is a command, a library as NAME.pc, which
# pkg-config finds, or a module of Python as NAME.py.
need = @absent= packages=; for part in $(1); do name=$${part%%:*}; case $$name in \
	*.pc) $(PKG_CONFIG) --exists $${name%.pc} ;; *.py) $(PYTHON) -c "import $${name%.py}" ;; *) command -v $$name ;; \
	esac >/dev/null 2>&1 || { absent="$$absent, $${name%.p[cy]}"; packages="$$packages $${part\#*:}"; }; done; \
	[ -z "$$absent" ] || { echo "missing: $${absent\#, }; install$$packages, or run 'make deps'" >&2; exit 1; }
BUILD_NEEDS = $(firstword $(CC)):gcc $(firstword $(PKG_CONFIG)):pkgconf nettle.pc:nettle-dev zlib.pc:zlib1g-dev \
	libsystemd.pc:libsystemd-dev
RUN_NEEDS = systemd-socket-activate:systemd
STATIC_NEEDS = $(firstword $(STATIC_CC)):musl-tools
CHECK_NEEDS = $(STATIC_NEEDS) pytest.py:python3-pytest xdist.py:python3-pytest-xdist

.PHONY: all help static run install uninstall deb rpm container dist clean
.PHONY: deps check deps-system check-system deps-packages check-packages deps-elsewhere check-elsewhere
.PHONY: deps-long check-long coverage fuzz mutants deps-bench bench
.DELETE_ON_ERROR:
.NOTPARALLEL:

all: ws-echo

# $(call hand_over,FILE...[,-R]): gives what root has made to the owner of the tree, who can then make it anew: after
# `sudo make install`, for one.
hand_over = { [ $$(id -u) != 0 ] || chown -h $(2) $$(stat -c %u:%g Makefile) $(1); }

help:
	@echo 'make            build ws-echo, with Nettle and zlib linked in where there are static ones: a security'
	@echo '                update of theirs then takes a new build; NETTLE=-lnettle ZLIB=-lz link the shared ones'
	@echo 'make static     build ws-echo-static: with musl, without libraries, faster to start'
	@echo 'make run        serve until Ctrl-C; PORT=8888 chooses the port, LISTEN= one address in place of all, such as'
	@echo '                127.0.0.1 or ::1, ARGS= options'
	@echo 'make deps       install what building and testing need, by apt-get (with run: only what that needs)'
	@echo 'make check      run the tests that need no privileges, with both programs'
	@echo 'make deps-long, make check-long'
	@echo '                run the tests that take minutes: each fault, other builds, other analysers'
	@echo 'make coverage   say which lines and branches no test reaches'
	@echo 'make fuzz       search for inputs that break a rule, TIME=60 seconds for each target in tests/corpora; what is'
	@echo '                new goes to build/corpora'
	@echo 'make deps-system, make check-system'
	@echo '                the same for real launchers, a real systemd and real browsers; as root'
	@echo 'make deps-elsewhere, make check-elsewhere'
	@echo '                run the first of these in fresh roots of other Debians, natively for i386, and for s390x'
	@echo '                in an emulator; ONLY= chooses, also among five architectures (see README.md); as root'
	@echo 'make deps-bench, make bench'
	@echo '                compare the speed with that of cat and of other servers'
	@echo 'make mutants    change the program in one place at a time and tell whether the tests notice: on demand, for'
	@echo '                hours; N= how many, ROOM= one such as frame'
	@echo 'make install    install below PREFIX=$(PREFIX), and into SYSCONFDIR=$(SYSCONFDIR); below DESTDIR, if set.'
	@echo '                Also: SBINDIR UNITDIR SYSUSERSDIR MANDIR COMPLETIONDIR ROOTDIR LOADERDIR; see the Makefile'
	@echo 'make uninstall  remove what was installed, but for an xinetd entry that was edited'
	@echo 'make deb, make rpm, make container'
	@echo '                build a package for Debian or for Fedora, or an image named ws-echo'
	@echo 'make deps-packages, make check-packages'
	@echo '                the same for these: on Debian 12 and 13, booted; as root'
	@echo 'make dist       put the source into build/ws-echo-VERSION.tar.gz, the same bytes wherever'
	@echo 'make clean      remove what was built'

build/page.h: src/page.html packaging/make-page
	$(call need,basenc:coreutils)
	@mkdir -p build
	packaging/make-page $< > $@
	@$(call hand_over,build $@)

build/ws-echo.c: $(ROOMS) build/page.h Makefile
	@for file in $(ROOMS) ws-echo.c; do echo "#include \"../$$file\""; done > $@
	@$(call hand_over,build $@)

# What run and check need is named before anything is built, so that it comes at once.
run-needs:
	$(call need,$(BUILD_NEEDS) $(RUN_NEEDS))
check-needs:
	$(call need,$(BUILD_NEEDS) $(CHECK_NEEDS))

# Both programs are built twice: a process of those below build/ can be looked into by the user who runs it, as tests do.
DUMPABLE = build/dumpable/ws-echo build/dumpable/ws-echo-static
$(DUMPABLE): OURS += -DDUMPABLE

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

# Written only when it changes, so that a new commit builds the program anew.
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

# All at once: the tests wait more than they work.  Whatever was skipped is named at the end, with the reason.
PYTEST = $(PYTHON) -m pytest -q -rfEs
check: check-needs ws-echo ws-echo-static $(DUMPABLE)
	$(PYTEST) --numprocesses=$$(($$(nproc) * 4)) --durations=10 --durations-min=3 tests/test_*.py

# Each target starts from its corpus, and counts its executions.  A finding is a file build/corpora/TARGET-crash-...
TIME ?= 60
SANITIZERS = -O1 -U_FORTIFY_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
build/fuzz build/connection: build/%: tests/%.c tests/fuzz.h $(UNIT)
	$(call need,clang:clang)
	clang $(OURS) $(SANITIZERS) -g -pie -o $@ $< -lnettle -lz

fuzz: build/fuzz build/connection
	@for target in $(notdir $(wildcard tests/corpora/*)); do \
		program=build/fuzz; [ $$target != connection ] || program=build/connection; \
		found=build/corpora/$$target; mkdir -p $$found; \
		TARGET=$$target $$program -max_total_time=$(TIME) -timeout=60 -dict=tests/fuzz.dict -print_final_stats=1 \
			-artifact_prefix=$$found- $$found tests/corpora/$$target >$$found.log 2>&1 || \
			{ tail -n 40 $$found.log; exit 1; }; \
		sed -n "s/^stat::number_of_executed_units: */$$target: executions /p" $$found.log; done

deps-long: deps
	@packaging/install-deps long

check-long: ws-echo ws-echo-static $(DUMPABLE)
	$(PYTEST) --numprocesses=$$(nproc) --durations=10 tests/long

coverage: ws-echo
	$(PYTHON) tests/coverage.py all

deps-system: deps
	@packaging/install-deps system
	@tests/system/fetch-launchers
	@$(call hand_over,build)

check-system: ws-echo ws-echo-static $(DUMPABLE)
	$(PYTEST) tests/system

deb rpm container:
	@packaging/make-$@; status=$$?; [ ! -d build/$@ ] || \
		{ $(call hand_over,build) && $(call hand_over,build/$@,-R); } || exit; exit $$status

deps-packages: deps
	@packaging/install-deps packages
	@tests/packaging/make-roots
	@$(call hand_over,build)

check-packages: ws-echo
	$(PYTEST) tests/packaging

deps-elsewhere: deps
	@packaging/install-deps elsewhere

# Two roots at a time: one waits for the network while the other computes.  What each has passed is shown.
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
	nice -n 15 $(PYTHON) tests/mutants.py $(N:%=--number=%) $(ROOM:%=--only=%)

# The files in the tree are as for PREFIX=/usr; $(call here,FILE) writes one with the paths of this installation, and
# $(call put,FILE,TARGET) installs that.
UNITS = $(wildcard *.socket *.service packaging/*.service)
XINETD = $(SYSCONFDIR)/xinetd.d/ws-echo
here = sed 's|/usr/sbin/|$(SBINDIR)/|g; s|/usr/lib/ws-echo|$(ROOTDIR)|g; s|/usr/lib/sysusers.d/|$(SYSUSERSDIR)/|g; \
	s|/usr/lib/systemd/system/|$(UNITDIR)/|g; s|/etc/default/|$(SYSCONFDIR)/default/|g; \
	s|/etc/xinetd.d/|$(SYSCONFDIR)/xinetd.d/|g; \
	$(if $(LOADERDIR),s| /usr/lib -/usr/lib64| $(LOADERDIR)|)' $(1)
put = install -D -m 644 $(1) $(DESTDIR)$(2) && $(call here,$(1)) >$(DESTDIR)$(2)

# Nobody installs what is built for valgrind, gcov, the sanitizers or other tests.
FOR_TESTS = $(foreach macro,-DWITHOUT_FILTER -DDUMPABLE,$(findstring $(macro),$(CPPFLAGS) $(CFLAGS) $(CC)))
install: ws-echo
	$(if $(strip $(FOR_TESTS)),$(error $(strip $(FOR_TESTS)) builds a program for tests, which is not installed))
	install -D -m 755 ws-echo $(DESTDIR)$(SBINDIR)/ws-echo
	$(foreach unit,$(UNITS),$(call put,$(unit),$(UNITDIR)/$(notdir $(unit))) &&) :
	$(call put,packaging/ws-echo-crowd,$(ROOTDIR)-crowd) && chmod 755 $(DESTDIR)$(ROOTDIR)-crowd
	$(call put,packaging/ws-echo.sysusers,$(SYSUSERSDIR)/ws-echo.conf)
	@# It is enabled by editing it, so one that is there stays.
	[ -e $(DESTDIR)$(XINETD) ] || { $(call put,packaging/ws-echo.xinetd,$(XINETD)); }
	$(call put,man/ws-echo.8,$(MANDIR)/man8/ws-echo.8)
	install -D -m 644 packaging/ws-echo.bash-completion $(DESTDIR)$(COMPLETIONDIR)/ws-echo
	packaging/make-root "$(DESTDIR)$(ROOTDIR)" "$(LOADERDIR)" "$(SBINDIR)"

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/ws-echo $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(UNITS))) \
		$(DESTDIR)$(SYSUSERSDIR)/ws-echo.conf $(DESTDIR)$(MANDIR)/man8/ws-echo.8 \
		$(DESTDIR)$(COMPLETIONDIR)/ws-echo
	rm -rf $(DESTDIR)$(ROOTDIR) $(DESTDIR)$(ROOTDIR)-crowd
	@[ ! -e $(DESTDIR)$(XINETD) ] || if $(call here,packaging/ws-echo.xinetd) | cmp -s - $(DESTDIR)$(XINETD); \
		then rm $(DESTDIR)$(XINETD); else echo '$(DESTDIR)$(XINETD) was edited and stays'; fi

dist:
	@mkdir -p build
	@archive=build/ws-echo-$$(packaging/version).tar.gz && packaging/archive $$archive && $(call hand_over,build $$archive)

clean:
	rm -rf build ws-echo ws-echo-static
