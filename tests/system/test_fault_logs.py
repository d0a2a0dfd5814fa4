# SPDX-License-Identifier: MIT
"""The faults of faults.py with a log to a daemon: a socket of the test replaces it in a mount namespace."""

import errno

import faults
import pytest
from faults import all_right, that_injects_faults, usual_run  # the fixture `injector`

XINETD, JOURNAL = (next(scenario for scenario in faults.SCENARIOS if scenario.log == log) for log in ("syslog", "journal"))

pytestmark = pytest.mark.usefixtures("dumpable")


def test_whatever_fails_the_connection_ends_as_documented_where_syslog_is_the_log(injector):
    usual = usual_run(injector, XINETD)
    all_right(injector, usual, faults.class_cases(injector, usual))


@pytest.mark.with_libsystemd
def test_whatever_fails_the_connection_ends_as_documented_where_the_journal_is_the_log(injector):
    usual = usual_run(injector, JOURNAL)
    all_right(injector, usual, faults.class_cases(injector, usual))


def test_if_the_kernel_does_not_say_what_standard_error_is_nothing_is_written_there(injector):
    usual = usual_run(injector, XINETD)
    unknown = [injector.fault(call, "error", 12, onwards=True) for call in usual.calls
               if call.name in ("fstat", "newfstatat") and call.role() == "log" and call.phase == "starting"]
    all_right(injector, usual, [(unknown[0], [faults.unlogged])])


@pytest.mark.with_libsystemd
@pytest.mark.parametrize("error", ["EAGAIN", "EMSGSIZE", "ENOBUFS"])
def test_if_the_journal_refuses_the_record_only_the_record_is_lost(injector, error):
    """libsystemd then tries to pass the record in a file, which the filter forbids."""
    usual = usual_run(injector, JOURNAL)
    sending = [call for call in usual.calls if call.name == "sendmsg"]
    assert sending, "the record goes to the journal"
    number = getattr(errno, error)
    all_right(injector, usual, [(injector.fault(call, "error", number), [faults.unlogged]) for call in sending])
