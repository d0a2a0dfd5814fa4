# SPDX-License-Identifier: MIT
"""The rules of the standards and of the manual, beside their tests.

    @rule("RFC 6455 5.1", "A frame that is not masked is answered with Close 1002.")

One test of a rule has its sentence, and the others only name the section. Where a section has several rules, a number
tells them apart: "RFC 6455 5.2 (2)". `rows` are patterns, with blanks between them, of those rows of a test with parameters
that are of the rule; * stands for anything. tests/tools/rules.py prints the table, and finds what does not fit.
"""

import pytest


def rule(section, sentence=None, rows="*"):
    """Says which rule a test, or as `pytestmark` a whole file, is of."""
    return pytest.mark.rule(section, sentence, rows)
