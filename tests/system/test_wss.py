# SPDX-License-Identifier: MIT
"""WebSockets over TLS from Chromium and Firefox, through nginx, HAProxy and stunnel, and over HTTP/2 through HAProxy.

The certificate is made on the spot, so the browsers are told to accept it. The proxies have the configurations of
packaging/examples; HAProxy also logs with which version of HTTP a request came.
"""

import json
import re

import framing
import launch
import proxies
import pytest
from require import require_module
from rule import rule
from serving import listening

require_module("websocket", "python3-websocket")
from browsers import Chromium, Firefox  # noqa: E402

pytestmark = rule("ws-echo(8) STANDARDS")

OPEN = "document.getElementById('status').dataset.state === 'open'"
OWN = [4000, "that was ällês"]

# Opens a WebSocket of the page's own host, sends messages, closes after as many replies, and returns the events.
TALK = """
messages => new Promise(resolve => {
    const socket = new WebSocket(`wss://${location.host}/socket?console`)
    const told = {url: socket.url, received: []}
    socket.onopen = () => messages.forEach(message => socket.send(message))
    socket.onmessage = ({data}) => {
        told.received.push(data.length < 100 ? data : data.length)
        if (told.received.length === messages.length) socket.close(...CLOSE)
    }
    socket.onclose = ({code, reason, wasClean}) => resolve(Object.assign(told, {code, reason, wasClean}))
})""".replace("CLOSE", json.dumps(OWN))
LARGE = 1 << 20


class LoggingHAProxy(proxies.HAProxyExample):
    """HAProxy writes a line for each request into its log: the version of HTTP and the query. With the total time, it does
    so at the end."""

    around = """
global
    log stdout format raw local0
EXAMPLE
    log global
    log-format "request %HV %HQ %Tt"
"""

    def websockets(self):
        """The version of HTTP of each WebSocket of the console that has ended."""
        return re.findall(r"^request (\S+) \?console ", self.log.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module", params=[Chromium, Firefox], ids=lambda browser: browser.__name__)
def browser(request):
    with request.param(any_certificate=True) as started:
        yield started


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return proxies.certificate(tmp_path_factory.mktemp("certificate"))


def talked(browser, proxy, server):
    """Asserts that the test page connects, and that a WebSocket of the console echoes, through the proxy over TLS; returns
    the record of the latter."""
    browser.open(f"https://localhost:{proxy.tls_port}/")
    browser.wait_for(OPEN)
    told = browser.evaluate(f"({TALK})(['Hällo', 'x'.repeat({LARGE})])")
    assert told == {"url": f"wss://localhost:{proxy.tls_port}/socket?console", "received": ["server: Hällo", LARGE + len(framing.PREFIX)],
                    "code": OWN[0], "reason": OWN[1], "wasClean": True}
    logs = []

    def found():
        logs[:] = [instance.log() for instance in server.instances if " close=4000 " in instance.log()]
        return logs

    launch.wait_until(found, "the record is there")
    return launch.record(logs[0])


@pytest.mark.parametrize("example", [proxies.NginxExample, proxies.StunnelExample], ids=lambda example: example.__name__)
def test_a_browser_talks_through_a_proxy_with_tls(browser, example, pem, tmp_path):
    header = ["--proxy-protocol"] if example.proxy_protocol else []
    with listening(*header) as server, example(tmp_path, server.port, pem) as proxy:
        record = talked(browser, proxy, server)
    assert record["origin"] == f"https://localhost:{proxy.tls_port}"
    assert (record["status"], record["end_id"]) == ("101", "closed-by-peer")


@rule("ws-echo-proxies(7) HAPROXY", "With the line of HTTP/2, browsers send a WebSocket in HTTP/2, and without it in HTTP/1.1.")
@pytest.mark.parametrize("changes, version", [({}, "HTTP/2.0"), ({" alpn h2,http/1.1": ""}, "HTTP/1.1")],
                         ids=["HTTP/2", "HTTP/1.1"])
def test_haproxy_offers_browsers_a_websocket_over_http_2(browser, changes, version, pem, tmp_path):
    with listening() as server, LoggingHAProxy(tmp_path, server.port, pem, changes) as proxy:
        record = talked(browser, proxy, server)
        launch.wait_until(proxy.websockets, "HAProxy has logged the WebSocket of the console")
    assert proxy.websockets() == [version]
    assert (record["status"], record["end_id"], record["forwarded"]) == ("101", "closed-by-peer", "127.0.0.1")
