"""Runs the tests in C, which include the program to call its functions: unit.c, fuzz.c and connection.c."""

import os
import re
import subprocess

import pytest
import wire
from parts import require

BUILD = wire.TOP / "build"
SANITIZED = ["-O1", "-U_FORTIFY_SOURCE", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FORMATTER = 14  # Debian 12's
CORPORA = wire.TOP / "tests" / "corpora"  # a folder for each target of a fuzzer


def targets_of(source):
    """The targets of a fuzzer."""
    return sorted(folder.name for folder in CORPORA.iterdir() if (folder.name == "connection") == (source != "fuzz.c"))


def compile_test(compiler, source, name, *more):
    """Compiles a file of this folder into build/ and returns the program."""
    program = BUILD / name
    subprocess.run(["make", "-s", wire.UNIT], cwd=wire.TOP, timeout=wire.LIMIT, check=True)
    command = [compiler, *wire.compiler_flags(), *more, "-g", "-pie", "-o", program, f"tests/{source}", "-lnettle", "-lz"]
    made = subprocess.run(command, cwd=wire.TOP, capture_output=True, text=True, timeout=2 * wire.LIMIT,
                          check=False)
    if made.returncode and "libclang_rt" in made.stderr:
        require("libclang_rt", "libclang-rt-dev")  # a library that the sanitizers need
    assert made.returncode == 0 and not made.stderr, made.stderr
    return program


def passes(program, *arguments, **variables):
    """Runs a test program; asserts success without errors, and returns its output."""
    result = subprocess.run([program, *arguments], cwd=BUILD, env={**os.environ, **variables}, capture_output=True,
                            timeout=2 * wire.LIMIT, check=False)
    said = (result.stdout + result.stderr).decode(errors="replace")
    assert result.returncode == 0, said
    return said


@pytest.mark.slow("some functions are tested with all arguments there are")
def test_unit():
    assert passes(compile_test("cc", "unit.c", "unit", "-O2")).endswith(" passed, 0 failed\n")


@pytest.mark.slow("some functions are tested with all arguments there are")
def test_unit_with_sanitizers():
    clang = require("clang", "clang")
    program = compile_test(clang, "unit.c", "unit-sanitized", *SANITIZED)
    assert passes(program).endswith(" passed, 0 failed\n")


@pytest.mark.slow("every input is tried with many changes")
@pytest.mark.parametrize("source", ["fuzz.c", "connection.c"])
def test_inputs_of_the_corpora_and_changed_copies_hold(source):
    program = compile_test("cc", source, f"{source[:-2]}-plain", "-O1", "-DSTANDALONE")
    for target in targets_of(source):
        count = len(list((CORPORA / target).iterdir()))
        assert passes(program, CORPORA / target, TARGET=target, CHANGES="30") == f"{count} inputs\n"


@pytest.mark.slow("clang compiles the fuzzers with sanitizers")
@pytest.mark.parametrize("source", ["fuzz.c", "connection.c"])
def test_inputs_of_the_corpora_hold_under_sanitizers(source, tmp_path):
    """`make fuzz` searches for new inputs."""
    program = compile_test(require("clang", "clang"), source, source[:-2], *SANITIZED, "-fsanitize=fuzzer")
    for target in targets_of(source):
        said = passes(program, "-seed=1", "-runs=2000", tmp_path, CORPORA / target, TARGET=target)
        assert re.search(r"^Done \d+ runs", said, re.M), said


def test_clang_compiles_it_without_libsystemd_and_without_a_warning(tmp_path):
    """test_build.py cannot build this with clang, because musl-gcc uses gcc."""
    path = require("clang", "clang")
    subprocess.run(["make", "-s", wire.UNIT], cwd=wire.TOP, timeout=wire.LIMIT, check=True)
    made = subprocess.run([path, *wire.compiler_flags(), "-Werror", "-O2", "-DWITHOUT_LIBSYSTEMD", "-c", "-o", tmp_path / "ws-echo.o",
                           wire.UNIT], cwd=wire.TOP, capture_output=True, text=True, timeout=2 * wire.LIMIT,
                          check=False)
    assert made.returncode == 0 and not made.stderr, made.stderr


@pytest.mark.parametrize("source", [wire.UNIT, "tests/unit.c", "tests/fuzz.c", "tests/connection.c",
                                    "tests/sandbox.c"])
def test_no_string_fills_its_array_without_the_byte_that_ends_it(source):
    """gcc 15 and clang 21 warn about this by default, older versions of gcc with -Wc++-compat."""
    subprocess.run(["make", "-s", wire.UNIT], cwd=wire.TOP, timeout=wire.LIMIT, check=True)
    made = subprocess.run([require("gcc", "gcc"), *wire.compiler_flags(), "-Wc++-compat", "-fsyntax-only", source], cwd=wire.TOP,
                          capture_output=True, text=True, timeout=wire.LIMIT, check=False)
    assert not re.findall(r".*initializer-string.*", made.stderr), made.stderr


@pytest.mark.parametrize("source", [str(path.relative_to(wire.TOP)) for path in [
    *wire.files_of_the_program(), *sorted((wire.TOP / "tests").rglob("*.[ch]"))]])
def test_it_is_formatted(source):
    """Checked with one version of clang-format, because versions differ."""
    formatter = require("clang-format", "clang-format")
    version = subprocess.run([formatter, "--version"], capture_output=True, text=True, check=True).stdout
    if f" version {FORMATTER}." not in version:
        pytest.skip(f"clang-format {FORMATTER} judges the format; here is {version.strip()}")
    result = subprocess.run([formatter, "--dry-run", "-Werror", source], cwd=wire.TOP, capture_output=True, text=True,
                            timeout=wire.LIMIT, check=False)
    assert result.returncode == 0, result.stderr
