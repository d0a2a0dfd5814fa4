#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Usage: tests/fuzz/corpus.py targets FUZZER
       tests/fuzz/corpus.py unpack TARGET FOLDER
       tests/fuzz/corpus.py pack FOLDER
       tests/fuzz/corpus.py add TARGET FILE...

The inputs of a target are the lines of corpora/TARGET.txt, and the files in corpora/TARGET, which are longer than 4 KiB.  In a
line, printable ASCII stands for itself, a backslash is doubled, and \\xHH is any other byte.

targets prints the targets of a fuzzer, functions or connections.  unpack writes each input to a file in FOLDER, which may
exist; the name of the file is a hash of the input, as libFuzzer has it.  pack takes the inputs in FOLDER/TARGET, of any target,
and adds those with which the fuzzer in build/ reaches more than with the inputs that are there.  If there are none, it adds the
fewest with which the fuzzer reaches all that it reaches.  add adds files.
"""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

CORPORA = pathlib.Path(__file__).resolve().parent / "corpora"
BUILD = CORPORA.parent.parent.parent / "build"
LINE_MAX = 4096  # bytes of an input that is a line


def fuzzer_of(target):
    return "connections" if target == "connection" else "functions"


def escaped(data):
    """The line of an input. Editors may remove a space at its end, so that is escaped."""
    return re.sub(rb"[^ -~]| \Z", lambda match: b"\\x%02x" % ord(match[0]), data.replace(b"\\", b"\\\\")).decode("ascii")


def parsed(line):
    """The input of a line."""
    return re.sub(rb"\\(?:(\\)|x([0-9a-f]{2}))", lambda match: match[1] or bytes.fromhex(match[2].decode("ascii")),
                  line.encode("ascii"))


def inputs_of(target):
    lines = CORPORA / f"{target}.txt"
    texts = lines.read_text("ascii").splitlines() if lines.exists() else []
    return {*map(parsed, texts), *(path.read_bytes() for path in (CORPORA / target).glob("*"))}


def name_of(data):
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def unpack(target, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs_of(target):
        (folder / name_of(data)).write_bytes(data)


def add(target, paths):
    inputs = inputs_of(target) | {path.read_bytes() for path in paths}
    lines = sorted(escaped(data) for data in inputs if len(data) <= LINE_MAX)
    CORPORA.mkdir(exist_ok=True)
    (CORPORA / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines), "ascii")
    for data in inputs:
        if len(data) > LINE_MAX:
            (CORPORA / target).mkdir(exist_ok=True)
            (CORPORA / target / name_of(data)).write_bytes(data)


def pack(folder):
    for more in sorted(path for path in folder.iterdir() if path.is_dir()):
        target = more.name
        before = len(inputs_of(target))
        with tempfile.TemporaryDirectory() as name:
            unpack(target, kept := pathlib.Path(name))
            subprocess.run([BUILD / f"fuzz-{fuzzer_of(target)}", "-merge=1", kept, more],
                           env={**os.environ, "TARGET": target}, stderr=subprocess.DEVNULL, check=True)
            add(target, kept.iterdir())
        print(f"{target}: {before} inputs, {len(inputs_of(target)) - before} more of {len(list(more.iterdir()))}")


def main():
    match sys.argv[1:]:
        case ["targets", "functions" | "connections" as fuzzer]:
            print(*sorted(path.stem for path in CORPORA.glob("*.txt") if fuzzer_of(path.stem) == fuzzer))
        case ["unpack", target, folder]:
            unpack(target, pathlib.Path(folder))
        case ["pack", folder]:
            pack(pathlib.Path(folder))
        case ["add", target, *files] if files:
            add(target, map(pathlib.Path, files))
        case _:
            sys.exit(__doc__)


main()
