"""Each system call of the program fails with each of its errors; see faults.py."""

import faults
import project
import pytest
from require import require_root


@pytest.fixture(name="injector", scope="module")
def that_injects_faults(tmp_path_factory, program):
    injector = faults.Injector(tmp_path_factory.mktemp("faults"))
    yield injector
    injector.close()


@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("program", project.PROGRAMS, indirect=True, scope="module")
@pytest.mark.parametrize("scenario", faults.SCENARIOS, ids=str)
@pytest.mark.parametrize("kind", faults.KINDS)
def test_whatever_fails_the_connection_ends_as_documented(injector, scenario, kind):
    if scenario not in faults.scenarios():
        pytest.skip("the static program has no journal")
    if scenario.log != "stderr":
        require_root()
    usual = injector.run(scenario)
    assert usual.status == 0 and scenario.answer in (None, usual.answer), usual
    wrong, count = faults.tried(injector, usual, faults.KINDS[kind](injector, usual))
    print(f"{count} cases")
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong[:40])
