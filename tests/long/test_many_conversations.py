# SPDX-License-Identifier: MIT
"""Many more random conversations and heads of clients/test_oracles.py and clients/test_head_oracles.py, with other seeds.

SEED and COUNT choose others; see conversations.py.
"""

import os
import subprocess
import sys

import launch
import project
import pytest

SEED = 1_000_000


def passes(test, row, count):
    """Run one row of those tests with so many conversations."""
    environment = {**os.environ, "SEED": os.environ.get("SEED", str(SEED)), "COUNT": os.environ.get("COUNT", str(count)),
                   "WS_ECHO": launch.PROGRAM}
    result = subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-p", "no:xdist",
                             f"tests/clients/{test}[{row}]"], cwd=project.TOP, env=environment, capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0 and "1 passed" in result.stdout, result.stdout[-6000:] + result.stderr


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("judge", ["test_oracles.py::test_random_conversations_as_wsproto_sees_them",
                                   "test_oracles.py::test_random_conversations_as_python3_websockets_sees_them"],
                         ids=["wsproto", "websockets"])
def test_many_random_conversations_get_what_other_implementations_expect(judge, block):
    passes(judge, block, 12_500)


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("options", ["plain", "deflate"])
def test_many_random_conversations_of_ws_of_node(options, block):
    passes("test_oracles.py::test_random_conversations_of_ws_of_node", f"{block}-{options}", 1250)


@pytest.mark.parametrize("block", range(4))
def test_many_random_heads_are_parsed_as_by_other_parsers_except_for_listed_differences(block):
    passes("test_head_oracles.py::test_random_heads_are_parsed_as_by_other_parsers_except_for_listed_differences", block, 12_500)
