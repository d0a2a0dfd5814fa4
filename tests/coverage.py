#!/usr/bin/python3
"""Usage: tests/coverage.py corpus|all

Print by section of ws-echo.c how many of its lines and branches are reached, and which are not, by
  corpus   the corpora of the fuzzers alone
  all      the tests of make check, and those of make check-system that are about the program alone, if root runs them
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = TOP / "ws-echo.c"
CORPORA = TOP / "tests" / "corpora"
SECTION = re.compile(r"^/\* -{4} (.+?) -+ \*/$")


def flags():
    """The flags that the program is compiled with, and those that count lines."""
    command = ["make", "-s", "--no-print-directory", "--eval=print-flags: build/page.h ; @: $(info $(OURS))",
               "print-flags"]
    made = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    return [*made.stdout.split("\n", maxsplit=1)[0].replace("'", "").split(), "-O0", "-U_FORTIFY_SOURCE", "--coverage",
            "-DWITHOUT_FILTER"]


def compiled(source, folder, *more):
    """Compile a source to count lines, in a folder that will have the counts, and return the program."""
    program = folder / pathlib.Path(source).stem
    subprocess.run(["gcc", *flags(), *more, "-c", TOP / source, "-o", f"{program}.o", f"-I{TOP / 'build'}"], cwd=folder,
                   check=True)
    subprocess.run(["gcc", "--coverage", "-pie", "-o", program, f"{program}.o", "-lnettle", "-lz", "-ldl"], cwd=folder,
                   check=True)
    return program


def counts(folder):
    """How often each line of ws-echo.c was reached, and each branch of it, by all programs that were compiled in a
    folder."""
    lines, branches = {}, {}
    for data in folder.glob("*.gcda"):
        said = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout", data], cwd=folder,
                              capture_output=True, check=True)
        for file in json.loads(said.stdout)["files"]:
            if pathlib.Path(folder, file["file"]).resolve() == PROGRAM:
                for line in file["lines"]:
                    number = line["line_number"]
                    lines[number] = lines.get(number, 0) + line["count"]
                    for branch, taken in enumerate(line["branches"]):
                        branches[number, branch] = branches.get((number, branch), 0) + taken["count"]
    return lines, branches


def report(lines, branches):
    """Print the counts by section, and the branches that are not taken from lines that are reached."""
    source, sections = PROGRAM.read_text().splitlines(), {"": []}
    for number, text in enumerate(source, 1):
        if heading := SECTION.match(text):
            sections[heading[1]] = []
        if number in lines:
            list(sections.values())[-1].append(number)
    for name, numbers in sections.items():
        if numbers:
            missed = [number for number in numbers if not lines[number]]
            taken = [bool(count) for (number, _), count in branches.items() if number in numbers]
            print(f"{name:34} {share(len(numbers) - len(missed), len(numbers), 'lines')}"
                  f" {share(sum(taken), len(taken), 'branches')}", f" but for {ranges(missed)}" if missed else "")
    print("\nBranches that are not taken from lines that are reached:")
    for number in sorted(lines):
        ways = [count for (line, _), count in branches.items() if line == number]
        if lines[number] and not all(ways):
            print(f"{number:5} {ways.count(0)} of {len(ways):2}  {source[number - 1].strip()}")


def share(part, whole, what):
    return f"{part:5} of {whole:5} {what} {100 * part / max(whole, 1):6.1f} %"


def ranges(numbers):
    """Line numbers in short: 1-3 7."""
    spans = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return " ".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)


def corpus(folder):
    """Run the fuzzers with their corpora."""
    for source in ("fuzz", "connection"):
        program = compiled(f"tests/{source}.c", folder, "-DSTANDALONE")
        for target in sorted(CORPORA.iterdir()):
            if (target.name == "connection") == (source == "connection"):
                subprocess.run([program, target], env={**os.environ, "TARGET": target.name}, stdout=subprocess.DEVNULL,
                               check=True)


def tests(folder):
    """Run the tests that start the program, and those in C that include it."""
    folder.chmod(0o777)
    os.umask(0)  # it becomes somebody else, who adds to the same counts
    program, script = compiled("ws-echo.c", folder), folder / "start"
    script.write_text(f'#!/bin/bash -p\nexec -a "$0" {program} "$@"\n')
    script.chmod(0o755)
    subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, check=True)  # that there is a file
    sys.path.insert(0, str(TOP / "tests"))
    import conftest
    as_root = {f"system/{name}" for name in conftest.AS_ROOT}  # which are skipped without
    names = ({path.name for path in TOP.glob("tests/test_*.py")} | as_root) - conftest.ONCE - TRACED
    # A script has no filter, as wire.filtered() says; but what traces or preloads needs the program itself.
    for start, files in ((script, names), (program, TRACED)):
        subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider",
                        f"--numprocesses={os.cpu_count()}", *[f"tests/{name}" for name in sorted(files)]],
                       cwd=TOP, env={**os.environ, "WS_ECHO": str(start)}, check=False)
    subprocess.run([compiled("tests/unit.c", folder)], stdout=subprocess.DEVNULL, check=True)
    corpus(folder)


TRACED = {"test_fault_classes.py", "test_gaps.py", "system/test_fault_logs.py"}
RUNS = {"corpus": corpus, "all": tests}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in RUNS:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        RUNS[sys.argv[1]](pathlib.Path(folder))
        report(*counts(pathlib.Path(folder)))


main()
