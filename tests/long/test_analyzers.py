"""What analyses the source without running it has no finding that is not explained."""

import concurrent.futures
import os
import re
import subprocess

import pytest
import wire
from parts import require

# The findings that are none: the check, a part of the line that it names, and why.  .clang-tidy has the checks that are
# not asked.
EXPLAINED = [
    ("cert-err34-c", "atoi(text) > UINT16_MAX", "what stands before it leaves one to five digits"),
    ("nullPointerRedundantCheck", "user->pw_uid == 0", "fail, above it, does not return"),
    ("unusedStructMember", "uint32_t name_size, value_size, type;", "tools read the note in the file"),
    ("unusedStructMember", "char name[4];", "tools read the note in the file"),
]

# What cppcheck need not look for.
UNASKED = [
    "missingIncludeSystem",  # it knows the C library without its headers
    "unusedFunction",  # it takes what is called behind its limit of configurations for unused; compilers know better
]


@pytest.fixture(name="flags")
def of_the_build():
    subprocess.run(["make", "-s", wire.UNIT], cwd=wire.TOP, check=True, timeout=wire.LIMIT)
    return wire.compiler_flags()


def said(command):
    """What a tool says of the source."""
    result = subprocess.run(command, cwd=wire.TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=10 * wire.LIMIT, check=False)
    assert result.returncode == 0, result.stdout
    return result.stdout


def explained(findings, checks):
    """Assert that each finding (file, line, check) has its explanation, and each explanation its finding."""
    used, unexplained = set(), []
    for file, number, check in findings:
        line = (wire.TOP / "build" / file).read_text().splitlines()[int(number) - 1]  # where the unit is
        fitting = [row for row in EXPLAINED if row[0] == check and row[1] in line]
        used.update(fitting)
        if not fitting:
            unexplained.append(f"{file}:{number}: {line.strip()} [{check}]")
    assert not unexplained, "\n".join(unexplained)
    superfluous = [row for row in EXPLAINED if re.fullmatch(checks, row[0]) and row not in used]
    assert not superfluous, superfluous


def test_the_compilers_analyzer_finds_nothing_unexplained(flags):
    command = [require("gcc", "gcc"), *flags, "-O2", "-fanalyzer", "-fdiagnostics-plain-output", "-c", "-o",
               "/dev/null", wire.UNIT]
    findings = re.findall(r"^build/(\S+):(\d+):\d+: warning: .*?\[?(-W[\w-]+)(?:=.*)?\]", said(command), re.M)
    explained(findings, "-Wanalyzer.*")


def test_clang_tidy_finds_nothing_unexplained(flags):
    """File by file: it has no opinion about what a unit includes, and takes no notes from one unit into the next."""
    tidy = [require("clang-tidy", "clang-tidy"), "--quiet", "--header-filter=/src/"]
    sources = [path for path in wire.files_of_the_program() if path.suffix == ".c"]
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
    explained([(wire.TOP / file, line, check) for file, line, check in findings], r"\w+")


def test_each_of_them_finds_a_fault(flags, tmp_path):
    source = tmp_path / "fault.c"
    source.write_text("int fault(void);\nint fault(void)\n{\n    const int *nothing = 0;\n    return *nothing;\n}\n")
    assert "-Wanalyzer-null" in said(["gcc", *flags, "-O2", "-fanalyzer", "-c", "-o", "/dev/null", source])
    assert "NullDereference" in said(["clang-tidy", "--quiet", f"--config-file={wire.TOP}/.clang-tidy", source, "--",
                                      *flags])
    assert "nullPointer" in said(["cppcheck", "--enable=all", "--quiet", "--template={id}", source])
