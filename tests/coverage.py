#!/usr/bin/python3
"""Usage: tests/coverage.py corpus

Print by section of ws-echo.c how many of its lines are reached, and which are not, by
  corpus   the corpora of the fuzzers alone
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
    """How often each line of ws-echo.c was reached, by all programs that were compiled in a folder."""
    total = {}
    for data in folder.glob("*.gcda"):
        said = subprocess.run(["gcov", "--json-format", "--stdout", data], cwd=folder, capture_output=True, check=True)
        for file in json.loads(said.stdout)["files"]:
            if pathlib.Path(folder, file["file"]).resolve() == PROGRAM:
                for line in file["lines"]:
                    number = line["line_number"]
                    total[number] = total.get(number, 0) + line["count"]
    return total


def report(total):
    """Print the counts by section."""
    sections = {"": []}
    for number, text in enumerate(PROGRAM.read_text().splitlines(), 1):
        if heading := SECTION.match(text):
            sections[heading[1]] = []
        if number in total:
            list(sections.values())[-1].append(number)
    for name, lines in sections.items():
        missed = [number for number in lines if not total[number]]
        if lines:
            reached = len(lines) - len(missed)
            print(f"{name:34} {reached:5} of {len(lines):5} lines {100 * reached / len(lines):6.1f} %", end="")
            print(f"  but for {ranges(missed)}" if missed else "")


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


RUNS = {"corpus": corpus}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in RUNS:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        RUNS[sys.argv[1]](pathlib.Path(folder))
        report(counts(pathlib.Path(folder)))


main()
