# SPDX-License-Identifier: MIT
"""Each system call of the program fails with each of its errors; see faults.py."""

import faults
import project
import pytest
from faults import that_injects_faults, usual_run  # the fixture `injector`
from require import require_root


@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("program", project.PROGRAMS, indirect=True, scope="module")
@pytest.mark.parametrize("scenario", faults.SCENARIOS, ids=str)
@pytest.mark.parametrize("kind", faults.KINDS)
def test_whatever_fails_the_connection_ends_as_documented(injector, scenario, kind):
    if scenario not in faults.scenarios():
        pytest.skip("the static program has no journal")
    if scenario.log != "stderr":
        require_root()
    usual = usual_run(injector, scenario)
    wrong, count = faults.tried(injector, usual, faults.KINDS[kind](injector, usual))
    print(f"{count} cases")
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong[:40])
