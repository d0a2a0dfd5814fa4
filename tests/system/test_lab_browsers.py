# SPDX-License-Identifier: MIT
"""Chromium and Firefox in the lab: the examples of ws-echo-lab(7) in their consoles, and its malformed frames."""

import lab_examples
import malformed
import pytest
from require import require_module
from rule import rule
from serving import listening

require_module("websocket", "python3-websocket")
from browsers import Chromium, Firefox  # noqa: E402


@pytest.fixture(name="browser", scope="module", params=[Chromium, Firefox], ids=["chromium", "firefox"])
def started(request):
    with request.param() as browser:
        yield browser


@rule("ws-echo-lab(7) WORDS (1)")
def test_the_examples_show_in_a_console_what_the_page_says(browser):
    with listening(*lab_examples.OPTIONS) as listener:
        browser.open(f"http://localhost:{listener.port}/")
        lab_examples.check(browser.evaluate(lab_examples.script(listener.port, together=False)))


@rule("ws-echo-lab(7) WHAT CLIENTS DO")
def test_a_browser_of_the_pages_version_does_what_the_page_says(browser):
    malformed.compare(malformed.InBrowser(browser))


@rule("ws-echo-lab(7) RECIPES (2)")
def test_a_server_that_stops_reading_fills_the_browsers_buffer(browser):
    """The recipe of back-pressure, with a shorter stall."""
    with listening("--lab=/lab") as listener:
        browser.open(f"http://localhost:{listener.port}/")
        during, after = browser.evaluate(f"""new Promise((resolve, reject) => {{
            const socket = new WebSocket('ws://localhost:{listener.port}/lab?count=1&stall=2'), count = 32
            let received = 0, during
            socket.onopen = () => socket.send('first')
            socket.onmessage = () => {{
                if (received++ === 0) {{
                    for (let i = 0; i < count; i++) socket.send('x'.repeat(1 << 20))
                    setTimeout(() => during = socket.bufferedAmount, 1000)
                }}
                if (received === 1 + count) resolve([during, socket.bufferedAmount])
            }}
            socket.onclose = reject
        }})""")
    assert during > 1 << 20 and after == 0
