# SPDX-License-Identifier: MIT
"""Requirements of the tests in other roots."""

import pytest
from require import require, require_root


@pytest.fixture(scope="session", autouse=True)
def privileges():
    require_root()
    require("mmdebstrap", "mmdebstrap")
