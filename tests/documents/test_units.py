"""The shipped settings equal those listed in units.txt, which tests under a real systemd prove.

Those tests would not notice every changed number, or an additional call in a list.
"""

import re

import project
import pytest

LISTED = (project.TOP / "tests/units.txt").read_text("utf-8").split("==> ")[1:]


def settings(text):
    """The settings of a text, without comments and alignment."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name, listed", [listed.split(" <==\n", 1) for listed in LISTED],
                         ids=[listed.split()[0] for listed in LISTED])
def test_the_settings_are_those_that_are_proven(name, listed):
    assert settings((project.TOP / name).read_text("utf-8")) == settings(listed)


@pytest.mark.parametrize("name", ["ws-echo.socket", "ws-echo@.service"])
def test_the_comments_of_a_unit_that_is_copied_for_a_second_port_are_true_in_the_copy(name):
    comments = [line for line in (project.TOP / name).read_text("utf-8").splitlines() if line.startswith("#")]
    assert comments and [line for line in comments if re.search(r"ws-echo(\.socket|@|$)|/ws-echo\b", line)] == []


def test_every_unit_is_listed():
    shipped = [str(path.relative_to(project.TOP)) for folder in (project.TOP, project.TOP / "packaging")
               for pattern in ("*.socket", "*.service", "*.xinetd", "*.sysusers") for path in folder.glob(pattern)]
    assert sorted(shipped) == sorted(listed.split()[0] for listed in LISTED)
