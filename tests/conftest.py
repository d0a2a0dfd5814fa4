"""What concerns the program as it runs is tested with both programs that the Makefile makes.

WS_ECHO=PROGRAM tests another one instead. Tests that take long come first, so that they run beside all others.
"""

import os
import pathlib

import parts
import pytest
import wire

HERE = pathlib.Path(__file__).resolve().parent
DEFAULT = wire.PROGRAM
PROGRAMS = {"ordinary": wire.TOP / "ws-echo", "static": wire.TOP / "ws-echo-static"}

# What concerns the source, the Makefile or a document needs one run.
ONCE = {"test_build.py", "test_completion.py", "test_instructions.py", "test_manual.py", "test_page.py",
        "test_readme.py", "test_unit.py", "test_versions.py"}

# What preloads a library needs a program that takes one.
DYNAMIC = {"test_gaps.py"}


def pytest_configure(config):
    config.addinivalue_line("markers", "slow(reason): takes seconds, and why it has to")
    config.addinivalue_line("markers", "of_the_filter: there has to be a filter of system calls")


def pytest_generate_tests(metafunc):
    file = pathlib.Path(metafunc.module.__file__)
    if file.parent == HERE and file.name not in ONCE and "WS_ECHO" not in os.environ:
        programs = ["ordinary"] if file.name in DYNAMIC else PROGRAMS
        metafunc.parametrize("program", programs, indirect=True, scope="session")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def program(request):
    """The program that wire starts; where a test says nothing of it, that is the ordinary one."""
    wire.PROGRAM = DEFAULT
    if hasattr(request, "param"):
        path = PROGRAMS[request.param]
        parts.require_file(path, f"make ({path.name})")
        wire.PROGRAM = str(path)
    return wire.PROGRAM
