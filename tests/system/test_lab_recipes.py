# SPDX-License-Identifier: MIT
"""Recipes of ws-echo-lab(7) as their reader follows them, through HAProxy where they speak of a balancer."""

import re
import socket
import time

import framing
import heads
import malformed
import project
import proxies
import pytest
from rule import rule
from serving import listening

pytestmark = rule("ws-echo-lab(7) RECIPES (2)", "The recipes about a balancer and about back-pressure show what they say.")

IDLE = 2  # seconds of HAProxy's timeout, after which it ends a silent connection
RECIPES = malformed.section("RECIPES")


@pytest.fixture(name="balancer", scope="module")
def haproxy(tmp_path_factory):
    """HAProxy in front of a lab whose server never ends a connection itself."""
    with listening("--lab=/lab", "--timeout=0", "--ping-interval=0.5") as server:
        configuration = proxies.HAPROXY.replace("MODE", "http").replace("SERVER", str(server.port))
        configuration = configuration.replace("timeout tunnel 60s", f"timeout tunnel {IDLE}s")
        with proxies.HAProxy(configuration, tmp_path_factory.mktemp("haproxy")) as proxy:
            yield proxy


def lasting(balancer, query):
    """Connect and send nothing: how long the connection lasts, three times the timeout at most, and what comes."""
    with socket.create_connection(("127.0.0.1", balancer.port), project.LIMIT) as client:
        client.sendall(heads.head(path=f"/lab?{query}"))
        start, came = time.monotonic(), b""
        while (left := start + 3 * IDLE - time.monotonic()) > 0:
            client.settimeout(left)
            try:
                part = client.recv(1 << 16)
            except TimeoutError:
                break
            if not part:
                break
            came += part
        head, _, frames = came.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        return time.monotonic() - start, frames


@pytest.mark.slow(reason="the balancer waits for its timeout")
def test_a_silent_connection_ends_by_the_timeout_of_the_balancer(balancer):
    assert "/lab?mute=ping\n" in RECIPES
    seconds, came = lasting(balancer, "mute=ping")
    assert IDLE - 0.1 <= seconds < 3 * IDLE and came == b""


@pytest.mark.slow(reason="the balancer has to have had the time")
def test_messages_or_pings_in_between_prevent_that(balancer):
    assert re.search(r"/lab\?mute=ping&repeat=\d+\n", RECIPES)
    for query, sent in (("mute=ping&repeat=0.5", framing.reply(framing.TEXT)), ("mute=pong", framing.reply(framing.PING))):
        seconds, came = lasting(balancer, query)
        assert seconds >= 3 * IDLE - 0.1 and came.startswith(sent * 3), (query, seconds, came)
