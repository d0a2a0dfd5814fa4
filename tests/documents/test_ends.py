# SPDX-License-Identifier: MIT
"""ws-echo-debugging(7) explains each Close code and each end, as the table of outcomes has them."""

import re

import manual
from outcomes import OUTCOMES

PAGE = manual.page("ws-echo-debugging.7")
ENDS = PAGE.split("\n.Sh WHAT EACH END MEANS\n")[1].split("\n.Sh ")[0]
ROWS = [line.removeprefix(".It ").split(" Ta ") for line in ENDS.splitlines() if " Ta " in line]


def test_each_end_has_a_row_with_its_code():
    def shown(name, outcome):
        return "any" if name == "closed-by-peer" else str(outcome.code or "-")

    expected = {name: shown(name, outcome) for name, outcome in OUTCOMES.items()}
    assert len(ROWS) == len(expected)
    assert {name: code for name, code, _, _ in ROWS} == expected


def test_each_row_says_who_can_change_something():
    explained = re.findall(r"^\.It (\w+)$", ENDS, re.MULTILINE)
    assert {who for _, _, who, _ in ROWS} == set(explained)


def test_local_faults_are_those_of_whoever_runs_the_server():
    assert {who for name, _, who, _ in ROWS if OUTCOMES[name].is_local_fault} == {"server"}


def test_each_close_code_of_the_program_is_explained():
    codes = re.findall(r"^\.It (\d{4})$", manual.section("WHAT EACH CLOSE CODE MEANS", PAGE), re.MULTILINE)
    never_on_the_wire = {1006}
    assert {outcome.code for outcome in OUTCOMES.values() if outcome.code >= 1000} | never_on_the_wire <= set(map(int, codes))
