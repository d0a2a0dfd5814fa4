# SPDX-License-Identifier: MIT
"""Builds of the program in a copy of the tree."""

import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess

import framing
import heads
import project
import pytest
from require import require

ADDRESSES = pathlib.Path("/proc/net/if_inet6")
IPV6 = ADDRESSES.exists() and "1".zfill(32) in ADDRESSES.read_text()  # the address ::1

# Variables that a builder may set, by purpose.
BUILDERS = {
    "as-shipped": {},
    "for-debugging": {"CPPFLAGS": "-DDEBUG"},
    "not-optimised": {"CFLAGS": "-O0"},
    "without-flags": {"CFLAGS": ""},
    "small": {"CFLAGS": "-Os"},
    "fast": {"CFLAGS": "-O3 -march=native"},
    "optimised-as-a-whole": {"CFLAGS": "-O3 -flto"},
    "fortified-by-CPPFLAGS": {"CPPFLAGS": "-D_FORTIFY_SOURCE=3"},
    "fortified-by-CFLAGS": {"CFLAGS": "-O2 -D_FORTIFY_SOURCE=3"},
    "fortified-by-the-compiler": {"CC": "{} -D_FORTIFY_SOURCE=3"},
    "not-fortified": {"CPPFLAGS": "-U_FORTIFY_SOURCE"},
}


@pytest.fixture
def tree(tmp_path_factory):
    """A copy of the tree, with the programs that are already built and up to date."""
    copy = tmp_path_factory.mktemp("tree") / "ws-echo"
    shutil.copytree(project.TOP, copy, ignore=shutil.ignore_patterns(".*", "build", "tests", "__pycache__"))
    (copy / "build").mkdir()
    for name in "page.h", "ws-echo.c", "version":
        shutil.copy2(project.TOP / "build" / name, copy / "build")
    shutil.copy2(project.TOP / "build/version", copy / "VERSION")  # as in a source archive
    make(copy, "ws-echo")
    return copy


def environment():
    """The environment without variables of an outer make or of a builder's shell."""
    handed_down = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CC", "CPPFLAGS", "CFLAGS", "LDFLAGS", "PORT", "LISTEN", "ARGS",
                   "TIME", "ONLY"}
    return {name: value for name, value in os.environ.items() if name not in handed_down}


def make(tree, *arguments, check=True):
    command = ["make", "--no-print-directory", *arguments]
    with subprocess.Popen(command, cwd=tree, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, start_new_session=True) as process:
        try:
            said = process.communicate(timeout=project.LIMIT)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # with its child processes
            raise
    result = subprocess.CompletedProcess(command, process.returncode, *said)
    assert not check or result.returncode == 0, result
    return result


def built(tree, target, **variables):
    """Builds a program from scratch; asserts that there is no warning and that the program echoes."""
    (tree / target).unlink(missing_ok=True)
    result = make(tree, target, *(f"{name}={value}" for name, value in variables.items()))
    assert result.stderr == "", result.stderr
    answer = subprocess.run([tree / target], input=heads.head() + framing.text("built"), capture_output=True, check=True,
                            timeout=project.LIMIT).stdout
    assert answer == heads.switching() + framing.echo("built")
    return tree / target


def built_by(tree, compiler, builder):
    """The same with a compiler, which has the name of its package, and with the variables of a builder."""
    require(compiler, compiler)
    variables = {"CC": "{}", **builder}
    return built(tree, "ws-echo", **{**variables, "CC": variables["CC"].format(compiler)})


def packagers():
    """The variables that Debian's package builds set."""
    buildflags = require("dpkg-buildflags", "dpkg-dev")
    said = subprocess.run([buildflags, "--export=cmdline"], capture_output=True, check=True, timeout=project.LIMIT,
                          env={**environment(), "DEB_BUILD_MAINT_OPTIONS": "hardening=+all"}, text=True).stdout
    variables = dict(word.split("=", 1) for word in shlex.split(said))
    return {name: variables[name] for name in ("CPPFLAGS", "CFLAGS", "LDFLAGS")}


def free_port():
    """A free port outside the range from which the kernel chooses ports itself."""
    given = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(given - 1 - os.getpid() % (given // 2), 1024, -1):
        with socket.socket(socket.AF_INET6 if IPV6 else socket.AF_INET) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise AssertionError("every port is taken")
