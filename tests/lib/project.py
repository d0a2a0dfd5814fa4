# SPDX-License-Identifier: MIT
"""The folders of the project, its source, and the limit of every wait."""

import os
import pathlib
import shlex
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
TESTS = TOP / "tests"
PROGRAMS = {"ordinary": TOP / "ws-echo", "static": TOP / "ws-echo-static"}
ONE_SOURCE = "build/ws-echo.c"  # includes all sources of the program; the Makefile makes it

# Seconds until a test gives up waiting for an event; no test measures it. Mutants that hang are given up sooner.
LIMIT = int(os.environ.get("WAIT_LIMIT", "60"))


def files_of_the_program():
    """ws-echo.c, and the rooms in src/ with their headers."""
    return [TOP / "ws-echo.c", *sorted(TOP.glob("src/*.[ch]"))]


def source():
    """The text of the whole program."""
    return "".join(path.read_text(encoding="utf-8") for path in files_of_the_program())


def compiler_flags(*variables):
    """The flags with which make compiles the program if it is given these variables."""
    command = ["make", "-s", "--no-print-directory", "--eval=print-flags: ; @: $(info $(OURS))", "print-flags", *variables]
    made = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=LIMIT, check=True)
    return shlex.split(made.stdout)


# `make check` has these folders of tests/. Those of OF_THE_PROGRAM start it; the others concern its source, the Makefile or a
# document. The two programs differ in the C library and in libsystemd, so tests of the process run with each of them. The
# others run with the ordinary one; tests/long/test_builds.py runs them with the static one.
OF_THE_PROGRAM, ONCE = ("protocol", "process", "clients"), ("documents", "unit")
WITH_EACH_PROGRAM = ("process",)

# Of tests/system, what needs root but no system: it runs with each program too.
AS_ROOT = ("system/test_channels.py", "system/test_fault_logs.py", "system/test_users.py")


def tests_in(folders):
    """The files of tests in folders, by their paths below tests/."""
    return [f"{folder}/{path.name}" for folder in folders for path in sorted((TESTS / folder).glob("test_*.py"))]
