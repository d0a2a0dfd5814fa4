# SPDX-License-Identifier: MIT
"""The test page in Chromium and Firefox, with the server of `make run`: connecting, texts, files, and the end."""

import re

import framing
import launch
import pytest
from browsers import DOWN, ENTER, SHIFT, UP
from page import (CLOSED, DRAWN, OPEN, PAGE, browser, compressing, in_view, page, picture, proxy, received,  # noqa: F401
                  refusal, service, show, started, value)
from rule import rule
from serving import serving

pytestmark = rule("ws-echo(8) STANDARDS")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_the_page_connects_to_where_it_came_from(browser, service, host):
    browser.open(f"http://{host}:8888/")
    browser.wait_for(OPEN)
    assert f"ws://{host}:8888/socket" in value(browser, "#status", "textContent")
    assert browser.problems() == []


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
    page.wait_for("document.querySelector('#replies').textContent === '1' && document.querySelector('#p99').dataset.milliseconds")
    for name in ("last", "median", "p95", "p99", "handshake"):
        assert re.fullmatch(r"(< 1|[0-9.,]+) ms", value(page, f"#{name}", "textContent")), name
    assert value(page, "#jitter", "textContent") == "–", "one time has no difference to another"


@pytest.mark.parametrize("size", [(1280, 800), (390, 844), (640, 360), (360, 640), (360, 300)], ids=str)
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
    if size in ((1280, 800), (390, 844)):
        for figure in ("median", "p95", "p99", "jitter", "replies", "last", "handshake", "connected", "plot", "sent", "range"):
            assert in_view(browser, f"#{figure}"), figure
    picture("{}x{}".format(*size))
    assert browser.problems() == []


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
    show(page, "bytes")
    page.choose_file("#file", file)
    page.click("#send-file")
    reply = received(page, 1)
    assert "binary" in reply and "65,536 bytes" in reply and "identical" in reply, reply
    picture("file")
    assert page.problems() == []


def test_the_page_shows_the_close_code_and_connects_again(page, picture):
    page.type("#reason", "that was all")
    page.click("#disconnect")
    page.wait_for(CLOSED)
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
