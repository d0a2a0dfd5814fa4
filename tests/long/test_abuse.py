"""The cost of abusive peers does not exceed the table in SECURITY of the manual."""

import concurrent.futures
import re

import abuse
import pytest
import wire

ROW = re.compile(r"^\.It (.+?) Ta ([\d.]+) MiB Ta ([\d.,]+) ms(?: Ta (\d+) s)?$", re.M)
MANUAL = (wire.TOP / "man/ws-echo.8").read_text(encoding="utf-8")
STATED = {name: float(memory) for name, memory, *_ in ROW.findall(MANUAL)}
SPARE = 1.1  # other versions of libraries may take more
ROUNDED = abuse.MIB // 10


@pytest.fixture(name="costs", scope="module")
def costs_of_each_kind():
    with concurrent.futures.ThreadPoolExecutor(len(abuse.KINDS)) as pool:
        return dict(zip(abuse.KINDS, pool.map(abuse.measured, abuse.KINDS)))


def test_the_manual_names_each_kind():
    assert STATED.keys() == abuse.KINDS.keys()


@pytest.mark.parametrize("name", abuse.KINDS)
def test_it_takes_no_more_memory_than_the_manual_says(costs, name):
    print(abuse.row(name, costs[name]))
    assert costs[name].memory <= STATED[name] * SPARE * abuse.MIB + ROUNDED
