# SPDX-License-Identifier: MIT
"""Static analysers report nothing except the false findings listed here."""

import concurrent.futures
import os
import re
import subprocess

import project
import pytest
from require import require

# The false findings: the check, a part of the reported line, and why it is false.  .clang-tidy lists disabled checks.
EXPLAINED = [
    ("cert-err34-c", "atoi(text) > UINT16_MAX", "the condition in front of it allows only one to five digits"),
    ("nullPointerRedundantCheck", "user->pw_uid == 0", "fail, above it, does not return"),
    ("unusedStructMember", "uint32_t name_size, value_size, type;", "tools read the note in the file"),
    ("unusedStructMember", "char name[4];", "tools read the note in the file"),
]

# Disabled checks of cppcheck.
UNASKED = [
    "missingIncludeSystem",  # cppcheck knows the C library without its headers
    "unusedFunction",  # false for calls in configurations beyond cppcheck's limit; compilers report unused functions
]


@pytest.fixture(name="flags")
def of_the_build():
    subprocess.run(["make", "-s", project.ONE_SOURCE], cwd=project.TOP, check=True, timeout=project.LIMIT)
    return project.compiler_flags()


def said(command):
    """Runs a tool; returns its output."""
    result = subprocess.run(command, cwd=project.TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=10 * project.LIMIT, check=False)
    assert result.returncode == 0, result.stdout
    return result.stdout


def explained(findings, checks):
    """Asserts that each finding (file, line, check) is listed, and that each listed finding was reported."""
    used, unexplained = set(), []
    for file, number, check in findings:
        line = (project.TOP / "build" / file).read_text().splitlines()[int(number) - 1]  # paths are relative to the unit
        fitting = [row for row in EXPLAINED if row[0] == check and row[1] in line]
        used.update(fitting)
        if not fitting:
            unexplained.append(f"{file}:{number}: {line.strip()} [{check}]")
    assert not unexplained, "\n".join(unexplained)
    superfluous = [row for row in EXPLAINED if re.fullmatch(checks, row[0]) and row not in used]
    assert not superfluous, superfluous


def test_the_compilers_analyzer_finds_nothing_unexplained(flags):
    command = [require("gcc", "gcc"), *flags, "-O2", "-fanalyzer", "-fdiagnostics-plain-output", "-c", "-o",
               "/dev/null", project.ONE_SOURCE]
    findings = re.findall(r"^build/(\S+):(\d+):\d+: warning: .*?\[?(-W[\w-]+)(?:=.*)?\]", said(command), re.M)
    explained(findings, "-Wanalyzer.*")


def test_clang_tidy_finds_nothing_unexplained(flags):
    """Checks each file by itself, because clang-tidy does not check the files that a unit includes."""
    tidy = [require("clang-tidy", "clang-tidy"), "--quiet", "--header-filter=/src/"]
    sources = [path for path in project.files_of_the_program() if path.suffix == ".c"]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        output = "".join(pool.map(lambda path: said([*tidy, path, "--", *flags]), sources))
    findings = re.findall(r"^(\S+):(\d+):\d+: (?:warning|error): .*\[([\w.-]+)(?:,.*)?\]$", output, re.M)
    explained(set(findings), "(clang|cert|bugprone|concurrency|misc|performance|portability)-.*")


def test_cppcheck_finds_nothing_unexplained(flags):
    definitions = [flag for flag in flags if flag[:2] in ("-D", "-I")]
    output = said([require("cppcheck", "cppcheck"), "--enable=all", "--inconclusive", "--std=c11", "--quiet",
                   "--template={file}:{line}: [{id}]", *[f"--suppress={check}" for check in UNASKED], *definitions,
                   "src", "ws-echo.c"])
    findings = re.findall(r"^(\S+\.[ch]):(\d+): \[(\w+)\]$", output, re.M)
    explained([(project.TOP / file, line, check) for file, line, check in findings], r"\w+")


def test_each_of_them_finds_a_fault(flags, tmp_path):
    source = tmp_path / "fault.c"
    source.write_text("int fault(void);\nint fault(void)\n{\n    const int *nothing = 0;\n    return *nothing;\n}\n")
    assert "-Wanalyzer-null" in said(["gcc", *flags, "-O2", "-fanalyzer", "-c", "-o", "/dev/null", source])
    assert "NullDereference" in said(["clang-tidy", "--quiet", f"--config-file={project.TOP}/.clang-tidy", source, "--",
                                      *flags])
    assert "nullPointer" in said(["cppcheck", "--enable=all", "--quiet", "--template={id}", source])
