"""Requirements of the tests of the packages."""

import pytest
from require import require_root


@pytest.fixture(scope="session", autouse=True)
def privileges():
    require_root()
