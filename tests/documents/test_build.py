# SPDX-License-Identifier: MIT
"""Tests of the Makefile: building, installing, removing, and `make run`.

They run make in a copy of the tree, because other tests use the programs in the tree itself.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import framing
import heads
import launch
import project
import pytest
from builds import BUILDERS, IPV6, built, built_by, environment, free_port, make, tree  # `tree` is a fixture
from require import missing, require, require_file
from terminal import CTRL_C, Terminal

pytestmark = pytest.mark.slow("a compiler runs")
QUICK = BUILDERS["not-optimised"]  # for tests to which the compiled code does not matter


def files(folder):
    """All files below a folder, as absolute paths without the folder."""
    return {"/" + str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


SOURCES = {".c", ".h", ".py", ".js", ".7", ".8", ".service", ".socket", ".spec", ".sysusers", ".xinetd", ".bash-completion",
           "Makefile", "Containerfile", "apt-aside"}
# What is not in the archive, or is data, or is there to be copied.
NOT_SOURCES = ".git", "build", "tests/fuzz/corpora", "packaging/examples"


def sources():
    """The files of the tree with source text: by their suffix or name, or because they are scripts."""
    for folder, folders, names in os.walk(project.TOP):
        place = pathlib.Path(folder).relative_to(project.TOP)
        folders[:] = [name for name in folders if str(place / name) not in NOT_SOURCES]
        for path in (project.TOP / place / name for name in names):
            if (path.suffix or path.name) in SOURCES or path.is_file() and path.read_bytes().startswith(b"#!"):
                yield path


def test_each_source_file_names_its_licence_in_its_first_line_or_below_that_of_its_interpreter():
    assert (project.TOP / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")
    found = {path.relative_to(project.TOP): path.read_text(encoding="utf-8").splitlines()[:2] for path in sources()}
    assert len(found) > 200
    expected = re.compile(r"(/\* |# |// |\.\\\" )SPDX-License-Identifier: MIT( \*/)?")
    assert [str(path) for path, lines in found.items()
            if not expected.fullmatch(lines[-1] if lines[0].startswith("#!") else lines[0])] == []


def test_help_names_every_target(tree):
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", (project.TOP / "Makefile").read_text(), re.MULTILINE)).split()
    named = re.findall(r"make ([a-z-]+)", make(tree, "help").stdout)
    assert sorted(named) == sorted(set(phony) - {"all", "help"})


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_is_built_without_a_warning(tree, compiler):
    """tests/long/test_compilers.py tries other flags."""
    built_by(tree, compiler, BUILDERS["as-shipped"])


def test_the_static_flavour_is_built_without_a_warning(tree):
    built(tree, "ws-echo-static", **QUICK)


def test_the_builder_decides_how_it_is_fortified(tree):
    readelf = require("readelf", "binutils")

    def fortified(**variables):
        program = built(tree, "ws-echo", **variables)
        symbols = subprocess.run([readelf, "--dyn-syms", "-W", program], capture_output=True, text=True, check=True)
        return "_chk@" in symbols.stdout

    assert fortified(CFLAGS="-O1")
    assert not fortified(CFLAGS="-O1 -U_FORTIFY_SOURCE")


def test_a_warning_does_not_end_the_build(tree):
    with (tree / "ws-echo.c").open("a") as source:
        source.write("static int of_no_use;\n")
    for target in ["ws-echo", "ws-echo-static"]:
        assert "of_no_use" in make(tree, target, "CFLAGS=-O0").stderr


@pytest.mark.parametrize("macro", ["WITHOUT_FILTER", "DUMPABLE"])
@pytest.mark.parametrize("variable", ["CPPFLAGS", "CFLAGS"])
def test_a_program_built_for_tests_is_not_installed(tree, tmp_path, variable, macro):
    result = make(tree, "install", f"{variable}=-D{macro}", f"DESTDIR={tmp_path}", check=False)
    assert result.returncode != 0 and f"-D{macro} builds a program for tests" in result.stderr, result
    assert files(tmp_path) == set()


def test_uninstall_removes_everything_that_install_installed(tree, tmp_path):
    make(tree, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert files(tmp_path) >= {
        "/usr/sbin/ws-echo", "/usr/share/man/man8/ws-echo.8", "/usr/share/man/man7/ws-echo-launchers.7",
        "/usr/lib/sysusers.d/ws-echo.conf",
        "/usr/share/bash-completion/completions/ws-echo",
        "/usr/lib/systemd/system/ws-echo.socket", "/usr/lib/systemd/system/ws-echo@.service",
        "/usr/lib/systemd/system/ws-echo-sandbox.service", "/etc/xinetd.d/ws-echo"}
    for name in files(tmp_path):
        mode = (tmp_path / name[1:]).stat(follow_symlinks=False).st_mode & 0o7777
        assert mode in ({0o777} if (tmp_path / name[1:]).is_symlink() else {0o644, 0o755}), name
    assert os.access(tmp_path / "usr/sbin/ws-echo", os.X_OK)
    make(tree, "uninstall", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert files(tmp_path) == set()


def test_with_the_prefix_of_the_system_the_units_are_installed_as_they_are_in_the_tree(tree, tmp_path):
    make(tree, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr", "LOADERDIR=")
    units = [*tree.glob("*.socket"), *tree.glob("*.service"), *tree.glob("packaging/*.service")]
    assert len(units) == 4
    for unit in units:
        assert (tmp_path / "usr/lib/systemd/system" / unit.name).read_text() == unit.read_text()


def test_everything_is_installed_below_the_prefix(tree, tmp_path):
    make(tree, "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/echo")
    assert {name for name in files(tmp_path) if not name.startswith("/opt/echo/")} == set()
    for name in ["lib/systemd/system/ws-echo@.service", "etc/xinetd.d/ws-echo", "share/man/man8/ws-echo.8",
                 "share/man/man7/ws-echo-launchers.7"]:
        text = (tmp_path / "opt/echo" / name).read_text()
        assert "/opt/echo/sbin/ws-echo" in text and not re.search("/usr/(sbin|lib)/(ws-echo|sysusers)|/etc/(def|xin)",
                                                                  text.replace("/opt/echo/etc", "")), name
    unit = (tmp_path / "opt/echo/lib/systemd/system/ws-echo@.service").read_text()
    assert "\nRootDirectory=/opt/echo/lib/ws-echo\n" in unit
    assert re.search("^EnvironmentFile=-/opt/echo/etc/default/", unit, re.MULTILINE)


def test_a_variable_puts_a_part_elsewhere(tree, tmp_path):
    places = {"SBINDIR": "/bin", "ROOTDIR": "/root", "UNITDIR": "/units", "SYSUSERSDIR": "/users", "MANDIR": "/man",
              "SYSCONFDIR": "/settings"}
    make(tree, "install", f"DESTDIR={tmp_path}", *(f"{name}={place}" for name, place in places.items()))
    assert files(tmp_path) >= {"/bin/ws-echo", "/units/ws-echo.socket", "/users/ws-echo.conf", "/man/man8/ws-echo.8",
                               "/man/man7/ws-echo-launchers.7", "/settings/xinetd.d/ws-echo", "/root/lib64"}
    assert re.search("^EnvironmentFile=-/settings/default/", (tmp_path / "units/ws-echo@.service").read_text(), re.M)
    for page in "man8/ws-echo.8", "man7/ws-echo-launchers.7":
        assert "/settings/default/ws-echo" in (tmp_path / "man" / page).read_text()


@pytest.mark.parametrize("given, link, bound", [
    ("", "usr/lib64", "/usr/lib -/usr/lib64"), ("/usr/lib/arch", "usr/lib/arch", "/usr/lib/arch")])
def test_the_place_of_the_libraries_is_what_the_builder_says(tree, tmp_path, given, link, bound):
    make(tree, "install", f"DESTDIR={tmp_path}", f"LOADERDIR={given}")
    assert os.readlink(tmp_path / "usr/local/lib/ws-echo/lib64") == link
    unit = (tmp_path / "usr/local/lib/systemd/system/ws-echo@.service").read_text()
    assert f"\nBindPaths=/usr/local/sbin/ws-echo {bound} /run/" in unit


def test_an_xinetd_entry_that_was_edited_stays(tree, tmp_path):
    entry = tmp_path / "etc/xinetd.d/ws-echo"
    make(tree, "install", f"DESTDIR={tmp_path}")
    assert re.search(r"^\s*disable\s*=\s*yes$", entry.read_text(), re.MULTILINE), "it is shipped disabled"
    entry.write_text("edited")
    make(tree, "install", f"DESTDIR={tmp_path}")
    assert entry.read_text() == "edited"
    assert "was edited and stays" in make(tree, "uninstall", f"DESTDIR={tmp_path}").stdout
    assert files(tmp_path) == {"/etc/xinetd.d/ws-echo"} and entry.read_text() == "edited"


def test_nothing_is_installed_by_the_name_of_standard_input(tree):
    """/dev/stdin does not exist in every chroot."""
    commands = make(tree, "--dry-run", "install").stdout
    assert "/ws-echo.socket" in commands and "/dev/std" not in commands


def test_a_shared_nettle_is_used_by_its_public_names_only(tree):
    readelf = require("readelf", "binutils")
    symbols = subprocess.run([readelf, "--dyn-syms", "-dW", built(tree, "ws-echo", **QUICK, NETTLE="-lnettle")],
                             capture_output=True, text=True, check=True).stdout
    assert re.search(r"NEEDED.*libnettle\.so", symbols) and " nettle_sha1_" in symbols
    assert "_nettle_sha1_compress" not in symbols


def test_zlib_is_linked_in_unless_the_builder_says_otherwise(tree):
    readelf = require("readelf", "binutils")

    def needed(**variables):
        dynamic = subprocess.run([readelf, "-dW", built(tree, "ws-echo", **QUICK, **variables)], capture_output=True,
                                 text=True, check=True).stdout
        return re.findall(r"NEEDED.*\[(lib(?:z|nettle)\.so)", dynamic)

    archive = subprocess.run(["cc", "-print-file-name=libz.a"], capture_output=True, text=True, check=True).stdout.strip()
    require_file(archive, "zlib1g-dev")
    assert needed() == []
    assert needed(ZLIB="-lz") == ["libz.so"]


def committed(tree):
    """The tree as a repository with a single commit."""
    git = require("git", "git")
    shutil.copy2(project.TOP / ".gitignore", tree)
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@localhost", "GIT_AUTHOR_DATE": "1000000000 +0000"}
    who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
    for command in [["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "all"]]:
        subprocess.run([git, *command], cwd=tree, check=True, timeout=project.LIMIT,
                       env={**environment(), **who, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"})
    return tree


def test_the_archive_of_the_source_has_what_is_under_version_control_and_always_the_same_bytes(tree, tmp_path):
    committed(tree)
    again = tmp_path / "again"
    shutil.copytree(tree, again)  # with other modification times
    archives = []
    for copy, umask in [(tree, 0o022), (again, 0o077)]:
        old = os.umask(umask)
        try:
            make(copy, "dist")
        finally:
            os.umask(old)
        (archive,) = (copy / "build").glob("ws-echo-*.tar.gz")
        archives.append(archive.read_bytes())
    framing.same(*archives)
    assert archives[0][3:8] == bytes(5), "no name and no time of a file stands in front"
    subprocess.run(["tar", "--extract", "--file", archive], cwd=tmp_path, check=True, timeout=project.LIMIT)
    source = tmp_path / archive.name.removesuffix(".tar.gz")
    assert files(source) == {name for name in files(tree) if not re.match("/(.git|build)/|/ws-echo(-static)?$", name)}
    program = built(source, "ws-echo", **QUICK)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"ws-echo {source.name.removeprefix('ws-echo-')}\n"


def test_a_new_version_is_built_anew_and_nothing_else_is(tree):
    program = tree / "ws-echo"
    before = program.stat().st_mtime_ns
    make(tree)
    assert program.stat().st_mtime_ns == before
    (tree / "VERSION").write_text("7.1+git20010909014643.0123456789ab\n")
    make(tree, "CFLAGS=-O0")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == "ws-echo 7.1+git20010909014643.0123456789ab\n"
    before = program.stat().st_mtime_ns
    make(tree, "CFLAGS=-O0")
    assert program.stat().st_mtime_ns == before


def test_whatever_a_test_needs_is_installed_by_make_deps():
    groups = dict(re.findall(r"^(\w+)='(.*?)'$", (project.TOP / "packaging/install-deps").read_text(), re.M | re.S))
    for folder, installed in [*((folder, "build static check") for folder in (*project.OF_THE_PROGRAM, *project.ONCE, "lib")),
                              ("long", "build static check long"), ("system", "build static check system"),
                              ("elsewhere", "build static check elsewhere")]:
        packages = {package for group in installed.split() for package in groups[group].split()} | {"bash", "dpkg", "make"}
        for file in (project.TESTS / folder).glob("*.py"):
            needed = re.findall(r'\brequire(?:_module|_file)?\([^()]*?,\s*"([a-z0-9+.-]+)"\)', file.read_text())
            browser = file.name == "browsers.py"  # modules that tests/system imports
            assert browser or set(needed) <= packages, f"{file.name}: {set(needed) - packages}"


def test_installed_packages_are_not_installed_again(tree):
    """Nor does make deps use the network, which this test makes unusable."""
    require("dpkg-query", "dpkg")
    offline = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*offline, "true"], capture_output=True, check=False).returncode:
        missing("the right to make a network namespace", "util-linux, and allow user namespaces")
    said = subprocess.run([*offline, "packaging/install-deps", "build"], cwd=tree, capture_output=True, text=True,
                          check=True, timeout=project.LIMIT)
    assert said.stdout + said.stderr == ""


def test_without_root_and_sudo_it_names_the_packages_and_the_command():
    require("dpkg-query", "dpkg")
    script = project.TOP / "packaging/install-deps"
    groups = dict(re.findall(r"^(\w+)='(.*?)'$", script.read_text(), re.M | re.S))
    packages = " ".join(sorted({*groups["build"].split(), *groups["static"].split()}))
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for command in ["apt-get", "dpkg-query", "grep", "id", "realpath", "sh", "sort"]:
            os.symlink(shutil.which(command, path="/usr/bin:/bin"), f"{folder}/{command}")
        shutil.copy(script, folder)
        (pathlib.Path(folder) / "status").touch()  # of dpkg: no package is installed
        result = subprocess.run([f"{folder}/install-deps", "build", "static"], capture_output=True, text=True, check=False,
                                env={"PATH": folder, "DPKG_ADMINDIR": folder}, preexec_fn=launch.become_nobody,
                                timeout=project.LIMIT)
        assert (result.returncode, result.stdout, result.stderr.splitlines()) == (77, "", [
            f"install-deps: to be installed: {packages}",
            f"install-deps: this needs root, and sudo is missing; run as root: {folder}/install-deps build static"])


LIBRARIES = {"nettle": "nettle-dev", "zlib": "zlib1g-dev", "libsystemd": "libsystemd-dev"}
PYTEST = {"pytest": "python3-pytest", "xdist": "python3-pytest-xdist"}


@pytest.mark.parametrize("target, variables, absent", [
    ("ws-echo", ["PKG_CONFIG=false"], LIBRARIES),
    ("ws-echo", ["PKG_CONFIG=absent"], {"absent": "pkgconf", **LIBRARIES}),
    ("ws-echo", ["CC=absent -m64", "PKG_CONFIG=none"], {"absent": "gcc", "none": "pkgconf", **LIBRARIES}),
    ("ws-echo-static", ["STATIC_CC=absent"], {"absent": "musl-tools"}),
    ("check", ["PKG_CONFIG=false", "STATIC_CC=absent", "PYTHON=none"], {**LIBRARIES, "absent": "musl-tools", **PYTEST}),
])
def test_all_that_is_missing_is_named_with_its_packages_in_one_line(tree, target, variables, absent):
    before = files(tree)
    result = make(tree, "--assume-new=ws-echo.c", target, *variables, check=False)
    assert result.returncode != 0
    assert result.stderr.splitlines()[:-1] == [
        f"missing: {', '.join(absent)}; install {' '.join(absent.values())}, or run 'make deps'"], result
    assert files(tree) == before, "it is noticed before anything is made"


def test_make_run_names_the_launcher_together_with_what_the_build_needs(tree, tmp_path):
    for command in ["sh", "sed", "awk", "cc"]:
        (tmp_path / command).symlink_to(shutil.which(command))
    result = subprocess.run([shutil.which("make"), "run"], cwd=tree, env={**environment(), "PATH": str(tmp_path)},
                            capture_output=True, text=True, check=False, timeout=project.LIMIT)
    assert result.stderr.splitlines()[0] == (
        "missing: pkg-config, nettle, zlib, libsystemd, systemd-socket-activate; install pkgconf nettle-dev zlib1g-dev "
        "libsystemd-dev systemd, or run 'make deps'"), result


@pytest.mark.parametrize("target, absent, packages", [
    ("rpm", ["rpmbuild"], "rpm elfutils"), ("rpm", ["eu-strip"], "rpm elfutils"),
    ("container", ["buildah", "podman", "docker", "musl-gcc", "dpkg-source"], "buildah musl-tools dpkg-dev"),
])
def test_what_a_package_or_an_image_needs_is_named_by_its_packages_in_one_line(tree, tmp_path, target, absent, packages):
    for folder in "/usr/bin", "/bin":
        for command in pathlib.Path(folder).iterdir():
            if command.name not in absent and not (tmp_path / command.name).is_symlink():
                (tmp_path / command.name).symlink_to(command)
    result = subprocess.run([tree / f"packaging/make-{target}"], env={**environment(), "PATH": str(tmp_path)},
                            capture_output=True, text=True, check=False, timeout=project.LIMIT)
    assert result.returncode != 0
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"make {target}: ") and set(packages.split()) <= set(re.findall(r"[a-z0-9-]+", line)), line
    assert "deps-packages" not in line, "which makes two Debians"


def fill_in(tree, address, home, check=True):
    """Writes who publishes it, and has that put into the files of the packages; returns what that says."""
    (tree / "packaging/publisher").write_text(f"# The publisher\naddress={address}\nhome={home}\n")
    results = [subprocess.run([tree / "packaging/fill-in", folder], cwd="/", capture_output=True, text=True, check=check,
                              timeout=project.LIMIT) for folder in (tree / "packaging/debian", tree / "packaging")]
    return "".join(result.stdout + result.stderr for result in results)


def published(tree):
    """The files of the packages that name who publishes them."""
    names = ("debian/control", "debian/changelog", "debian/source/lintian-overrides", "ws-echo.spec",
             "debian/upstream/metadata")
    return [(tree / "packaging" / name).read_text() for name in names]


@pytest.mark.parametrize("address", ["Jane Doe <jane+echo@example.org>", "Doe & Sons | Doe \\ Doe <doe@example.org>"])
@pytest.mark.parametrize("home", ["https://example.org/ws-echo", "http://example.org/?a=1&b=2|3"])
def test_packages_name_who_publishes_them(tree, address, home):
    assert fill_in(tree, address, home) == ""
    control, changelog, overrides, spec, metadata = published(tree)
    assert f"\nMaintainer: {address}\nHomepage: {home}\n" in control
    assert {line.partition("  ")[0] for line in re.findall("^ -- .*$", changelog, re.M)} == {f" -- {address}"}
    assert "homepage" not in overrides and "bug-tracking" not in overrides and "watch-file" in overrides
    mail = address.rpartition("<")[2].rstrip(">")
    assert metadata.splitlines()[-2:] == [f"Bug-Submit: mailto:{mail}", f"Documentation: {home}"]
    assert f"\nURL:            {home}\n" in spec
    assert all(f" {address} - " in entry for entry in re.findall(r"^\* \w{3} .*$", spec, re.M))


def test_where_nobody_is_named_packages_have_an_address_that_nobody_takes_for_a_real_one(tree):
    before = published(tree)
    assert fill_in(tree, "", "") == "" and published(tree) == before
    addresses = [address for text in before for address in re.findall("<(.*@.*)>", text)]
    assert len(addresses) > 4 and {address.rpartition(".")[2] for address in addresses} == {"invalid"}, "RFC 2606"
    assert "Homepage" not in before[0] and "\nURL:" not in before[3]


@pytest.mark.parametrize("address, home", [
    ("jane@example.org", ""), ("Jane", ""), ("<jane@example.org>", ""), ("", "example.org")])
def test_who_publishes_is_named_in_a_form_that_packages_take(tree, address, home):
    before = published(tree)
    assert "must be like" in fill_in(tree, address, home, check=False)
    assert published(tree) == before


def test_the_static_flavour_needs_no_library(tree):
    readelf = require("readelf", "binutils")
    make(tree, "static")
    headers = subprocess.run([readelf, "-lW", tree / "ws-echo-static"], capture_output=True, text=True, check=True)
    assert "INTERP" not in headers.stdout and "DYN " in headers.stdout, "position-independent, and static"


@pytest.mark.parametrize("target", ["ws-echo", "ws-echo-static"])
def test_the_connection_is_the_last_object_in_memory(tree, target):
    """Its first members then share a page with the other variables, which saves each process a page."""
    make(tree, target)
    symbols = subprocess.run([require("nm", "binutils"), "--numeric-sort", tree / target], capture_output=True, text=True,
                             check=True).stdout
    assert re.findall(r" [bd] (\w+)$", symbols, re.MULTILINE | re.IGNORECASE)[-2:] == ["connection", "_end"]


def run(tree, *arguments):
    """The lines of a `make run` that fails, on standard output and on standard error, without make's own last line."""
    result = make(tree, "run", *arguments, check=False)
    assert result.returncode != 0, result
    *said, last = result.stderr.splitlines()
    assert last.startswith("make: ***"), result
    return result.stdout.splitlines(), said


def announced(port, address, host):
    """The lines that `make run` prints once it listens."""
    return [f"Listening on port {port} of {address}, until Ctrl-C.",
            f'Open http://{host}:{port}/, press F12, and paste new WebSocket("ws://{host}:{port}/socket")'
            " into the console."]


def test_make_run_serves_the_tutorials_example_over_ipv4_and_ipv6_until_ctrl_c(tree):
    require("systemd-socket-activate", "systemd")
    port = free_port()
    with Terminal(["make", "run", f"PORT={port}"], cwd=tree, env=environment()) as terminal:
        # When this line appears, it listens.
        terminal.until(b"console.\n")
        assert launch.without_the_notice(terminal.shown).decode().splitlines() == announced(port, "all addresses", "localhost")
        peers = [launch.Peer(socket.create_connection((address, port))) for address in ["127.0.0.1"] + ["::1"] * IPV6]
        for peer in peers:
            peer.send(heads.head("User-Agent: a\\cb", key="PdspSkfns9qGxGTNajm+Tw=="))
            expected = heads.switching("eO+uwdEEfbO7q68DAzeDjM4Gs8c=")
            assert peer.receive(len(expected)) == expected
            peer.send(framing.text("Hello world"))
            assert peer.frame() == (True, framing.TEXT, b"server: Hello world")
        terminal.type(CTRL_C)
        for peer in peers:
            assert framing.close_code(peer.answer_close()) == 1001
            peer.close()
        # The record of each connection is still shown, and make reports no error.
        assert terminal.finish() == -signal.SIGINT
        assert b"***" not in terminal.shown, terminal.shown
        records = re.findall(r"^\d\d:\d\d:\d\d ws-echo\[\d+\]: peer=.* close=1001 .*$", terminal.shown.decode(), re.M)
        assert len(records) == len(peers), terminal.shown
        assert [launch.record(record[9:])["agent"] for record in records] == [r'a\\cb'] * len(peers)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "nothing listens after it"


@pytest.mark.parametrize("address, host, other", [
    ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
    ("0.0.0.0", "localhost", None),
    pytest.param("::1", "[::1]", "127.0.0.1", marks=pytest.mark.skipif(not IPV6, reason="there is no IPv6 here")),
])
def test_make_run_listens_on_the_address_that_is_given_and_says_so(tree, address, host, other):
    """PORT and LISTEN may also come from the environment."""
    require("systemd-socket-activate", "systemd")
    port = free_port()
    given = {**environment(), "PORT": str(port), "LISTEN": address}
    with Terminal(["make", "run"], cwd=tree, env=given) as terminal:
        terminal.until(b"console.\n")
        assert launch.without_the_notice(terminal.shown).decode().splitlines() == announced(port, address, host)
        launch.Peer(socket.create_connection((address, port))).open().close()
        if other:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((other, port))
        terminal.type(CTRL_C)
        terminal.finish()


@pytest.mark.parametrize("name, value, target, expected", [
    ("ARGS", "--path=/echo", "run", "packaging/serve '8888' '' --path=/echo"),
    ("TIME", "7", "fuzz", "tests/fuzz/run 7\n"),
    ("ONLY", "arm64", "check-elsewhere", "-k 'arm64'"),
])
def test_a_variable_may_come_from_the_environment(name, value, target, expected):
    said = subprocess.run(["make", "--dry-run", target], cwd=project.TOP, env={**environment(), name: value}, text=True,
                          capture_output=True, check=True, timeout=project.LIMIT).stdout
    assert expected in said, said


def test_make_run_listens_on_port_8888_of_all_addresses_where_nothing_else_is_said(tree):
    assert "packaging/serve '8888' ''" in make(tree, "--dry-run", "run").stdout


@pytest.mark.parametrize("address", [None, "127.0.0.1"])
def test_make_run_says_in_one_line_that_its_port_is_taken_and_how_to_choose_another(tree, address):
    require("systemd-socket-activate", "systemd")
    with socket.create_server((address or "", 0), family=socket.AF_INET6 if IPV6 and not address else socket.AF_INET) as other:
        port = other.getsockname()[1]
        said, complaints = run(tree, f"PORT={port}", *([f"LISTEN={address}"] if address else []))
        complaints = launch.without_the_notice("".join(f"{line}\n" for line in complaints).encode())
        assert (said, complaints.decode()) == (
            [], f"make run: cannot listen on port {port} of {address or 'all addresses'}: Address already in use; "
                "set PORT= to another port, or LISTEN= to another IP address\n")


@pytest.mark.parametrize("port", ["127.0.0.1:8888", "", "http"])
def test_make_run_refuses_a_port_that_is_no_number(tree, port):
    require("systemd-socket-activate", "systemd")
    assert run(tree, f"PORT={port}") == ([], [f"make run: PORT={port} is not a number; use LISTEN= for the address"])


def test_make_run_judges_the_options_before_it_listens(tree):
    require("systemd-socket-activate", "systemd")
    said, (complaint,) = run(tree, f"PORT={free_port()}", "ARGS=--path=socket")
    assert said == [] and "--path=socket" in complaint


def test_make_run_says_what_is_wrong_where_both_its_outputs_are_one_pipe(tree):
    """ws-echo then takes standard error for the connection and logs elsewhere, but --check logs there all the same."""
    require("systemd-socket-activate", "systemd")
    result = subprocess.run(["make", "run", f"PORT={free_port()}", "ARGS=--path=socket"], cwd=tree, env=environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                            timeout=project.LIMIT)
    assert result.returncode != 0 and "--path=socket: it must be" in result.stdout, result


def test_make_run_does_not_promise_a_path_that_is_not_served(tree):
    require("systemd-socket-activate", "systemd")
    port = free_port()
    with Terminal(["make", "run", f"PORT={port}", "ARGS=--path=/echo"], cwd=tree, env=environment()) as terminal:
        terminal.until(f"Open http://localhost:{port}/.\n".encode())
        terminal.type(CTRL_C)
        terminal.finish()
