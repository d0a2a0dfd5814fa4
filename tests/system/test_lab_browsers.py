"""Chromium and Firefox in the lab: the examples of ws-echo-lab(7) in their consoles, and its malformed frames."""

import lab_examples
import malformed
import parts
import pytest
from serving import listening

parts.require_module("websocket", "python3-websocket")
from browsers import Chromium, Firefox  # noqa: E402


@pytest.fixture(name="browser", scope="module", params=[Chromium, Firefox], ids=["chromium", "firefox"])
def started(request):
    with request.param() as browser:
        yield browser


def test_the_examples_show_in_a_console_what_the_page_says(browser):
    with listening(*lab_examples.OPTIONS) as listener:
        browser.open(f"http://localhost:{listener.port}/")
        lab_examples.check(browser.evaluate(lab_examples.script(listener.port, together=False)))


def test_a_browser_of_the_pages_version_does_what_the_page_says(browser):
    malformed.compare(malformed.InBrowser(browser))
