# SPDX-License-Identifier: MIT
"""What the tests of the test page share: the server of `make run`, Chromium and Firefox, and looks at the page.

The tests use port 8888, which must be free. They leave screenshots in build/screenshots.
"""

import http.server
import json
import os
import signal
import socket
import subprocess
import threading

import launch
import project
import proxies
import pytest
from require import require, require_module
from serving import serving

require_module("websocket", "python3-websocket")
from browsers import CONTROL, Chromium, Firefox  # noqa: E402

SCREENSHOTS = project.TOP / "build/screenshots"
PAGE = "http://localhost:8888/"
OPEN = "document.getElementById('status').dataset.state === 'open'"
CLOSED = "document.getElementById('status').dataset.state === 'closed'"
MAX_MESSAGE = 16 << 20  # the default of --max-message

# Waits for two animation frames, so that observers called in the first one have finished.
DRAWN = "new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(() => resolve())))"


def listening(port=8888):
    """Whether a process listens on this port."""
    try:
        socket.create_connection(("localhost", port), project.LIMIT).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """`make run`, as a person starts it."""
    make = require("make", "make")
    require("systemd-socket-activate", "systemd")
    if listening():
        pytest.fail("port 8888 is in use: end what listens there", pytrace=False)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = tmp_path_factory.mktemp("run") / "output"
    with said.open("w") as output:
        process = subprocess.Popen([make, "run"], cwd=project.TOP, env=environment, start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        launch.wait_until(lambda: listening() or process.poll() is not None, "make run listens")
        assert process.poll() is None, said.read_text()
        yield
    finally:
        try:
            os.killpg(process.pid, signal.SIGTERM)  # the process group: make, the listener, the instances
        except ProcessLookupError:
            pass
        process.wait(project.LIMIT)
    launch.wait_until(lambda: not listening(), "make run has ended")


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A page of another origin; /strict has a Content-Security-Policy and violates it."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        if self.path == "/strict":
            self.send_header("Content-Security-Policy", "script-src 'none'")
        self.end_headers()
        self.wfile.write(b'<!DOCTYPE html><link rel="icon" href="data:,"><title>Elsewhere</title>'
                         b"<script>window.ran = true</script>")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    """The address of a page on another loopback port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


# /ws/ and /page lead to the / of the server; the WebSocket of /page is not below it. Below /dropping/ the proxy removes
# Upgrade, and for the WebSockets of /failing/ and /moving/ nginx itself answers.
LOCATIONS = """
location /ws/ {{ proxy_pass {server}; }}
location = /page {{ proxy_pass {server}; }}
location = /socket {{ proxy_pass {server}socket; }}
location /dropping/ {{ proxy_set_header Upgrade ''; proxy_pass {server}; }}
location = /failing/ {{ proxy_pass {server}; }}
location = /failing/socket {{ return 502; }}
location = /moving/ {{ proxy_pass {server}; }}
location = /moving/socket {{ return 302 /socket; }}
"""


@pytest.fixture
def compressing():
    """The address of a server with --deflate."""
    with serving("--deflate") as address:
        yield address


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """The address of a reverse proxy in front of a server."""
    with serving("--lab=/lab") as server:
        locations = LOCATIONS.format(server=server.replace("localhost", "127.0.0.1"))
        with proxies.nginx(tmp_path_factory.mktemp("nginx"), locations) as started:
            yield f"http://localhost:{started.port}"


@pytest.fixture(scope="module", params=[Chromium, Firefox], ids=["chromium", "firefox"])
def started(request):
    with request.param() as browser:
        yield browser


@pytest.fixture
def browser(started):
    """A browser with an empty tab and an empty console."""
    started.open("about:blank")
    started.resize(1280, 800)
    started.problems()
    started.console.clear()
    return started


@pytest.fixture
def picture(started):
    """A function that takes a screenshot."""
    name = type(started).__name__.lower()
    return lambda what: started.screenshot(SCREENSHOTS / f"{name}-{what}.png")


def opened_anew(browser, address):
    """Opens the page, which has stored nothing, and waits for its WebSocket. A browser stores in the background."""
    def is_new():
        browser.open(address)
        texts, path, first = browser.evaluate("""[JSON.parse(localStorage.getItem('ws-echo'))?.texts ?? [],
            document.querySelector('#path').value, document.querySelector('#path').defaultValue]""")
        return (texts, path) == ([], first) or browser.evaluate("localStorage.clear()")
    launch.wait_until(is_new, "nothing is stored")
    browser.wait_for(OPEN)
    return browser


@pytest.fixture
def page(browser, service):
    """The browser with the page of `make run`."""
    return opened_anew(browser, PAGE)


@pytest.fixture(scope="module")
def lab():
    """The address of a server with a lab, which shows the headers to pages of this origin."""
    with serving("--lab=/lab", "--origin=http://localhost:PORT") as address:
        yield address


@pytest.fixture
def laboratory(browser, lab):
    """The browser with the page of a server that has a lab."""
    return opened_anew(browser, lab)


def received(page, count):
    """Waits for as many replies in the page's log, and returns the text of the last one."""
    return page.wait_for(f"""(entries => entries.length >= {count} && entries[{count - 1}].innerText)(
        document.querySelectorAll('#entries li.received'))""")


def entry(page, words):
    """Waits for an entry of the page's log that contains these words, and returns its text."""
    return page.wait_for(f"""[...document.querySelectorAll('#entries li')].map(entry => entry.textContent).findLast(
        text => text.includes({json.dumps(words)}))""")


def entries(page):
    """The texts of all entries that the log shows."""
    return page.evaluate("[...document.querySelectorAll('#entries li')].map(entry => entry.innerText)")


def value(page, selector, name):
    return page.evaluate(f"document.querySelector({selector!r}).{name}")


def in_view(browser, selector):
    """Whether the middle of an element's lower edge is visible, covered by nothing but the element or its text."""
    return browser.evaluate(f"""(element => {{
        const {{left, width, bottom}} = element.getBoundingClientRect()
        return element.contains(document.elementFromPoint(left + width / 2, bottom - 2))
    }})(document.querySelector({selector!r}))""")


def show(page, panel):
    """Opens a panel, unless it is open."""
    if not value(page, f"#{panel}", "open"):
        page.click(f"#{panel} > summary")
        page.wait_for(f"document.querySelector('#{panel}').open")


def fill(page, selector, text):
    """Replaces the text of a field."""
    page.click(selector)
    page.chord(CONTROL, "a")
    page.press(text or "\ue003")  # Backspace


def choose(page, selector, option):
    """Chooses an option of a list, as its menu would."""
    page.evaluate(f"""(list => {{
        list.value = {json.dumps(option)}
        for (const type of ['input', 'change']) list.dispatchEvent(new Event(type, {{bubbles: true}}))
    }})(document.querySelector({selector!r}))""")
    assert value(page, selector, "value") == option


def send_many(page, times, size=1, unit="1", what="random text", every=""):
    """Sends messages with the form for many, and waits until all are answered."""
    show(page, "many")
    choose(page, "#what", what)
    choose(page, "#unit", unit)
    for selector, text in ("#size", size), ("#times", times), ("#every", every):
        fill(page, selector, str(text))
    last = "document.querySelector('#entries li:last-child .note')"
    page.evaluate(f"void {last}?.classList.replace('note', 'before')")
    page.click("#start")
    return page.wait_for(f"(said => /^(Done|Stopped)/.test(said) && said)({last}?.textContent)")


def downloaded(page, click):
    """Clicks where it makes the browser save a file, waits until that is complete, and returns its path."""
    before = set(page.downloads.iterdir())
    page.click(click)
    new = []

    def complete():
        new[:] = set(page.downloads.iterdir()) - before
        return len(new) == 1 and new[0].suffix not in (".part", ".crdownload") and new[0].stat().st_size > 0
    launch.wait_until(complete, "the file is saved")
    return new[0]


def refusal(browser):
    """What the page logs about a failed handshake."""
    said = browser.wait_for("[...document.querySelectorAll('#entries li span')].find("
                            "entry => entry.textContent.startsWith('Not connected to'))?.textContent")
    assert value(browser, "#status", "dataset.state") == "failed"
    assert not [problem for problem in browser.problems() if "Content-Security-Policy" in problem]
    return said
