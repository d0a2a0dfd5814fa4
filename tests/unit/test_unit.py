# SPDX-License-Identifier: MIT
"""Runs the tests in C: those of the functions of each room in unit/, and the fuzzers in fuzz/ with their corpora."""

import re
import subprocess

import project
import pytest
from corpora import targets_of, unpacked
from require import require
from tests_in_c import FUZZERS, ROOMS, SANITIZED, compile_fuzzer, compile_room, flags, passes

FORMATTER = 14  # Debian 12's


@pytest.mark.parametrize("room", ROOMS)
def test_the_functions_of_a_room(room):
    program = compile_room(room, "sanitized", require("clang", "clang"), "-O1", *SANITIZED)
    assert passes(program).endswith(" passed, 0 failed\n")


@pytest.mark.slow("every input is tried with many changes")
@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_inputs_of_the_corpora_and_changed_copies_hold(fuzzer, tmp_path):
    program = compile_fuzzer("cc", fuzzer, f"fuzz-{fuzzer}-plain", "-O1", "-DSTANDALONE")
    for target in targets_of(fuzzer):
        count = unpacked(target, tmp_path / target)
        assert passes(program, tmp_path / target, TARGET=target, CHANGES="2") == f"{count} inputs\n"


def test_clang_compiles_it_without_libsystemd_and_without_a_warning():
    """test_build.py cannot build this with clang, because musl-gcc uses gcc."""
    path = require("clang", "clang")
    made = subprocess.run([path, *flags(), "-Werror", "-O2", "-DWITHOUT_LIBSYSTEMD", "-fsyntax-only", project.ONE_SOURCE], cwd=project.TOP, capture_output=True, text=True, timeout=2 * project.LIMIT,
                          check=False)
    assert made.returncode == 0 and not made.stderr, made.stderr


@pytest.mark.parametrize("sources", [project.ONE_SOURCE, "tests/unit/*.c", "tests/fuzz/*.c", "tests/process/sandbox.c"])
def test_no_string_fills_its_array_without_the_byte_that_ends_it(sources):
    """gcc 15 and clang 21 warn about this by default, older versions of gcc with -Wc++-compat."""
    command = [require("gcc", "gcc"), *flags(), "-Wc++-compat", "-fsyntax-only"]
    made = subprocess.run([*command, *project.TOP.glob(sources)], cwd=project.TOP, capture_output=True, text=True,
                          timeout=project.LIMIT, check=False)
    assert made.returncode == 0, made.stderr
    assert not re.findall(r".*initializer-string.*", made.stderr), made.stderr


def test_all_sources_are_formatted():
    """Checked with one version of clang-format, because versions differ."""
    formatter = require("clang-format", "clang-format")
    version = subprocess.run([formatter, "--version"], capture_output=True, text=True, check=True).stdout
    if f" version {FORMATTER}." not in version:
        pytest.skip(f"clang-format {FORMATTER} judges the format; here is {version.strip()}")
    sources = [*project.files_of_the_program(), *project.TESTS.rglob("*.[ch]")]
    result = subprocess.run([formatter, "--dry-run", "-Werror", *sources], cwd=project.TOP, capture_output=True, text=True,
                            timeout=2 * project.LIMIT, check=False)
    assert result.returncode == 0, result.stderr
