"""The settings that are shipped are those that the tests under a real systemd prove.

A changed number or a call too many in a list acts too seldom for them to notice.
"""

import pytest
import wire

LISTED = (wire.TOP / "tests/units.txt").read_text("utf-8").split("==> ")[1:]


def settings(text):
    """Without comments and what stands between words for the eye."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name, listed", [listed.split(" <==\n", 1) for listed in LISTED],
                         ids=[listed.split()[0] for listed in LISTED])
def test_the_settings_are_those_that_are_proven(name, listed):
    assert settings((wire.TOP / name).read_text("utf-8")) == settings(listed)


def test_every_unit_is_listed():
    shipped = [path.name for pattern in ("*.socket", "*.service", "*.xinetd", "*.sysusers") for path in wire.TOP.glob(pattern)]
    assert sorted(shipped) == sorted(listed.split()[0] for listed in LISTED)
