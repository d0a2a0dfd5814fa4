#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Usage: tests/unit/build.py [FOLDER ROOM COMPILER...]

Build the tests of a room, such as frame, into a program and print its path: FOLDER/ROOM.  COMPILER is a command with its flags.
Without arguments print the rooms that have tests.

A program is made of test_ROOM.c, which includes the source of its room, and of the rooms that these files include, directly or
by way of others.  It is linked with no other room: what a room can be tested with is all that it knows.
"""

import fcntl
import functools
import pathlib
import re
import shlex
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
SOURCES = TOP / "src"
LIBRARIES = ["-lnettle", "-lz", "-ldl"]


def rooms():
    return sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.c"))


@functools.cache
def included(path):
    """A file, and all that it includes."""
    found, waiting = {path}, [path]
    while waiting:
        path = waiting.pop()
        for name in re.findall(r'^#include "(.*)"', path.read_text(encoding="utf-8"), re.M):
            near = (path.parent / name).resolve()
            file = next(file for file in (near, SOURCES / name, TOP / "build" / name) if file.exists())
            if file not in found:
                found.add(file)
                waiting.append(file)
    return found


def linked(test):
    """The sources of the rooms that a file of tests needs, and does not include."""
    found = set()
    files = set(included(test))
    while more := {file.with_suffix(".c") for file in files if file.parent == SOURCES and file.suffix == ".h"
                   and file.with_suffix(".c").exists()} - files:
        found |= more
        files = files.union(*map(included, more))
    return sorted(found)


def compiled(source, folder, compiler):
    """The object of a source, compiled unless the same command has made it of all that the source includes."""
    output = folder / f"{source.stem}.o"
    command = [*compiler, "-c", "-o", str(output), str(source.relative_to(TOP))]
    with open(output.with_suffix(".command"), "a+", encoding="utf-8") as last:
        fcntl.flock(last, fcntl.LOCK_EX)  # several tests need it at the same time
        last.seek(0)
        changed = max(file.stat().st_mtime for file in included(source))
        if last.read() != shlex.join(command) or not output.exists() or output.stat().st_mtime <= changed:
            last.truncate(0)
            run(command)
            last.write(shlex.join(command))
    return output


def run(command):
    if subprocess.run(command, cwd=TOP, check=False).returncode != 0:
        sys.exit(1)


def main():
    if len(sys.argv) == 1:
        print(*rooms())
        return
    if len(sys.argv) < 4 or sys.argv[2] not in rooms():
        sys.exit(__doc__)
    folder, room, compiler = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3:]
    folder.mkdir(parents=True, exist_ok=True)
    test = HERE / f"test_{room}.c"
    objects = [compiled(source, folder, compiler) for source in (test, *linked(test))]
    run([*compiler, "-pie", "-o", folder / room, *objects, *LIBRARIES])
    print(folder / room)


main()
