"""Chromium and Firefox with the server of `make run`: from a console, and with the test page.

The tests use port 8888, which must be free. They leave screenshots in build/screenshots.
"""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading

import framing
import launch
import project
import proxies
import pytest
from require import require, require_module
from rule import rule
from serving import serving

require_module("websocket", "python3-websocket")
from browsers import DOWN, ENTER, SHIFT, TAB, UP, Chromium, Firefox  # noqa: E402

pytestmark = rule("ws-echo(8) STANDARDS")

SCREENSHOTS = project.TOP / "build/screenshots"
PAGE = "http://localhost:8888/"
OPEN = "document.getElementById('status').dataset.state === 'open'"
MAX_MESSAGE = 16 << 20  # the default of --max-message

# A script for the console: sends messages, closes after as many replies, and returns the events. A binary
# message is returned as a list of its bytes.
TALK = """
(messages, {path = '/socket', subprotocols = [], close = [1000]} = {}) => new Promise(resolve => {
    const socket = new WebSocket('ws://localhost:8888' + path, subprotocols)
    const told = {opened: false, errors: 0, received: []}
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
        Object.assign(told, {opened: true, protocol: socket.protocol, extensions: socket.extensions})
        messages.forEach(message => socket.send(message))
        if (!messages.length) socket.close(...close)
    }
    socket.onmessage = ({data}) => {
        told.received.push(typeof data === 'string' ? data : Array.from(new Uint8Array(data)))
        if (told.received.length === messages.length) socket.close(...close)
    }
    socket.onerror = () => told.errors++
    socket.onclose = ({code, reason, wasClean}) => resolve(Object.assign(told, {code, reason, wasClean}))
})"""


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
    with serving() as server:
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
    started.resize(1200, 800)
    started.problems()
    started.console.clear()
    return started


@pytest.fixture
def picture(started):
    """A function that takes a screenshot."""
    name = type(started).__name__.lower()
    return lambda what: started.screenshot(SCREENSHOTS / f"{name}-{what}.png")


# The console of a page from another origin.

@pytest.fixture
def console(browser, elsewhere, service):
    """A function that exchanges messages with the server from the console; messages are JavaScript expressions."""
    browser.open(elsewhere)

    def talk(messages="[]", **how):
        return browser.evaluate(f"({TALK})({messages}, {json.dumps(how)})")

    return talk


def test_a_websocket_typed_into_the_console_gets_its_echo(browser, elsewhere, service):
    browser.open(elsewhere)
    assert browser.evaluate("""new Promise((resolve, reject) => {
        const socket = new WebSocket('ws://localhost:8888/socket')
        socket.onopen = () => socket.send('Hello world')
        socket.onmessage = event => resolve(event.data)
        socket.onerror = reject
    })""") == "server: Hello world"
    assert browser.problems() == []


def test_the_lines_of_the_readme_get_their_echo_on_the_page_that_it_says_to_open(browser, service):
    """README.md also says that they fail on the same page under another host name, and in an empty tab of Chromium."""
    text = (project.TOP / "README.md").read_text(encoding="utf-8").split("\n## Try it\n")[1]
    before, code = re.search(r"^(.*?)^```js\n(.*?)^```$", text, re.M | re.S).groups()
    (page,) = re.findall(r"<(http://[^ ]*)>", before)
    browser.open(page)
    assert browser.enter(code) is None
    browser.wait_for("socket.readyState === WebSocket.OPEN")
    browser.evaluate("""new Promise(resolve => {
        socket.addEventListener('message', event => event.data.endsWith('again') && resolve(null))
        socket.send('again')
    })""")
    assert browser.problems() == []
    assert [text for level, text in browser.console if level == "info"] == ["server: Hello world", "server: again"]
    browser.open(page.replace("localhost", "127.0.0.1"))
    browser.enter(code)
    assert "connect-src blocked" in " ".join(browser.problems())


def test_a_conversation_is_opened_without_extension_and_closed_cleanly(console):
    assert console("['Hello world']") == {
        "opened": True, "errors": 0, "protocol": "", "extensions": "", "received": ["server: Hello world"],
        "code": 1000, "reason": "", "wasClean": True,
    }


def test_compression_is_agreed_to_where_the_server_wants_it_and_messages_come_back(browser, compressing):
    """Sent one after the other, so that later messages refer to earlier ones in the window."""
    browser.open(compressing)
    talk = TALK.replace("ws://localhost:8888", compressing.replace("http", "ws").rstrip("/"))
    told = browser.evaluate(f"({talk})(['Hello world', 'Hello world', '', 'ä€😀 '.repeat(30000), "
                            "new Uint8Array(3).buffer, new ArrayBuffer(0), 'x', new Blob(['x'.repeat(1000)])])")
    assert told.pop("extensions").startswith("permessage-deflate"), told
    assert told == {
        "opened": True, "errors": 0, "protocol": "",
        "received": ["server: Hello world", "server: Hello world", "server: ", "server: " + "ä€😀 " * 30000, [0, 0, 0], [],
                     "server: x", [120] * 1000],
        "code": 1000, "reason": "", "wasClean": True,
    }


def test_binary_comes_back_byte_for_byte(console):
    every_byte = "Uint8Array.from({length: 256}, (_, index) => index)"
    assert console(f"[{every_byte}]")["received"] == [list(range(256))]


def test_a_blob_comes_back_byte_for_byte(console):
    assert console("[new Blob(['\\u00e9', new Uint8Array([0, 255])])]")["received"] == [[0xC3, 0xA9, 0, 255]]


def test_empty_messages_are_messages(console):
    assert console("['', new ArrayBuffer(0), '']")["received"] == ["server: ", [], "server: "]


def test_a_mebibyte_of_characters_of_two_three_and_four_bytes_comes_back(console):
    text = "é€😀" * 116508 + "éé"
    assert len(text.encode()) == 1 << 20
    (received,) = console("['é€😀'.repeat(116508) + 'éé']")["received"]
    assert received == f"server: {text}", (len(received), received[:20], received[-20:])


def test_messages_sent_at_once_are_answered_in_order(console):
    received = console("Array.from({length: 1000}, (_, index) => String(index))")["received"]
    assert received == [f"server: {index}" for index in range(1000)]


@pytest.mark.parametrize("offered, agreed", [([], ""), (["chat"], "chat"), (["b", "a"], "b")])
def test_the_first_subprotocol_offered_is_agreed_to(console, offered, agreed):
    told = console("['x']", subprotocols=offered)
    assert (told["protocol"], told["received"]) == (agreed, ["server: x"])


@pytest.mark.parametrize("close, code", [
    ([], 1005), ([1000], 1000), ([3000, "library"], 3000), ([4999, "été"], 4999),
], ids=lambda value: None if isinstance(value, list) else str(value))
def test_a_close_is_answered_with_its_code_and_its_reason(console, close, code):
    told = console(close=close)
    assert (told["code"], told["reason"], told["wasClean"]) == (code, "".join(close[1:]), True)


@rule("RFC 6455 7.1.1 (1)")
def test_the_servers_own_close_and_its_reason_arrive_although_the_browser_still_sends(console):
    told = console(f"[new ArrayBuffer({MAX_MESSAGE + 1})]")
    assert (told["code"], told["received"]) == (1009, []), told
    assert told["reason"], "nothing says what was wrong"


def test_a_wrong_path_is_refused(console):
    told = console(path="/nowhere")
    assert (told["opened"], told["errors"], told["code"], told["wasClean"]) == (False, 1, 1006, False)


# The page.

@pytest.fixture
def page(browser, service):
    browser.open(PAGE)
    browser.wait_for(OPEN)
    return browser


def received(page, count):
    """Waits for as many replies in the page's log, and returns the text of the last one."""
    return page.wait_for(f"""(entries => entries.length >= {count} && entries[{count - 1}].innerText)(
        document.querySelectorAll('#entries li.received'))""")


def value(page, selector, name):
    return page.evaluate(f"document.querySelector({selector!r}).{name}")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_the_page_connects_to_where_it_came_from(browser, service, host):
    browser.open(f"http://{host}:8888/")
    browser.wait_for(OPEN)
    assert f"ws://{host}:8888/socket" in value(browser, "#status", "textContent")
    assert browser.problems() == []


def pasted(page, example):
    """Enters an example into the console as one block."""
    assert page.enter(example) is None


def line_by_line(page, example):
    """Enters an example so slowly that the connection opens between two lines.

    A console waits for more lines while a line is an incomplete statement.
    """
    entered = ""
    for line in example.splitlines():
        entered += line + "\n"
        failure = page.enter(entered)
        if failure is None:
            entered = ""
            page.wait_for("socket.readyState === WebSocket.OPEN")
        else:
            assert "SyntaxError" in failure, failure
    assert not entered, f"never complete: {entered}"


@pytest.fixture(scope="module")
def example():
    """README.md's example for the console of a browser."""
    (found,) = re.findall(r"\n## Try it\n.*?```js\n(.+?)```", (project.TOP / "README.md").read_text(), re.S)
    return found


@pytest.mark.parametrize("typed", [pasted, line_by_line])
def test_the_example_works_in_the_console_of_the_page(page, example, typed):
    typed(page, example)
    page.wait_for("socket.readyState === WebSocket.OPEN")
    page.evaluate("""new Promise(resolve => {
        socket.addEventListener('message', ({data}) => data === 'server: last' && resolve())
        socket.send('last')  // its answer comes after all others
    })""")
    page.problems()
    assert ("info", "server: Hello world") in page.console


@pytest.mark.parametrize("typed", [pasted, line_by_line])
def test_what_is_typed_into_the_console_of_the_page_leaves_the_page_alone(page, example, typed):
    typed(page, example)
    page.wait_for("socket.readyState === WebSocket.OPEN")
    page.type("#text", "not disturbed" + ENTER)
    assert "server: not disturbed" in received(page, 1)
    assert page.evaluate("document.querySelectorAll('#entries li').length") == 3
    page.click("#disconnect")
    page.wait_for("document.getElementById('status').dataset.state === 'closed'")
    assert page.evaluate("socket.readyState === WebSocket.OPEN"), "the console's socket is another one"
    assert page.problems() == []


@pytest.mark.parametrize("place, path", [("/ws/", "/ws/socket"), ("/ws", "/ws/socket"), ("/page", "/socket")])
def test_the_page_connects_relative_to_its_own_url(browser, proxy, place, path):
    """nginx redirects /ws to /ws/."""
    browser.open(proxy + place)
    browser.wait_for(OPEN)
    assert proxy.replace("http", "ws") + path in value(browser, "#status", "textContent")
    assert value(browser, "#path", "value") == path
    browser.press("through the proxy" + ENTER)
    assert "server: through the proxy" in received(browser, 1)
    assert browser.problems() == []


def test_a_path_without_a_slash_is_relative_to_the_page(browser, proxy):
    browser.open(proxy + "/ws/")
    browser.wait_for(OPEN)
    browser.evaluate("void (document.getElementById('path').value = 'nowhere')")
    browser.type("#path", ENTER)
    assert f"{proxy.replace('http', 'ws')}/ws/nowhere" in refusal(browser)


def test_the_page_echoes_a_text_typed_and_sent_by_enter(page, picture):
    picture("connected")
    page.type("#text", "Hello wörld 😀" + ENTER)
    assert "server: Hello wörld 😀" in received(page, 1)
    assert value(page, "#text", "value") == ""
    page.press("again" + ENTER)  # the text field keeps the focus
    assert "server: again" in received(page, 2)
    assert "differs" not in value(page, "#entries", "textContent")
    picture("text")
    assert page.problems() == []


# Makes the page send another text, or delay a message until the next one, to imitate a faulty server or proxy.
ANOTHER = """void (send => WebSocket.prototype.send = function () { send.call(this, 'other') })(WebSocket.prototype.send)"""
TWO_AT_ONCE = """void ((send, held) => WebSocket.prototype.send = function (data) {
    held.push(() => send.call(this, data))
    if (held.length === 2) held.forEach(release => release())
})(WebSocket.prototype.send, [])"""


def test_the_page_says_that_a_reply_differs_from_what_was_sent(page):
    page.evaluate(ANOTHER)
    page.press("Hello world" + ENTER)
    reply = received(page, 1)
    assert "server: other" in reply and "differs from what was sent" in reply


def test_the_page_compares_each_reply_with_the_message_that_it_answers(page):
    page.evaluate(TWO_AT_ONCE)
    page.press("one" + ENTER + "two" + ENTER)
    assert "server: two" in received(page, 2)
    assert "differs" not in value(page, "#entries", "textContent")


def test_the_page_counts_messages_bytes_and_milliseconds(page):
    page.press("wörld" + ENTER)
    received(page, 1)
    assert [value(page, f"#{name}", "textContent") for name in ("sent", "received", "awaiting")] == [
        "1 (6 bytes)", "1 (14 bytes)", "0"]
    assert re.fullmatch(r"(under 1|[0-9.,]+) ms \([0-9.,]+–[0-9.,]+\)", value(page, "#round-trip", "textContent"))


@pytest.mark.parametrize("size", [(1200, 800), (640, 360), (360, 640), (360, 300)], ids=str)
def test_the_text_field_has_the_focus_and_is_in_view_on_load_on_any_screen(browser, service, size, picture):
    """An on-screen keyboard leaves a low screen."""
    browser.resize(*size)
    browser.open(PAGE)
    browser.wait_for(OPEN)
    assert browser.evaluate("document.activeElement.id") == "text"
    assert browser.evaluate("scrollY") == 0
    for element in ("#status", "#text", "#send-text"):
        assert in_view(browser, element), element
    below = "innerHeight - document.getElementById('text').getBoundingClientRect().bottom"
    assert browser.evaluate(below) < 64, "the log has the height that is left"
    browser.press("Hello world" + ENTER)
    assert "server: Hello world" in received(browser, 1)
    assert in_view(browser, "#entries li:last-child .preview") and in_view(browser, "#text")
    picture("{}x{}".format(*size))
    assert browser.problems() == []


def in_view(browser, selector):
    """Whether the middle of an element's lower edge is visible, covered by nothing but the element or its text."""
    return browser.evaluate(f"""(element => {{
        const {{left, width, bottom}} = element.getBoundingClientRect()
        return element.contains(document.elementFromPoint(left + width / 2, bottom - 2))
    }})(document.querySelector({selector!r}))""")


def test_the_newest_message_stays_in_view_when_a_keyboard_takes_its_part_of_the_screen(page):
    page.resize(360, 640)
    for count in range(1, 13):
        page.press(f"{count}" + ENTER)
        received(page, count)
    assert in_view(page, "#entries li:last-child")
    page.resize(360, 300)
    page.wait_for("innerHeight === 300")
    page.evaluate(DRAWN)
    assert in_view(page, "#entries li:last-child") and in_view(page, "#text")
    page.press("below" + ENTER)
    received(page, 13)
    assert in_view(page, "#entries li:last-child")


# Waits for two animation frames, so that observers called in the first one have finished.
DRAWN = "new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(() => resolve())))"


def test_who_reads_further_up_in_the_log_is_not_disturbed(page):
    page.resize(360, 300)
    for count in range(1, 5):
        page.press(f"{count}" + ENTER)
        received(page, count)
    page.evaluate("document.getElementById('log').scrollTo(0, 0)")
    page.evaluate(DRAWN)
    page.press("5" + ENTER)
    received(page, 5)
    page.evaluate(DRAWN)
    assert value(page, "#log", "scrollTop") == 0


def test_the_page_can_be_operated_by_the_keyboard_alone(page):
    controls = page.evaluate("[...document.querySelectorAll('#log, input, textarea, button')].map(node => node.id)")
    forwards = controls[controls.index("text") + 1:]
    for control in forwards:
        page.press(TAB)
        assert page.evaluate("document.activeElement.id") == control
    for control in reversed(controls[:-1]):
        page.chord(SHIFT, TAB)
        assert page.evaluate("document.activeElement.id") == control
    page.press(TAB * controls.index("text") + "by keyboard" + TAB + ENTER)
    assert "server: by keyboard" in received(page, 1)
    assert page.problems() == []


def test_up_and_down_recall_what_was_sent(page):
    page.press("one" + ENTER + "two" + ENTER + "two" + ENTER + ENTER + "draft")
    shown = []
    for key in (UP, UP, UP, DOWN, DOWN, DOWN):
        page.press(key)
        shown.append(value(page, "#text", "value"))
    assert shown == ["two", "one", "one", "two", "draft", "draft"]
    page.press(UP + UP + "!" + ENTER)  # a recalled text can be edited; the cursor is at its end
    assert "server: one!" in received(page, 5)
    page.press(UP + UP + ENTER)
    assert "server: two" in received(page, 6)
    assert page.problems() == []


def test_up_and_down_move_the_cursor_in_a_text_of_several_lines_first(page):
    page.press("sent before" + ENTER + "first")
    page.chord(SHIFT, ENTER)
    page.press("second" + UP)
    assert value(page, "#text", "value") == "first\nsecond"
    page.press(UP)
    assert value(page, "#text", "value") == "sent before"
    page.press(DOWN)
    assert value(page, "#text", "value") == "first\nsecond"
    page.press(ENTER)
    assert "server: first\nsecond" in received(page, 2)


def test_the_page_sends_a_file_as_one_binary_message(page, picture, tmp_path):
    file = tmp_path / "every-byte.bin"
    file.write_bytes(bytes(range(256)) * 256)
    page.choose_file("#file", file)
    page.click("#send-file")
    reply = received(page, 1)
    assert "binary" in reply and "65,536 bytes" in reply and "identical" in reply, reply
    picture("file")
    assert page.problems() == []


def test_the_page_shows_the_close_code_and_connects_again(page, picture):
    page.type("#reason", "that was all")
    page.click("#disconnect")
    page.wait_for("document.getElementById('status').dataset.state === 'closed'")
    assert "1000" in value(page, "#status", "textContent")
    page.wait_for("/1000/.test(document.querySelector('#entries li:last-child').textContent)")
    picture("closed")
    page.click("#connect")
    page.wait_for(OPEN)
    page.type("#text", "back" + ENTER)
    assert "server: back" in received(page, 1)
    assert page.problems() == []


def test_the_page_offers_subprotocols_and_shows_the_one_agreed_to(page):
    page.type("#subprotocols", "chat, superchat" + ENTER)
    page.wait_for("/chat/.test(document.getElementById('status').textContent)")
    assert page.problems() == []


def test_the_page_shows_the_extension_agreed_to(browser, page, compressing):
    assert "permessage" not in value(page, "#status", "textContent")
    browser.open(compressing)
    browser.wait_for(OPEN)
    assert "permessage-deflate" in value(browser, "#status", "textContent")
    browser.type("#text", "compressed" + ENTER)
    assert "server: compressed" in received(browser, 1)
    assert browser.problems() == []


def refusal(browser):
    """What the page logs about a failed handshake."""
    said = browser.wait_for("[...document.querySelectorAll('#entries li')].find("
                            "entry => entry.textContent.startsWith('Not connected'))?.textContent")
    assert value(browser, "#status", "dataset.state") == "failed"
    assert not [problem for problem in browser.problems() if "Content-Security-Policy" in problem]
    return said


def test_the_page_says_that_a_wrong_path_was_refused(page, picture):
    page.type("#path", "s" + ENTER)  # the click sets the cursor inside /socket, so the path becomes wrong
    assert "404: Nothing is served at this path." in refusal(page)
    picture("refused")


def test_the_page_says_that_its_origin_was_refused(browser, picture):
    with serving("--origin=https://example.org", "--origin=null") as address:
        browser.open(address)
        said = refusal(browser)
    assert f"origin, {address.rstrip('/')}, is not among those that --origin allows: https://example.org, null" in said
    picture("origin")


def test_the_page_does_not_blame_its_origin_for_a_wrong_path(browser):
    with serving("--origin=https://example.org") as address:
        browser.open(address)
        refusal(browser)
        browser.click("#clear")
        browser.type("#path", "s" + ENTER)
        said = refusal(browser)
    assert "404: Nothing is served at this path." in said and "origin" not in said


def test_the_page_does_not_blame_an_origin_that_is_allowed(browser):
    with serving("--origin=https://example.org", "--origin=http://localhost:PORT") as address:
        browser.open(address)
        browser.wait_for(OPEN)
        browser.type("#subprotocols", " ".join(f"n{number}" for number in range(65)) + ENTER)  # one too many
        said = refusal(browser)
    assert "A plain request is answered with 426" in said and "origin" not in said


def test_the_page_connects_where_its_origin_is_allowed(browser):
    with serving("--origin=https://example.org", "--origin=http://localhost:PORT") as address:
        browser.open(address)
        browser.wait_for(OPEN)
        assert browser.problems() == []


def test_the_page_says_that_a_proxy_may_have_removed_upgrade(browser, proxy):
    browser.open(f"{proxy}/dropping/")
    said = refusal(browser)
    assert "426: This is a WebSocket; send Upgrade: websocket over HTTP/1.1" in said and "open the test page" not in said
    assert "A proxy may have removed the Upgrade field." in said


def test_the_page_points_to_the_log_where_the_query_may_be_the_reason(browser):
    with serving("--path=/lab", "--lab=/lab") as address:
        browser.open(address)
        browser.wait_for(OPEN)
        browser.type("#path", "?bogus" + ENTER)
        said = refusal(browser)
    assert "426" in said and "On a path of --lab, the query may have caused this" in said and "A proxy" not in said


@pytest.mark.parametrize("place, answer", [("failing", "502"), ("moving", "a redirect")])
def test_the_page_tells_the_kind_of_an_answer_that_is_not_the_servers(browser, proxy, place, answer):
    browser.open(f"{proxy}/{place}/")
    assert re.search(rf"A plain request is answered with {answer}[0-9:.]*$", refusal(browser)), "and nothing of it"


def test_the_page_says_that_nobody_answers(browser):
    with serving() as address:
        browser.open(address)
        browser.wait_for(OPEN)
    browser.click("#connect")
    assert "The server does not answer." in refusal(browser)


def test_the_page_shows_the_reason_of_the_servers_close(browser, picture):
    option = "--max-message=10"
    ((_, _, body),) = framing.frames(launch.exchange(framing.text("x" * 11), option))
    reason = body[2:].decode()
    with serving(option) as address:
        browser.open(address)
        browser.wait_for(OPEN)
        browser.press("x" * 11 + ENTER)
        browser.wait_for("/1009/.test(document.querySelector('#entries li:last-child')?.textContent)")
        picture("reason")
        assert reason and reason in value(browser, "#entries li:last-child", "textContent")
        assert "1009" in value(browser, "#status", "textContent") and reason in value(browser, "#status", "textContent")
        browser.click("#connect")  # the new connection awaits no reply to the message that was too big
        browser.wait_for(OPEN)
        browser.type("#text", "y" + ENTER)
        assert "differs" not in received(browser, 1)
    assert browser.problems() == []


def test_the_page_fits_a_telephone(page, picture):
    page.resize(360, 740)
    page.type("#text", "a long word: " + "w" * 60 + ENTER)
    received(page, 1)
    picture("telephone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_page_is_dark_for_whoever_prefers_that(started, service):
    with type(started)(dark=True) as browser:
        browser.open(PAGE)
        browser.wait_for(OPEN)
        browser.resize(1200, 800)
        browser.type("#text", "Hello world" + ENTER)
        received(browser, 1)
        browser.screenshot(SCREENSHOTS / f"{type(started).__name__.lower()}-dark.png")
        ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert all(int(part) < 64 for part in re.findall(r"\d+", ground)), ground
        assert browser.problems() == []


def test_a_violation_of_a_policy_would_be_noticed(browser, elsewhere):
    browser.open(f"{elsewhere}/strict")
    assert browser.evaluate("window.ran") is None
    problems = browser.problems()
    assert problems and all("Content-Security-Policy" in problem for problem in problems), problems


def test_an_uncaught_error_would_have_been_noticed(browser, elsewhere):
    browser.open(elsewhere)
    browser.evaluate("setTimeout(() => { throw Error('nobody caught this') })")
    browser.evaluate("new Promise(resolve => setTimeout(resolve))")
    assert any("nobody caught this" in problem for problem in browser.problems())
