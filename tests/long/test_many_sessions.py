"""Many more random sessions and heads of test_oracles.py and test_head_oracles.py, with other seeds.

SEED and SESSIONS choose others; see sessions.py.
"""

import pytest
import sessions
import test_head_oracles
import test_oracles
import wire

SEED = 1_000_000


@pytest.fixture(autouse=True)
def other_seeds(monkeypatch):
    monkeypatch.setattr(sessions, "SEED", sessions.SEED or SEED)


def many(monkeypatch, count):
    monkeypatch.setattr(sessions, "SESSIONS", sessions.SESSIONS or count)


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("judge", [test_oracles.test_random_sessions_as_wsproto_sees_them,
                                   test_oracles.test_random_sessions_as_python3_websockets_sees_them],
                         ids=["wsproto", "websockets"])
def test_many_random_sessions_get_what_other_implementations_expect(monkeypatch, judge, block):
    many(monkeypatch, 12_500)
    judge(block)


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("options", [[], ["--deflate"]], ids=["plain", "deflate"])
def test_many_random_sessions_of_ws_of_node(monkeypatch, options, block):
    many(monkeypatch, 1250)
    test_oracles.test_random_sessions_of_ws_of_node(wire.PROGRAM, block, options)


@pytest.mark.parametrize("block", range(4))
def test_many_random_heads_are_parsed_as_by_other_parsers_except_for_listed_differences(monkeypatch, block):
    many(monkeypatch, 12_500)
    test_head_oracles.test_random_heads_are_parsed_as_by_other_parsers_except_for_listed_differences(block)
