# SPDX-License-Identifier: MIT
"""Chromium and Firefox with the server of `make run`, from the console of a page.

The tests use port 8888, which must be free.
"""

import json
import re

import project
import pytest
from browsers import ENTER
from page import (CLOSED, MAX_MESSAGE, browser, compressing, elsewhere, entries, page, received,  # noqa: F401
                  service, started)
from rule import rule

pytestmark = rule("ws-echo(8) STANDARDS")

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


# The console of the page.

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
    assert len(entries(page)) == 4, "connecting, connected, sent, received"
    page.click("#disconnect")
    page.wait_for(CLOSED)
    assert page.evaluate("socket.readyState === WebSocket.OPEN"), "the console's socket is another one"
    assert page.problems() == []


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
