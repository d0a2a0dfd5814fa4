# SPDX-License-Identifier: MIT
"""Runs the tests of the process with both programs that the Makefile builds: ws-echo and ws-echo-static.

WS_ECHO=PROGRAM tests another program than ws-echo, and WS_ECHO_DUMPABLE=PROGRAM names its variant built with -DDUMPABLE,
for tests that trace a process or read its /proc (default: PROGRAM). Slow tests start first, in parallel to the others.
"""

import itertools
import os
import pathlib

import launch
import project
import pytest
from require import require_file

DEFAULT = launch.PROGRAM
DUMPABLE = project.TOP / "build/dumpable"  # the folder of the same programs, built with -DDUMPABLE

# Tests that use LD_PRELOAD, which needs a dynamic program.
DYNAMIC = {"test_signal_races.py"}


def pytest_configure(config):
    config.addinivalue_line("markers", "slow(reason): takes seconds, for this reason")
    config.addinivalue_line("markers", "of_the_filter: needs the filter of system calls")
    config.addinivalue_line("markers", "with_libsystemd: uses the journal, which the static program does not support")
    config.addinivalue_line("markers", "rule(section, sentence, rows): see lib/rule.py")
    config.addinivalue_line("markers", "compiles: compiles or chooses what it tests, so one run is enough")


def is_dynamic(item):
    """Whether a test applies to the dynamic program only."""
    return item.path.name in DYNAMIC or item.get_closest_marker("with_libsystemd")


def pytest_generate_tests(metafunc):
    file = pathlib.Path(metafunc.module.__file__)
    with_each = file.parent.name in project.WITH_EACH_PROGRAM or f"system/{file.name}" in project.AS_ROOT
    if with_each and not metafunc.definition.get_closest_marker("compiles") and "WS_ECHO" not in os.environ:
        programs = ["ordinary"] if is_dynamic(metafunc.definition) else project.PROGRAMS
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
    """The program that launch starts: the ordinary one unless the test is parametrized."""
    launch.PROGRAM = DEFAULT
    if hasattr(request, "param"):
        path = project.PROGRAMS[request.param]
        require_file(path, f"make ({path.name})")
        launch.PROGRAM = str(path)
    return launch.PROGRAM


@pytest.fixture
def dumpable(program, monkeypatch):
    """For tests that use strace, or read the files of the process in /proc: launch starts the variant that permits this.

    Of the installed program only root may do so. The variant differs in nothing else, and root uses it too.
    """
    if "WS_ECHO" in os.environ:
        path = os.environ.get("WS_ECHO_DUMPABLE", program)
    else:
        path = DUMPABLE / pathlib.Path(program).name
        require_file(path, f"make {path.relative_to(project.TOP)}")
    monkeypatch.setattr(launch, "PROGRAM", str(path))
