# SPDX-License-Identifier: MIT
"""The comments of the units. Tests under a real systemd, in tests/system, prove what the settings do."""

import re

import project
import pytest


@pytest.mark.parametrize("name", ["ws-echo.socket", "ws-echo@.service"])
def test_the_comments_of_a_unit_that_is_copied_for_a_second_port_are_true_in_the_copy(name):
    comments = [line for line in (project.TOP / name).read_text("utf-8").splitlines() if line.startswith("#")]
    assert comments and [line for line in comments if re.search(r"ws-echo(\.socket|@|$)|/ws-echo\b", line)] == []
