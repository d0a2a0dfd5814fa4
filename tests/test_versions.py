"""One version, wherever it stands."""

import re
import subprocess

import pytest
import wire

VERSION = re.search(r"^VERSION = (\S+)$", (wire.TOP / "Makefile").read_text(), re.M)[1]
MONTHS = "January February March April May June July August September October November December".split()


def first(pattern, path):
    """What a pattern finds first in a file."""
    found = re.search(pattern, (wire.TOP / path).read_text(), re.M)
    assert found, f"{path} has no {pattern}"
    return found[1]


def test_the_program_says_the_version():
    assert subprocess.run([wire.TOP / "ws-echo", "--version"], capture_output=True, text=True, check=True,
                          timeout=wire.LIMIT).stdout == f"ws-echo {VERSION}\n"


def test_the_changelog_begins_with_the_version():
    assert first(r"^## (.*), ", "CHANGELOG.md") == VERSION


def test_the_manual_has_the_version_and_the_date_of_the_changelog():
    assert first(r"^\.Os ws-echo (.*)$", "man/ws-echo.8") == VERSION
    month, day, year = re.split("[ ,]+", first(r"^\.Dd (.*)$", "man/ws-echo.8"))
    assert first(r"^## .*, (.*)$", "CHANGELOG.md") == f"{year}-{MONTHS.index(month) + 1:02}-{int(day):02}"


@pytest.mark.parametrize("path, pattern", [
    ("packaging/debian/changelog", r"^ws-echo \((.*)-[0-9a-z~.+]+\) "),
    ("packaging/ws-echo.spec", r"^Version: *(\S+)$"),
])
def test_the_packages_have_the_version(path, pattern):
    if not (wire.TOP / path).exists():
        pytest.skip(f"{path} is not there")
    assert first(pattern, path) == VERSION
