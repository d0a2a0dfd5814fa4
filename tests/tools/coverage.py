#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Usage: tests/tools/coverage.py corpus|all

Prints, for each file of the program, how many lines and branches are reached, and which are not, by
  corpus   the corpora of the fuzzers alone
  all      the tests of make check; as root, also those of make check-system that need no booted system
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import project
from project import TOP

BUILD = TOP / "tests/unit/build.py"
CORPUS = TOP / "tests/fuzz/corpus.py"
COUNTING = ["-O0", "-U_FORTIFY_SOURCE", "--coverage", "-DWITHOUT_FILTER"]


def compiled(source, folder, *more):
    """Compiles a source with gcov, in the folder that will contain the counts, and returns the program."""
    program = folder / pathlib.Path(source).stem
    subprocess.run(["make", "-s", project.ONE_SOURCE], cwd=TOP, check=True)
    subprocess.run(["gcc", *project.compiler_flags(), *COUNTING, *more, "-c", TOP / source, "-o", f"{program}.o",
                    f"-I{TOP / 'src'}", f"-I{TOP / 'build'}"], cwd=folder, check=True)
    subprocess.run(["gcc", "--coverage", "-pie", "-o", program, f"{program}.o", "-lnettle", "-lz", "-ldl"], cwd=folder,
                   check=True)
    return program


def counts(folder):
    """How often the programs that were compiled in a folder executed each line and each branch:
    {file: ({line: count}, {(line, branch): count})}."""
    found = {path: ({}, {}) for path in project.files_of_the_program()}
    for data in folder.glob("*.gcda"):
        said = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout", data], cwd=folder,
                              capture_output=True, check=True)
        counted = json.loads(said.stdout)
        for file in counted["files"]:
            path = pathlib.Path(counted["current_working_directory"], file["file"]).resolve()
            if path in found:
                lines, branches = found[path]
                for line in file["lines"]:
                    number = line["line_number"]
                    lines[number] = lines.get(number, 0) + line["count"]
                    for branch, taken in enumerate(line["branches"]):
                        branches[number, branch] = branches.get((number, branch), 0) + taken["count"]
    return {path: both for path, both in found.items() if both[0]}


def report(found):
    """Prints the counts for each file, and the branches that were never taken from executed lines."""
    for path, (lines, branches) in found.items():
        missed = [number for number in sorted(lines) if not lines[number]]
        print(f"{path.relative_to(TOP)!s:34} {share(len(lines) - len(missed), len(lines), 'lines')}"
              f" {share(sum(map(bool, branches.values())), len(branches), 'branches')}",
              f" except {ranges(missed)}" if missed else "")
    print("\nBranches that are not taken from lines that are reached:")
    for path, (lines, branches) in found.items():
        source = path.read_text().splitlines()
        for number in sorted(lines):
            ways = [count for (line, _), count in branches.items() if line == number]
            if lines[number] and not all(ways):
                print(f"{path.name}:{number}: {ways.count(0)} of {len(ways):2}  {source[number - 1].strip()}")


def share(part, whole, what):
    return f"{part:5} of {whole:5} {what} {100 * part / max(whole, 1):6.1f} %"


def ranges(numbers):
    """Line numbers as ranges: 1-3 7."""
    spans = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return " ".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)


def corpus(folder):
    """Runs the fuzzers with their corpora."""
    for fuzzer in ("functions", "connections"):
        program = compiled(f"tests/fuzz/{fuzzer}.c", folder, "-DSTANDALONE")
        for target in printed(CORPUS, "targets", fuzzer).split():
            inputs = folder / "corpora" / target
            subprocess.run([CORPUS, "unpack", target, inputs], check=True)
            subprocess.run([program, inputs], env={**os.environ, "TARGET": target}, stdout=subprocess.DEVNULL, check=True)


def unit(folder):
    """Runs the tests of each room's functions."""
    for room in printed(BUILD).split():
        program = printed(BUILD, folder, room, "gcc", *project.compiler_flags(), *COUNTING).strip()
        subprocess.run([program], stdout=subprocess.DEVNULL, check=True)


def printed(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def tests(folder):
    """Runs the tests that start the program, and those in C."""
    folder.chmod(0o777)
    os.umask(0)  # the program changes its user, who writes the same files of counts
    program, script = compiled(project.ONE_SOURCE, folder), folder / "start"
    script.write_text(f'#!/bin/bash -p\nexec -a "$0" {program} "$@"\n')
    script.chmod(0o755)
    subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, check=True)  # creates the file of counts
    # Without root those of tests/system are skipped.
    names = {*project.tests_in(project.OF_THE_PROGRAM), *project.AS_ROOT} - TRACED
    # launch.filtered() takes a script for a program without a filter; tests that trace or preload need the real program.
    for start, files in ((script, names), (program, TRACED)):
        subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider",
                        f"--numprocesses={os.cpu_count()}", *[f"tests/{name}" for name in sorted(files)]],
                       cwd=TOP, env={**os.environ, "WS_ECHO": str(start)}, check=False)
    unit(folder)
    corpus(folder)


TRACED = {"process/test_fault_classes.py", "process/test_signal_races.py", "system/test_fault_logs.py"}
RUNS = {"corpus": corpus, "all": tests}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in RUNS:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        RUNS[sys.argv[1]](pathlib.Path(folder))
        report(counts(pathlib.Path(folder)))


main()
