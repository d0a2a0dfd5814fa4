# SPDX-License-Identifier: MIT
"""The test page in Chromium and Firefox: its log, binary messages, what it stores, the end, and the keys."""

import base64
import datetime
import json
import re

import launch
import pytest
from browsers import CONTROL, DOWN, ENTER, ESCAPE, F2, PLAIN_HOST, UP
from page import (CLOSED, OPEN, PAGE, browser, choose, downloaded, entries, entry, fill, lab, laboratory,  # noqa: F401
                  page, picture, received, service, show, started, value)
from rule import rule
from serving import serving

pytestmark = rule("ws-echo(8) STANDARDS")


@pytest.fixture
def talked(page):
    """The page after two texts and a binary message, each sent after the reply to the one before."""
    page.type("#text", "Hello" + ENTER)
    received(page, 1)
    page.type("#text", '{"a":[1,{"b":null}]}' + ENTER)
    received(page, 2)
    show(page, "bytes")
    fill(page, "#written", "00 ff 48 69")
    page.click("#send-bytes")
    received(page, 3)
    return page


def shown(page, count, words=""):
    """Waits until the log shows as many entries, all with these words in some case; returns their texts."""
    def filtered():
        log = entries(page)
        return len(log) == count and all(words.lower() in line.lower() for line in log)
    launch.wait_until(filtered, f"{count} entries have {words!r}")
    return entries(page)


def test_the_log_is_searched_in_text_and_in_hex(talked):
    for sought, count in ("hELLO", 2), ("ff 48", 2), ("Connect", 2), ("nowhere", 0), ("", 8):
        fill(talked, "#search", sought)
        shown(talked, count, sought)
    fill(talked, "#search", "new")
    shown(talked, 0)
    talked.type("#text", "not found" + ENTER + "newest" + ENTER)
    shown(talked, 2, "newest")  # a filter holds for what comes
    assert talked.problems() == []


def test_the_log_is_filtered_by_direction_and_type(talked):
    for direction, kind, count in (("sent", "", 3), ("received", "", 3), ("event", "", 2), ("", "binary", 2), ("", "text", 4),
                                   ("received", "binary", 1), ("", "", 8)):
        choose(talked, "#direction", direction)
        choose(talked, "#type", kind)
        assert len(shown(talked, count)) == count, (direction, kind)


def test_a_paused_log_stands_still_and_misses_nothing(page, picture):
    page.press("before" + ENTER)
    received(page, 1)
    page.click("#pause")
    page.type("#text", "meanwhile" + ENTER)
    page.wait_for("document.querySelector('#pause').textContent === 'Paused (2 new)'")
    assert not any("meanwhile" in line for line in entries(page))
    page.wait_for("document.querySelector('#replies').textContent === '2'")
    page.click("#pause")
    assert "server: meanwhile" in entry(page, "server: meanwhile")
    assert value(page, "#pause", "textContent") == "Pause"


def test_a_paused_log_can_be_searched(talked):
    talked.click("#pause")
    talked.type("#text", "hello again" + ENTER)
    talked.wait_for("document.querySelector('#replies').textContent === '4'")
    fill(talked, "#search", "hello")
    shown(talked, 4, "hello")


def test_the_log_is_exported_as_lines_of_json(talked):
    talked.press(F2)
    entry(talked, "Closed with 1000")
    entry(talked, "Connected in")
    file = downloaded(talked, "#export")
    assert re.fullmatch(r"ws-echo-[0-9TZ-]+\.jsonl", file.name)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    messages = [line for line in lines if line["kind"] in ("sent", "received")]
    assert [(line["kind"], line["type"], line["size"]) for line in messages] == [
        ("sent", "text", 5), ("received", "text", 13), ("sent", "text", 20), ("received", "text", 28),
        ("sent", "binary", 4), ("received", "binary", 4)]
    assert [line.get("data") for line in messages[:2]] == ["Hello", "server: Hello"]
    assert base64.b64decode(messages[-1]["base64"]) == b"\0\xffHi" and messages[-1]["verdict"] == "identical"
    assert all(("roundTrip" in line) == (line["kind"] == "received") for line in messages)
    (ended,) = [line for line in lines if "wasClean" in line]
    assert (ended["code"], ended["reason"], ended["wasClean"]) == (1000, "", True)
    times = [datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")) for line in lines]
    assert times == sorted(times)
    assert talked.problems() == []


# One entry.

def opened(page, number, button=None):
    """Opens the entry of a message by keyboard and presses a button in it; returns the text of the message before that."""
    page.evaluate(f"document.querySelectorAll('#entries summary')[{number}].focus()")
    page.press(ENTER)
    page.wait_for(f"document.querySelectorAll('#entries details')[{number}].open")
    whole = f"document.querySelectorAll('#entries details')[{number}]"
    text = page.wait_for(f"{whole}.querySelector('pre')?.textContent")
    if button:
        page.evaluate(f"[...{whole}.querySelectorAll('button')].find(found => found.textContent === {button!r}).focus()")
        page.press(ENTER)
    return text


def test_an_opened_entry_shows_all_of_the_message(page):
    long = "0123456789" * 200
    page.evaluate(f"void (document.getElementById('text').value = {long!r})")
    page.press(ENTER)
    assert received(page, 1).endswith(" …"), "the log shows its beginning"
    assert opened(page, 1) == "server: " + long
    page.press(ENTER)
    page.wait_for("!document.querySelectorAll('#entries details')[1].open")


def test_json_is_indented_on_demand_behind_a_prefix_too(talked, picture):
    assert opened(talked, 3) == 'server: {"a":[1,{"b":null}]}'
    opened(talked, 2, "Indent JSON")
    talked.wait_for(f"document.querySelector('#entries pre').textContent === "
                    f"{json.dumps(json.dumps({'a': [1, {'b': None}]}, indent=2))}")
    picture("json")
    talked.press(ENTER)
    talked.wait_for("document.querySelector('#entries pre').textContent === '{\"a\":[1,{\"b\":null}]}'")
    opened(talked, 0)
    assert "Indent JSON" not in value(talked, "#entries details", "textContent"), "Hello is no JSON"


@pytest.mark.parametrize("size, columns", [((1280, 800), 16), ((390, 844), 8)], ids=["desktop", "phone"])
def test_bytes_are_shown_in_hex_and_as_ascii(page, size, columns, picture):
    page.resize(*size)
    show(page, "bytes")
    choose(page, "#notation", "hex")
    fill(page, "#written", "".join(f"{byte:02x}" for byte in range(40)) + "48656c6c6f")
    page.click("#send-bytes")
    received(page, 1)
    lines = opened(page, 1).split("\n")
    assert len(lines) == -(-45 // columns)
    assert lines[0] == "000000  " + " ".join(f"{byte:02x}" for byte in range(columns)) + "  " + "." * columns
    assert lines[-1].endswith("Hello")
    picture(f"hex-{columns}")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def pasted(page):
    """The text that the clipboard has."""
    fill(page, "#text", "")
    page.chord(CONTROL, "v")
    return page.wait_for("document.querySelector('#text').value")


def test_a_message_is_copied(page):
    page.press("copy me" + ENTER)
    received(page, 1)
    opened(page, 1, "Copy")
    page.wait_for("document.querySelector('.full button').textContent === 'Copied'")
    assert pasted(page) == "server: copy me"


def test_a_message_is_copied_where_a_page_has_no_clipboard(browser):
    """By plain http from a host that is not this machine, in the eyes of the browser."""
    with serving() as address:
        browser.open(address.replace("localhost", PLAIN_HOST))
        browser.wait_for(OPEN)
        assert browser.evaluate("isSecureContext || !!navigator.clipboard") is False
        browser.press("copied by plain http" + ENTER)
        received(browser, 1)
        opened(browser, 1, "Copy")
        browser.wait_for("document.querySelector('.full button').textContent === 'Copied'")
        assert pasted(browser) == "server: copied by plain http"


@pytest.mark.parametrize("number, suffix, content", [(1, ".txt", b"server: Hello"), (5, ".bin", b"\0\xffHi")],
                         ids=["text", "binary"])
def test_a_message_is_saved_as_a_file(talked, number, suffix, content):
    opened(talked, number)
    file = downloaded(talked, "#entries details[open] button + button")
    assert file.suffix == suffix and file.read_bytes() == content


# Binary without a file.

@pytest.mark.parametrize("notation, written, size, preview", [
    ("hex", "48656C6c6f", 5, "48 65 6c 6c 6f"), ("hex", "0x00, 0xFF:7f", 3, "00 ff 7f"), ("hex", "", 0, ""),
    ("base64", "AP9/", 3, "00 ff 7f"), ("base64", "SGk=", 2, "48 69"), ("random", "70000", 70000, " …"),
])
def test_bytes_are_sent_without_a_file(page, notation, written, size, preview):
    show(page, "bytes")
    choose(page, "#notation", notation)
    fill(page, "#written", written)
    page.click("#send-bytes")
    reply = received(page, 1)
    assert "binary" in reply and f"{size:,} bytes" in reply and preview in reply and "identical" in reply, reply
    assert page.problems() == []


@pytest.mark.parametrize("notation, written, sentence", [
    ("hex", "4", "two digits"), ("hex", "xy", "two digits"), ("hex", "1 2 3 4", "two digits"), ("hex", "0x1, 0x2", "two digits"),
    ("base64", "A", "not Base64"), ("random", "many", "Write a number"),
])
def test_wrong_bytes_are_refused_with_a_sentence(page, notation, written, sentence):
    show(page, "bytes")
    choose(page, "#notation", notation)
    fill(page, "#written", written)
    page.click("#send-bytes")
    assert sentence in entry(page, "Nothing was sent.")
    assert value(page, "#sent", "textContent") == "0 (0 bytes)"


# What is stored.

def test_sent_texts_and_the_path_survive_a_reload_until_they_are_forgotten(page):
    fill(page, "#path", "/socket?first" + ENTER)
    page.wait_for(f"{OPEN} && document.querySelector('#status').textContent.includes('first')")
    page.type("#text", "one" + ENTER + "two" + ENTER)
    received(page, 2)
    page.open(PAGE)
    page.wait_for(OPEN)
    assert value(page, "#path", "value") == "/socket?first" and "?first" in value(page, "#status", "textContent")
    assert page.evaluate("[...document.querySelector('#paths').options].map(option => option.value)") == ["/socket?first", "/socket"]
    page.press(UP + UP)
    assert value(page, "#text", "value") == "one"
    page.click("#forget")
    page.open(PAGE)
    page.wait_for(OPEN)
    page.press(UP)
    assert (value(page, "#path", "value"), value(page, "#text", "value")) == ("/socket", "")
    assert page.problems() == []


def test_the_reason_of_an_older_refusal_is_not_that_of_a_newer_one(page):
    page.evaluate("void (window.answers = [], window.fetch = () => new Promise(resolve => answers.push(resolve)))")
    for number, path in enumerate(("/one", "/two"), start=1):
        fill(page, "#path", path + ENTER)
        page.wait_for(f"answers.length === {number}")
    for number, (reason, shown) in enumerate((("older", False), ("newer", True))):
        page.evaluate(f"answers[{number}](new Response('{reason}', {{status: 404, headers: {{'Content-Type': 'text/plain'}}}}))")
        entry(page, f"404: {reason}")
        assert (reason in value(page, "#status", "textContent")) == shown


def test_a_path_that_was_refused_is_not_restored(page):
    fill(page, "#path", "/nowhere" + ENTER)
    entry(page, "Not connected to")
    page.open(PAGE)
    page.wait_for(OPEN)
    assert value(page, "#path", "value") == "/socket"


def test_at_most_a_mebibyte_is_stored(page):
    """Of UTF-16, as the browser stores it. The newest texts stay."""
    for letter in "abc":
        page.evaluate(f"void (document.querySelector('#text').value = '{letter}'.repeat(250000))")
        page.type("#text", ENTER)
    received(page, 3)
    stored = page.evaluate("localStorage.getItem('ws-echo')")
    assert 2 * len(stored) <= 1 << 20
    assert [text[0] for text in json.loads(stored)["texts"]] == ["b", "c"]
    assert page.problems() == []


def test_a_text_that_is_too_long_to_be_stored_leaves_the_others(page):
    page.press("short" + ENTER)
    page.evaluate("void (document.querySelector('#text').value = 'x'.repeat(600000))")
    page.type("#text", ENTER)
    received(page, 2)
    page.press(UP)
    assert value(page, "#text", "value") == "short"
    assert page.evaluate("JSON.parse(localStorage.getItem('ws-echo')).texts") == ["short"]


@pytest.mark.parametrize("other", ["something else", "null", '{"texts": [], "paths": null}', '{"texts": 5, "paths": []}'])
def test_something_else_in_the_storage_is_no_error(page, other):
    page.evaluate(f"localStorage.setItem('ws-echo', {json.dumps(other)})")
    page.open(PAGE)
    page.wait_for(OPEN)
    assert page.problems() == []


# The end of a connection, and the keys.

def test_one_key_reconnects_and_the_log_says_what_ended_each_connection(page):
    for count in range(1, 3):
        page.press(F2)
        page.wait_for(f"""[...document.querySelectorAll('#entries li')].filter(entry =>
            /^Closed with 1000 \\(normal closure\\), clean/.test(entry.textContent)).length === {count}""")
        page.wait_for(OPEN)
    show(page, "closing")
    fill(page, "#code", "4001")
    fill(page, "#reason", "enough")
    page.click("#close")
    page.wait_for(CLOSED)
    assert "Closed with 4001 (private use), reason “enough”, clean" in entry(page, "Closed with 4001")
    page.click("#log")
    page.press(F2)
    page.wait_for(OPEN)
    assert page.problems() == []


def test_a_connection_that_is_lost_is_reported_as_such(laboratory):
    fill(laboratory, "#path", "/lab?after=0.2&close=eof" + ENTER)
    assert "ended without a Close), not clean" in entry(laboratory, "Closed with 1006")


def test_who_reconnects_again_does_not_wait_for_a_close_that_never_comes(laboratory):
    fill(laboratory, "#path", "/lab?mute=close" + ENTER)
    laboratory.wait_for(f"{OPEN} && document.querySelector('#status').textContent.includes('mute')")
    laboratory.press(F2)
    laboratory.wait_for("document.querySelector('#status').dataset.state === 'closing'")
    fill(laboratory, "#path", "/socket")
    laboratory.press(F2)
    laboratory.wait_for(f"{OPEN} && document.querySelector('#status').textContent.endsWith('/socket')")
    laboratory.type("#text", "other" + ENTER)
    assert "server: other" in received(laboratory, 1)


@pytest.mark.parametrize("code, meaning", [
    ("1000", "1000: normal closure"), ("3000", "3000: registered by an application"), ("4999", "4999: private use"),
    ("", "No code: the other side reports 1005"),
])
def test_a_close_code_is_explained_where_it_is_chosen(page, code, meaning):
    show(page, "closing")
    fill(page, "#code", code)
    assert value(page, "#meaning", "textContent") == meaning
    page.click("#close")
    page.wait_for(CLOSED)
    assert f"Closed with {code or 1005} " in entry(page, "Closed with")


@pytest.mark.parametrize("code, name", [("1001", " (going away)"), ("1006", " (ended without a Close)"), ("2999", ""),
                                        ("5000", ""), ("1000.5", ""), ("abc", "")])
def test_a_close_code_that_a_browser_does_not_send_is_refused_with_a_sentence(page, code, name):
    show(page, "closing")
    fill(page, "#code", code[:5])
    sentence = f"A page may close with 1000, 3000 to 4999 or no code, not with {code[:5]}{name}."
    assert sentence in value(page, "#meaning", "textContent")
    page.click("#close")
    assert sentence in entry(page, "Not closed.")
    assert value(page, "#status", "dataset.state") == "open"


def test_a_reason_that_is_too_long_is_refused_with_a_sentence(page):
    show(page, "closing")
    fill(page, "#reason", "€" * 42)
    page.click("#close")
    assert "more than 123 bytes" in entry(page, "Not closed")
    assert value(page, "#status", "dataset.state") == "open"


def test_keys_lead_through_the_page(page):
    page.press(ESCAPE + "?")
    page.wait_for("document.querySelector('#help').open")
    assert "F2" in value(page, "#help", "innerText")
    page.press(ESCAPE)
    page.wait_for("!document.querySelector('#help').open")
    page.press("/found")
    assert (page.evaluate("document.activeElement.id"), value(page, "#search", "value")) == ("search", "found")
    fill(page, "#search", "")
    page.press(ESCAPE + ESCAPE)
    assert page.evaluate("document.activeElement.id") == "text"
    page.press("? and / are text here" + ENTER)
    assert "server: ? and / are text here" in received(page, 1)
    assert page.problems() == []


def test_arrows_lead_from_entry_to_entry(page):
    page.press("one" + ENTER + "two" + ENTER)
    received(page, 2)
    page.evaluate("document.querySelector('#log').focus()")
    focused = []
    for key in UP, UP, UP, UP, DOWN:
        page.press(key)
        focused.append(page.evaluate("document.activeElement.querySelector('strong').textContent"
                                     " + document.activeElement.querySelector('.preview').textContent"))
    assert focused[0] != focused[1] and focused[2] == focused[4] and focused[3] == "Sentone", focused


# Another host.

@pytest.mark.parametrize("url", ["ws://example.org/socket", "http://localhost:1/", "wss://LOCALHOST/x"])
def test_the_page_says_why_it_does_not_connect_to_another_host(page, url):
    fill(page, "#path", url + ENTER)
    entry(page, "This page may connect only to localhost:8888")
    assert value(page, "#status", "dataset.state") == "open", "the connection that was open stays"
    page.click("#disconnect")
    page.wait_for(CLOSED)
    page.click("#connect")
    said = entry(page, "This page may connect only to localhost:8888")
    assert "Content-Security-Policy" in said and "console of another page" in said
    assert page.problems() == [], "nothing was tried"


def test_a_url_of_its_own_host_is_a_path(page):
    fill(page, "#path", "ws://localhost:8888/socket?whole" + ENTER)
    page.wait_for(f"{OPEN} && document.querySelector('#status').textContent.includes('whole')")
