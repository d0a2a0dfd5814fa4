"""Each system call of the program fails with each of its errors; see faults.py."""

import gzip
import pathlib
import re

import faults
import project
import pytest
from require import require_file, require_root


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


@pytest.mark.parametrize("call", faults.ERRORS)
def test_the_table_of_errors_is_that_of_the_manual(call):
    named = set()
    for page in faults.PAGES.get(call, [call]):
        folder = pathlib.Path("/usr/share/man/man2")
        require_file(folder / "read.2.gz", "manpages-dev")
        if not (folder / f"{page}.2.gz").exists():
            assert call in faults.UNNAMED and not faults.ERRORS[call], f"the manual has no {page}(2)"
            continue
        text = gzip.decompress((folder / f"{page}.2.gz").read_bytes()).decode()
        while link := re.match(r"\.so man2/(\w+\.2)", text):
            text = gzip.decompress((folder / f"{link[1]}.gz").read_bytes()).decode()
        if section := re.search(r"^\.SH ERRORS\n(.*?)^\.SH ", text, re.M | re.S):
            named.update(re.findall(r"^\.BR? (E[A-Z0-9]+)\b", section[1], re.M))
    assert set(faults.ERRORS[call]) == named
