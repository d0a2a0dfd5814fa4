"""Requirements of the tests of the packages."""

import parts
import pytest


@pytest.fixture(scope="session", autouse=True)
def privileges():
    parts.require_root()
