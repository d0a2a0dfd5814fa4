# SPDX-License-Identifier: MIT
"""The tests in C: how those of a room in unit/ and the fuzzers in fuzz/ are compiled and started."""

import functools
import os
import subprocess

import project
from require import require

BUILD = project.TOP / "build"
SANITIZED = ["-g1", "-U_FORTIFY_SOURCE", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ROOMS = sorted(path.stem.removeprefix("test_") for path in project.TESTS.glob("unit/test_*.c"))
FUZZERS = ["functions", "connections"]


@functools.cache
def flags():
    """Makes what the program is compiled from; returns the flags."""
    subprocess.run(["make", "-s", project.ONE_SOURCE], cwd=project.TOP, timeout=project.LIMIT, check=True)
    return project.compiler_flags()


def compile_test(command):
    """Runs the command that compiles a program of tests, which must not complain; returns its output."""
    made = subprocess.run(command, cwd=project.TOP, capture_output=True, text=True, timeout=2 * project.LIMIT, check=False)
    if made.returncode and "libclang_rt" in made.stderr:
        require("libclang_rt", "libclang-rt-dev")  # a library that the sanitizers need
    assert made.returncode == 0 and not made.stderr, made.stderr
    return made.stdout


def compile_room(room, folder, compiler, *more):
    """Compiles the tests of a room in a folder of build/unit/ and returns the program."""
    return compile_test([project.TESTS / "unit/build.py", BUILD / "unit" / folder, room, compiler, *flags(), *more]).strip()


def compile_fuzzer(compiler, fuzzer, name, *more):
    """Compiles a fuzzer into build/ and returns the program."""
    compile_test([compiler, *flags(), *more, "-pie", "-o", BUILD / name, f"tests/fuzz/{fuzzer}.c",
                  "-lnettle", "-lz"])
    return BUILD / name


def passes(program, *arguments, **variables):
    """Runs a test program; asserts success without errors, and returns its output."""
    result = subprocess.run([program, *arguments], cwd=BUILD, env={**os.environ, **variables}, capture_output=True,
                            timeout=2 * project.LIMIT, check=False)
    said = (result.stdout + result.stderr).decode(errors="replace")
    assert result.returncode == 0, said
    return said
