# SPDX-License-Identifier: MIT
"""Requirements of the tests of the packages."""

import images
import pytest
from require import require_root


@pytest.fixture(scope="session", autouse=True)
def privileges():
    require_root()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image of this machine's architecture."""
    with images.storage(tmp_path_factory.mktemp("storage")):
        images.made_container()
        yield images.Image()
