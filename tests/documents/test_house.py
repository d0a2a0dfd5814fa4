#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Tests which rooms of the program include and call which: rooms only use rooms on their own floor or below.

A room is the header and the source of one name in src/; ws-echo.c is the top one. Run as a script, this file
prints the rooms as a table. The compiler compiles all rooms as one unit (build/ws-echo.c), so it reports neither a
missing include nor a function that no other room calls: these tests do.
"""

import collections
import concurrent.futures
import fcntl
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))  # for a run by hand

import project
from require import require

MAIN = "ws-echo"
FUNCTION_MAX = 60  # lines, from its first line to its closing brace

# The floors from the bottom; a room includes no room of a higher floor. Functions of "pure" depend on their arguments
# only; "process" handles descriptors, clock and log, but no WebSocket; "connection" combines both.
FLOORS = {
    "pure": "basics text utf8 address outcome options proxy head extension handshake frame words",
    "process": "memory clock stream log start sandbox",
    "connection": "connection message deflate send lab echo closing answer ws-echo",
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms.split()}

# The only variables with static storage: those shared with signal handlers, the connection, and the options.
VARIABLES = {"clock": {"stopping", "armed_for", "expired", "timer_bounds_log"}, MAIN: {"connection", "options"}}


def files_of(room):
    """The existing ones of a room's header and source."""
    if room == MAIN:
        return [project.TOP / "ws-echo.c"]
    return [path for path in (project.TOP / f"src/{room}.h", project.TOP / f"src/{room}.c") if path.exists()]


def rooms():
    return [*sorted({path.stem for path in project.TOP.glob("src/*.[ch]")}), MAIN]


def included(room):
    """The rooms whose headers a room includes. page.h is generated, and is no room."""
    names = {name for path in files_of(room)
             for name in re.findall(r'^#include "(\w+)\.h"', path.read_text(encoding="utf-8"), re.M)}
    return names - {room, "page"}


def levels(house):
    """The level of each room: one above the highest that it includes. Rooms in or above an include cycle have none."""
    found = {}
    while ready := [room for room in house if room not in found and house[room] <= found.keys()]:
        found.update({room: 1 + max((found[name] for name in house[room]), default=0) for room in ready})
    return found


def below(house, room):
    """All rooms that a room includes, directly or indirectly."""
    found, waiting = set(), [room]
    while waiting:
        for name in house[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def compiled(compiler, flags, path):
    """Compiles one file by itself, a header as included by an empty file; returns the compiler's messages."""
    source = [path] if path.suffix == ".c" else ["-include", path, "/dev/null"]
    made = subprocess.run([compiler, *flags, "-O1", "-Werror", "-Wmissing-declarations", "-x", "c", *source],
                          cwd=project.TOP, capture_output=True, text=True, timeout=project.LIMIT, check=False)
    assert made.returncode == 0 or made.stderr
    return made.stderr


def compiled_all(compiler, folder=None):
    """Compiles each file of the program by itself, into objects named after them if there is a folder; returns all messages."""
    subprocess.run(["make", "-s", project.ONE_SOURCE], cwd=project.TOP, check=True, timeout=project.LIMIT)  # also makes build/page.h
    flags = project.compiler_flags("CFLAGS=-O1")

    def messages(path):
        return compiled(compiler, [*flags, *(["-c", "-o", folder / f"{path.name}.o"] if folder else ["-fsyntax-only"])], path)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return "".join(pool.map(messages, project.files_of_the_program()))


Symbols = collections.namedtuple("Symbols", "functions constants variables hidden needed")


def symbols_of(object_file):
    """The symbols that an object defines, by kind (`hidden`: static variables), and the undefined ones (`needed`)."""
    said = subprocess.run([require("nm", "binutils"), "--format=sysv", object_file], capture_output=True, text=True,
                          check=True).stdout
    found = Symbols(*(set() for _ in Symbols._fields))
    for line in said.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 7 or cells[0] == "Name" or cells[0].startswith("__x86."):  # made by the compiler on i386
            continue
        name, kind, section = cells[0].split(".")[0], cells[2], cells[6]
        variable = section.startswith((".data", ".bss", "*COM*")) and not section.startswith(".data.rel.ro")
        if kind == "U":
            found.needed.add(name)
        elif kind.isupper() and variable:
            found.variables.add(name)
        elif variable:
            found.hidden.add(name)
        elif kind == "T":
            found.functions.add(name)
        elif kind.isupper():
            found.constants.add(name)
    return found


def compiled_once(folder):
    """Compiles each file into a folder, unless another process has done so; returns the compiler's messages."""
    require("cc", "gcc")
    folder.mkdir(exist_ok=True)
    with open(folder / "messages", "a+", encoding="utf-8") as messages:
        fcntl.flock(messages, fcntl.LOCK_EX)
        if not (folder / f"{MAIN}.c.o").exists():
            messages.write(compiled_all("cc", folder))
        messages.seek(0)
        return messages.read()


def symbols(folder):
    """The symbols of each room that has a source, from the objects in a folder."""
    sources = {room: files_of(room)[-1] for room in rooms() if files_of(room)[-1].suffix == ".c"}
    assert not compiled_once(folder)
    return {room: symbols_of(folder / f"{path.name}.o") for room, path in sources.items()}


def calls(parts):
    """(room, other, name) for each function or table of another room that a room uses."""
    owner = {name: room for room, part in parts.items() for name in part.functions | part.constants | part.variables}
    return {(room, owner[name], name) for room, part in parts.items() for name in part.needed if name in owner}


def functions_of(path):
    """(lines, name) of each function that is defined in a file."""
    lines, found, begin = path.read_text(encoding="utf-8").splitlines(), [], 0
    for number, line in enumerate(lines):
        if line == "{":
            head = " ".join(lines[begin:number])
            name = re.search(r"(\w+)\((?!\()", re.sub(r"__attribute__\(\(.*?\)\) ", "", head))[1]
            found.append((lines.index("}", number) - begin + 1, name))
        if not line or line.endswith("*/") or line[0] in "#}":
            begin = number + 1
    return found


@pytest.fixture(name="house", scope="module")
def of_includes():
    return {room: included(room) for room in rooms()}


@pytest.fixture(name="parts", scope="module")
def of_objects(objects):
    return symbols(objects)


@pytest.fixture(name="objects", scope="module")
def folder_of_objects(tmp_path_factory):
    """The same folder for all processes of this run of the tests."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "house"


@pytest.mark.slow("a compiler takes each file alone")
def test_each_file_compiles_alone_without_a_warning(objects):
    """In one unit, another file's include can hide a missing one."""
    assert len(project.files_of_the_program()) > 30
    assert not compiled_once(objects)


@pytest.mark.slow("a compiler takes each file alone")
def test_clang_takes_each_file_alone_without_a_warning():
    said = compiled_all(require("clang", "clang"))
    assert not said, said


def test_each_room_has_its_floor():
    assert sorted(FLOOR) == sorted(rooms())


def test_no_room_includes_a_room_of_a_higher_floor():
    order = list(FLOORS)
    upward = [f"{room} ({FLOOR[room]}) includes {name} ({FLOOR[name]})" for room in rooms() for name in sorted(included(room))
              if order.index(FLOOR[name]) > order.index(FLOOR[room])]
    assert upward == []


def test_the_includes_have_no_circle(house):
    assert [room for room in house if room in below(house, room)] == []


def test_a_header_includes_only_what_it_finds_below(house):
    """Each included name is a header of a room."""
    assert {name for names in house.values() for name in names} - house.keys() == set()


def test_a_room_calls_only_rooms_below_it(house, parts):
    """Finds functions that are declared by hand instead of by including their room's header."""
    arrows = calls(parts)
    assert len(arrows) > 100
    assert sorted(arrow for arrow in arrows if arrow[1] not in below(house, arrow[0])) == []


def test_each_symbol_that_is_not_static_is_used_by_another_room(parts):
    """All other symbols must be static."""
    given = {(room, name) for room, part in parts.items() for name in part.functions | part.constants | part.variables}
    used = {(other, name) for _, other, name in calls(parts)}
    assert sorted(given - used - {(MAIN, "main"), (MAIN, "connection")}) == []


def test_nothing_but_the_connection_the_options_and_what_signal_handlers_share_outlives_a_call(parts):
    found = {room: part.variables | part.hidden for room, part in parts.items() if part.variables | part.hidden}
    assert found == VARIABLES


def test_each_function_fits_60_lines():
    found = [(lines, name, path.name) for path in project.files_of_the_program() for lines, name in functions_of(path)]
    assert len(found) > 150
    assert sorted(row for row in found if row[0] > FUNCTION_MAX) == []


def drawn():
    """The table of rooms, from the bottom, with the rooms that each one calls."""
    house = {room: included(room) for room in rooms()}
    with tempfile.TemporaryDirectory() as folder:
        parts = symbols(pathlib.Path(folder, "objects"))
    level, arrows = levels(house), calls(parts)
    yield f"{'level':5} {'floor':10} {'room':10} {'lines':>5} {'gives':>5}  calls; in brackets: only includes"
    for room in sorted(house, key=lambda name: (level.get(name, 99), name)):
        lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files_of(room))
        called = sorted({other for caller, other, _ in arrows if caller == room})
        others = [name if name in called else f"({name})" for name in sorted(house[room] | set(called))]
        given = len(parts[room].functions | parts[room].constants | parts[room].variables) if room in parts else 0
        yield (f"{level.get(room, '?'):5} {FLOOR.get(room, '?'):10} {room:10} {lines:5} {given:5}  {' '.join(others)}")


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in drawn())
