# SPDX-License-Identifier: MIT
"""One fault of each class of faults.py, in each scenario; tests/long/test_fault_sweep.py tries all faults.

system/test_fault_logs.py tests scenarios that log to the journal or to syslog.
"""

import itertools

import faults
import pytest
from faults import all_right, that_injects_faults, usual_run  # the fixture `injector`

ECHO, LARGE = (next(scenario for scenario in faults.SCENARIOS if scenario.name == name) for name in ("echo", "large"))

pytestmark = pytest.mark.usefixtures("dumpable")


@pytest.mark.parametrize("scenario", [one for one in faults.SCENARIOS if one.log == "stderr"], ids=str)
def test_whatever_fails_the_connection_ends_as_documented(injector, scenario):
    usual = usual_run(injector, scenario)
    all_right(injector, usual, faults.class_cases(injector, usual))


@pytest.mark.parametrize("kind", ["signals", "clocks", "pairs"])
def test_neither_signals_nor_clocks_that_jump_nor_two_faults_at_once_do_harm(injector, kind):
    usual = usual_run(injector, LARGE if kind == "pairs" else ECHO)
    all_right(injector, usual, itertools.islice(faults.KINDS[kind](injector, usual), 0, None, 3))


def test_every_read_and_write_may_be_short_in_each_case(injector):
    usual = usual_run(injector, ECHO)
    all_right(injector, usual, (case for case in faults.short_cases(injector, usual) if "+" in case[0]))


def test_any_read_and_write_of_a_large_message_may_be_short(injector):
    usual = usual_run(injector, LARGE)
    cases = [case for case in faults.short_cases(injector, usual) if "+" not in case[0]]
    all_right(injector, usual, cases[::4])
