# SPDX-License-Identifier: MIT
"""Other architectures: cross-compiled, and tested in an emulator with the libraries of a foreign root."""

import os
import re
import shlex
import subprocess
import sys

import project
import pytest
import roots
from corpora import targets_of, unpacked
from require import require
from tests_in_c import FUZZERS, ROOMS

LIBRARIES = ["--variant=extract", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
             "--include=libc6-dev,libnettle8,nettle-dev,libsystemd-dev,zlib1g-dev"]
# By Debian's name: the compiler's name, the emulator's name, and a Debian release that mirrors have for it.
ARCHITECTURES = {
    "arm64": ("aarch64-linux-gnu", "aarch64", "bookworm"),
    "armhf": ("arm-linux-gnueabihf", "arm", "bookworm"),
    "ppc64el": ("powerpc64le-linux-gnu", "ppc64le", "bookworm"),
    "riscv64": ("riscv64-linux-gnu", "riscv64", "sid"),
    "s390x": ("s390x-linux-gnu", "s390x", "bookworm"),
}

# Test files and tests that make no sense in an emulator, and why.
LEFT_OUT = {
    "process/test_signal_races.py": "a library would be preloaded into the emulator",
    "process/test_instruction_counts.py": "valgrind would count the emulator's instructions",
    "process/test_system_calls.py": "strace would count the emulator's calls",
    **{f"protocol/test_compression.py::{test}": "would measure the emulator's memory and calls" for test in [
        "test_a_bomb_costs_no_more_than_the_limit",
        "test_the_largest_message_fits_the_memory_of_the_shipped_unit_also_where_it_does_not_compress",
        "test_the_largest_message_fits_the_address_space_of_the_shipped_entry_for_xinetd",
        "test_memory_is_taken_at_the_first_compressed_message_and_not_at_the_handshake",
        "test_without_context_takeover_a_quiet_connection_gives_back_what_compression_took",
        "test_a_quiet_connection_gives_back_all_but_the_windows_that_are_taken_over",
        "test_compressed_messages_cost_one_read_and_one_write_each",
    ]},
    "protocol/test_compression.py::test_a_reply_is_as_short_as_zlib_makes_it_of_the_whole_message": "Python's zlib may differ",
    **{f"process/test_faults.py::{test}": "strace would count the emulator's calls" for test in [
        "test_it_does_not_serve_without_its_protections",
        "test_a_connection_that_cannot_be_made_to_block_is_a_local_fault",
    ]},
    "process/test_fault_classes.py": "faults would be injected into the emulator's calls",
    **{f"protocol/test_lab.py::{test}": "strace would count the emulator's calls" for test in [
        "test_all_that_one_read_brought_is_answered_together_and_the_101_before_it",
        "test_each_write_takes_so_many_bytes_at_most_with_pauses_between",
        "test_after_1000_pauses_writes_are_normal_again_so_that_a_large_message_ends",
        "test_a_lab_adds_no_system_call_to_a_connection_without_words",
        "test_only_delay_latency_stall_and_slice_sleep",
    ]},
    "process/test_record.py::test_it_serves_although_standard_error_is_closed": "it uses the foreign root's /dev/null",
    "process/test_texts.py": "the program would be called by the emulator's name",
    "system/test_fault_logs.py": "faults would be injected into the emulator's calls",
    "system/test_channels.py::test_where_there_is_no_libsystemd_standard_error_gets_the_record": "the foreign root has it",
}
# Tests in C that fail on an architecture, and why.
HUGE_PAGES = {"the_first_four_mebibytes_at_most_are_small_pages_and_what_follows_huge_ones": "the emulator has none"}
FAILING = dict.fromkeys(ARCHITECTURES, HUGE_PAGES) | {
    "ppc64el": {"a_host_or_a_target_is_not_read_beyond_its_end": "strncasecmp reads on to the next 16 bytes",
                **HUGE_PAGES},
}


class Foreign:
    """The programs of an architecture, and how to start them."""

    def __init__(self, name, root):
        self.machine, emulator, _ = ARCHITECTURES[name]
        self.name, self.root, self.tree = name, root, root / roots.TREE
        self.emulator = require(f"qemu-{emulator}", "qemu-user")
        compiler = require(f"{self.machine}-gcc", f"gcc-{self.machine}")
        self.compiler = [compiler, f"--sysroot={root}"]

    def command(self, program):
        """The command that starts a program in the emulator, with the same argv[0]."""
        return [self.emulator, "-L", str(self.root), str(program)]

    def make(self, *arguments):
        """Runs `make` in the tree, with this compiler and its libraries; returns its output."""
        folders = {"PKG_CONFIG_LIBDIR": str(self.root / "usr/lib" / self.machine / "pkgconfig"),
                   "PKG_CONFIG_SYSROOT_DIR": str(self.root)}
        result = subprocess.run(["make", f"CC={shlex.join(self.compiler)}", *arguments], cwd=self.tree, text=True,
                                env={**roots.environment(), **folders}, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=project.LIMIT, check=False)
        assert result.returncode == 0 and "warning:" not in result.stdout, result.stdout
        return result.stdout

    def compile(self, *command):
        """Runs a command that compiles a program of tests/; returns its output."""
        self.make(project.ONE_SOURCE)
        made = subprocess.run(command, cwd=self.tree, text=True, capture_output=True, timeout=roots.TESTING, check=False)
        assert made.returncode == 0 and not made.stderr, made.stderr
        return made.stdout

    def compiled_room(self, room):
        """Compiles the tests of a room."""
        return self.compile("tests/unit/build.py", "build/unit", room, *self.compiler, *project.compiler_flags(), "-O2").strip()

    def compiled_fuzzer(self, fuzzer):
        program = self.tree / "build" / fuzzer
        self.compile(*self.compiler, *project.compiler_flags(), "-O2", "-pie", "-DSTANDALONE", "-o", program,
                     f"tests/fuzz/{fuzzer}.c", "-lnettle", "-lz")
        return program

    def run(self, program, *arguments, **environment):
        """Runs one of these programs; asserts that it reports no error, and returns its output."""
        result = subprocess.run([*self.command(program), *arguments], text=True, capture_output=True, timeout=roots.TESTING,
                                env={**os.environ, **environment}, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr


@pytest.fixture(name="foreign", scope="module", params=[
    pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ARCHITECTURES])
def foreign_root(request):
    *_, suite = ARCHITECTURES[request.param]
    with roots.fresh(suite, f"--architectures={request.param}", *LIBRARIES) as root:
        for link in root.glob("lib64/*"):
            if os.path.isabs(target := os.readlink(link)):  # the linker would follow it out of the root
                link.unlink()
                link.symlink_to(os.path.relpath(f"{root}{target}", root / "usr/lib64"))
        yield Foreign(request.param, root)


def test_the_unit_tests_pass(foreign):
    left_out = set(FAILING[foreign.name])
    for room in ROOMS:
        names = set(re.findall(r"^TEST\((\w+)\)", (roots.TESTS / f"unit/test_{room}.c").read_text(), re.M))
        said = foreign.run(foreign.compiled_room(room), *sorted(names - left_out))
        assert said.endswith(" passed, 0 failed\n"), said
        print(foreign.name, room, said.splitlines()[-1])
        left_out -= names
    assert not left_out


@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_the_inputs_of_the_corpora_hold(foreign, fuzzer, tmp_path):
    program = foreign.compiled_fuzzer(fuzzer)
    for target in targets_of(fuzzer):
        count = unpacked(target, tmp_path / target)
        assert foreign.run(program, tmp_path / target, TARGET=target) == f"{count} inputs\n"


def test_the_answers_of_the_program_are_the_same(foreign):
    """Runs the tests that start the program; they treat an emulated program as one without a filter of system calls."""
    assert "ws-echo" in foreign.make("ws-echo")
    # -p: otherwise the shell itself gives up privileges if real and effective user differ; the program must do that.
    program = foreign.root / "run-ws-echo"
    program.write_text(f'#!/bin/sh -p\nexec {shlex.join([foreign.emulator, "-0"])} "$0" '
                       f'{shlex.join(foreign.command(foreign.tree / "ws-echo")[1:])} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    files = sorted({*project.tests_in(project.OF_THE_PROGRAM), *project.AS_ROOT} - set(LEFT_OUT))
    with roots.alone():
        result = subprocess.run([sys.executable, "-m", "pytest", "-q", f"--numprocesses={2 * os.cpu_count()}",
                                 *[f"tests/{file}" for file in files],
                                 *[f"--deselect=tests/{test}" for test in LEFT_OUT if "::" in test]],
                                cwd=project.TOP, env={**os.environ, "CI": "true", "WS_ECHO": str(program)}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=roots.TESTING, check=False)
    counted = re.search(r"^(\d+) passed(, \d+ skipped)? in .*$", result.stdout, re.M)
    assert result.returncode == 0 and int(counted[1]) > 1000, result.stdout
    print(foreign.name, counted[0])
