# SPDX-License-Identifier: MIT
"""The cost of abusive peers does not exceed the tables in tests/bench/README.md."""

import concurrent.futures
import re

import abuse
import project
import pytest

ROW = re.compile(r"^\| (.+?) \| ([\d.]+) MiB \| [\d.,]+ ms \| (?:–|\d+ s) \|$", re.M)
TABLES = (project.TOP / "tests/bench/README.md").read_text(encoding="utf-8")
STATED = {name: float(memory) for name, memory in ROW.findall(TABLES)}
SPARE = 1.1  # other versions of libraries may take more
ROUNDED = abuse.MIB // 10


@pytest.fixture(name="costs", scope="module")
def costs_of_each_kind():
    with concurrent.futures.ThreadPoolExecutor(len(abuse.KINDS)) as pool:
        return dict(zip(abuse.KINDS, pool.map(abuse.measured, abuse.KINDS)))


def test_the_tables_name_each_kind():
    assert STATED.keys() == abuse.KINDS.keys()


@pytest.mark.parametrize("name", abuse.KINDS)
def test_it_takes_no_more_memory_than_the_table_says(costs, name):
    print(abuse.row(name, costs[name]))
    assert costs[name].memory <= STATED[name] * SPARE * abuse.MIB + ROUNDED


@pytest.mark.slow("a wait of the lab takes a minute")
def test_the_words_of_the_lab_take_no_more_memory_than_the_largest_message_and_end():
    largest = max(STATED[name] for name, (options, _, _) in abuse.KINDS.items() if not options)
    with concurrent.futures.ThreadPoolExecutor(len(abuse.LAB)) as pool:
        for name, cost in zip(abuse.LAB, pool.map(abuse.measured, abuse.LAB)):
            print(abuse.row(name, cost))
            assert cost.memory <= largest * SPARE * abuse.MIB + ROUNDED, name
