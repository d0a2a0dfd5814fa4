"""Runs each test that starts the program with both programs that the Makefile builds: ws-echo and ws-echo-static.

WS_ECHO=PROGRAM tests another program instead, and WS_ECHO_DUMPABLE=PROGRAM names its variant built with -DDUMPABLE,
for tests that trace a process or read its /proc (default: PROGRAM). Slow tests start first, in parallel to the others.
"""

import itertools
import os
import pathlib
import sys

import parts
import pytest
import wire

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE / "system"), str(HERE / "bench")]  # other folders of tests import modules from these
DEFAULT = wire.PROGRAM
PROGRAMS = {"ordinary": wire.TOP / "ws-echo", "static": wire.TOP / "ws-echo-static"}
DUMPABLE = wire.TOP / "build/dumpable"  # the folder of the same programs, built with -DDUMPABLE

# The tests of tests/system that need root but no booted system: they run with both programs too.
AS_ROOT = {"test_channels.py", "test_fault_logs.py", "test_users.py"}

# Tests of the source, the Makefile or a document: these need no second run with the other program.
ONCE = {"test_build.py", "test_completion.py", "test_house.py", "test_instructions.py", "test_manual.py", "test_page.py",
        "test_readme.py", "test_rules.py", "test_unit.py", "test_units.py", "test_versions.py"}

# Tests that use LD_PRELOAD, which needs a dynamic program.
DYNAMIC = {"test_gaps.py"}


def pytest_configure(config):
    config.addinivalue_line("markers", "slow(reason): takes seconds, for this reason")
    config.addinivalue_line("markers", "of_the_filter: needs the filter of system calls")
    config.addinivalue_line("markers", "with_libsystemd: uses the journal, which the static program does not support")
    config.addinivalue_line("markers", "compiles: compiles its own program, so one run is enough")


def is_dynamic(item):
    """Whether a test applies to the dynamic program only."""
    return item.path.name in DYNAMIC or item.get_closest_marker("with_libsystemd")


def pytest_generate_tests(metafunc):
    file = pathlib.Path(metafunc.module.__file__)
    once = file.name in ONCE or metafunc.definition.get_closest_marker("compiles")
    of_the_program = file.parent == HERE or file.name in AS_ROOT
    if of_the_program and not once and "WS_ECHO" not in os.environ:
        programs = ["ordinary"] if is_dynamic(metafunc.definition) else PROGRAMS
        metafunc.parametrize("program", programs, indirect=True, scope="session")


def pytest_collection_modifyitems(config, items):
    """Leaves out the tests of the dynamic program if WS_ECHO names a static one, and puts the slow tests first.

    pytest-xdist first gives each worker a piece of the first quarter of the tests. The order spreads the slow ones of
    each kind evenly over these pieces.
    """
    if DEFAULT.endswith("-static"):
        config.hook.pytest_deselected(items=list(filter(is_dynamic, items)))
        items[:] = itertools.filterfalse(is_dynamic, items)
    slow, fast = [], []
    for item in items:
        (slow if item.get_closest_marker("slow") else fast).append(item)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = list(itertools.chain.from_iterable(slow[worker::workers] for worker in range(workers)))
    between = len(items) // 4 // len(slow) if slow else 0
    items[:] = [*itertools.chain.from_iterable(
        [item, *fast[number * between:(number + 1) * between]] for number, item in enumerate(slow)),
                *fast[len(slow) * between:]]


@pytest.fixture(scope="session", autouse=True)
def program(request):
    """The program that wire starts: the ordinary one unless the test is parametrized."""
    wire.PROGRAM = DEFAULT
    if hasattr(request, "param"):
        path = PROGRAMS[request.param]
        parts.require_file(path, f"make ({path.name})")
        wire.PROGRAM = str(path)
    return wire.PROGRAM


@pytest.fixture
def dumpable(program, monkeypatch):
    """For tests that use strace, or read the files of the process in /proc: wire starts the variant that permits this.

    Of the installed program only root may do so. The variant differs in nothing else, and root uses it too.
    """
    if "WS_ECHO" in os.environ:
        path = os.environ.get("WS_ECHO_DUMPABLE", program)
    else:
        path = DUMPABLE / pathlib.Path(program).name
        parts.require_file(path, f"make {path.relative_to(wire.TOP)}")
    monkeypatch.setattr(wire, "PROGRAM", str(path))
