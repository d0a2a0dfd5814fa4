"""What analyses the source without running it has no finding that is not explained."""

import re
import shlex
import subprocess

import pytest
import test_unit
import wire
from parts import require

# The findings that are none: the check, a part of the line that it names, and why.  .clang-tidy has the checks that are
# not asked.
NO_BODY = ("a Close comes here with its body: answer_control and send_control log it, and the others log data, for "
           "which it is not looked at")
EXPLAINED = [
    ("-Wanalyzer-null-dereference", "body[0] << 8 | body[1]", NO_BODY),
    ("clang-analyzer-core.NullDereference", "body[0] << 8 | body[1]", NO_BODY),
    ("cert-err34-c", "atoi(text) > UINT16_MAX", "what stands before it leaves one to five digits"),
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
    subprocess.run(["make", "-s", "build/page.h"], cwd=wire.TOP, check=True, timeout=wire.LIMIT)
    return test_unit.flags()


def said(command):
    """What a tool says of the source."""
    result = subprocess.run(command, cwd=wire.TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=10 * wire.LIMIT, check=False)
    assert result.returncode == 0, result.stdout
    return result.stdout


def explained(findings, checks):
    """Assert that each finding (line, check) has its explanation, and each explanation its finding."""
    source = (wire.TOP / "ws-echo.c").read_text().splitlines()
    used, unexplained = set(), []
    for line, check in findings:
        fitting = [row for row in EXPLAINED if row[0] == check and row[1] in source[int(line) - 1]]
        used.update(fitting)
        if not fitting:
            unexplained.append(f"{line}: {source[int(line) - 1].strip()} [{check}]")
    assert not unexplained, "\n".join(unexplained)
    superfluous = [row for row in EXPLAINED if re.fullmatch(checks, row[0]) and row not in used]
    assert not superfluous, superfluous


def test_the_compilers_analyzer_finds_nothing_unexplained(flags):
    command = [require("gcc", "gcc"), *flags, "-O2", "-fanalyzer", "-fdiagnostics-plain-output", "-c", "-o",
               "/dev/null", "ws-echo.c"]
    findings = re.findall(r"^ws-echo\.c:(\d+):\d+: warning: .*?\[?(-W[\w-]+)(?:=.*)?\]", said(command), re.M)
    explained(findings, "-Wanalyzer.*")


def test_clang_tidy_finds_nothing_unexplained(flags):
    output = said([require("clang-tidy", "clang-tidy"), "--quiet", "ws-echo.c", "--", *flags])
    findings = re.findall(r"ws-echo\.c:(\d+):\d+: (?:warning|error): .*\[([\w.-]+)(?:,.*)?\]$", output, re.M)
    explained(findings, "(clang|cert|bugprone|concurrency|misc|performance|portability)-.*")


def test_cppcheck_finds_nothing_unexplained(flags):
    definitions = [flag for flag in flags if flag[:2] in ("-D", "-I")]
    output = said([require("cppcheck", "cppcheck"), "--enable=all", "--inconclusive", "--std=c11", "--quiet",
                   "--template={file}:{line}: [{id}]", *[f"--suppress={check}" for check in UNASKED], *definitions,
                   "ws-echo.c"])
    explained(re.findall(r"^ws-echo\.c:(\d+): \[(\w+)\]$", output, re.M), r"\w+")


def test_each_of_them_finds_a_fault(flags, tmp_path):
    source = tmp_path / "fault.c"
    source.write_text("int fault(void);\nint fault(void)\n{\n    const int *nothing = 0;\n    return *nothing;\n}\n")
    assert "-Wanalyzer-null" in said(["gcc", *flags, "-O2", "-fanalyzer", "-c", "-o", "/dev/null", source])
    assert "NullDereference" in said(["clang-tidy", "--quiet", f"--config-file={wire.TOP}/.clang-tidy", source, "--",
                                      *flags])
    assert "nullPointer" in said(["cppcheck", "--enable=all", "--quiet", "--template={id}", source])
