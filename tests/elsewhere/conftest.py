"""Requirements of the tests in other roots."""

import parts
import pytest


@pytest.fixture(scope="session", autouse=True)
def privileges():
    parts.require_root()
    parts.require("mmdebstrap", "mmdebstrap")
