# SPDX-License-Identifier: MIT
"""The test page in Chromium and Firefox: the form of the lab."""

import pytest
from page import (OPEN, browser, choose, entry, fill, lab, laboratory, page, picture, proxy, received,  # noqa: F401
                  refusal, service, show, started, value)
from rule import rule
from serving import serving

pytestmark = rule("ws-echo(8) STANDARDS")


@pytest.fixture
def form(laboratory):
    """The page of a server with a lab, with its form open and empty."""
    show(laboratory, "faults")
    laboratory.click("#lab button[type=reset]")
    return laboratory


def ask(page, **words):
    """Fills in fields of the form by their names."""
    for name, text in words.items():
        if name in ("stall", "close"):
            choose(page, f"#lab [name={name}]", text)
        else:
            fill(page, f"#lab input[name={name}]", text)


def query(page):
    """The query that the form makes."""
    path, _, words = value(page, "#url", "textContent").partition("?")
    assert path == "/lab"
    return words


@pytest.mark.parametrize("asked, made", [
    ({}, ""),
    ({"delay": "0.5", "latency": "1"}, "delay=0.5&latency=1"),
    ({"status": "503", "delay": "1"}, "delay=1&status=503"),
    ({"hello": "a&b=c+d é%", "repeat": "0.1"}, "hello=a%26b%3Dc%2Bd%20%C3%A9%25&repeat=0.1"),
    ({"slice": "1", "fragment": "2", "count": "3", "raw": "8900"}, "slice=1&fragment=2&count=3&raw=8900"),
    ({"close": "empty"}, "close"),
    ({"close": "code"}, "close=1013"),
    ({"close": "code", "code": "4000", "reason": "so be it"}, "close=4000&reason=so%20be%20it"),
    ({"close": "eof", "reason": "unused"}, "close=eof"),
    ({"close": "reset", "after": "2"}, "after=2&close=reset"),
    ({"stall": "longest"}, "stall"),
    ({"stall": "seconds", "stalled": "1.5", "close": "empty"}, "stall=1.5&close"),
], ids=str)
def test_the_form_makes_the_query(form, asked, made):
    """A word without value has no =, which the lab would refuse."""
    ask(form, **asked)
    assert query(form) == made
    assert value(form, "#wrong", "textContent") == ""


@pytest.mark.parametrize("boxes, made", [
    (["[value=accept]"], "bad=accept"), (["[value=accept]", "[value=extension]"], "bad=accept,extension"),
    (["[value=echo]", "[value=close]", "[value=ping]", "[value=pong]"], "mute=echo,close,ping,pong"),
    (["[name=headers]"], "headers"),
])
def test_the_boxes_of_the_form_are_words(form, boxes, made):
    for box in boxes:
        form.click(f"#lab {box}")
    assert query(form) == made


@pytest.mark.parametrize("asked", [
    {"status": "503", "hello": "x"}, {"after": "1"}, {"count": "1", "latency": "1"}, {"delay": "0,5"}, {"latency": ".5"},
    {"slice": "many"}, {"raw": "81 00"}, {"raw": "810"}, {"close": "code", "code": ""}, {"stall": "seconds", "stalled": ""},
], ids=str)
def test_the_form_says_what_the_lab_would_refuse(form, asked):
    ask(form, **asked)
    said = value(form, "#wrong", "textContent")
    assert said, "nothing says what is wrong"
    form.click("#lab button.primary")
    assert value(form, "#path", "value") == "/socket", "it does not connect"


def test_what_happened_is_in_the_log_in_its_order_and_with_times(form, picture):
    ask(form, hello="welcome", after="0.5", close="code", code="1013", reason="later")
    form.click("#lab button.primary")
    assert "Closed with 1013 (try again later), reason “later”, clean" in entry(form, "Closed with 1013")
    assert value(form, "#path", "value") == "/lab?hello=welcome&after=0.5&close=1013&reason=later"
    form.wait_for("document.querySelector('#entries li:last-child').textContent.includes('1013')")
    told = form.evaluate("""[...document.querySelectorAll('#entries li')].slice(-4).map(entry =>
        [entry.textContent, parseFloat(entry.querySelector('.times span').textContent)])""")
    texts, times = zip(*told)
    assert ["Connecting" in texts[0], "Connected" in texts[1], "welcome" in texts[2], "Closed" in texts[3]] == [True] * 4, texts
    assert list(times) == sorted(times) and times[0] < 0.5 <= times[3], times
    picture("lab")
    assert form.problems() == []


def test_a_refusal_that_was_asked_for_is_shown(form):
    ask(form, status="503")
    form.click("#lab button.primary")
    said = refusal(form)
    assert "/lab?status=503" in said and "On a path of --lab, the query may have caused this" in said
    assert "On a path of --lab" in value(form, "#status", "textContent")


def test_the_headers_come_back_where_the_origin_is_allowed(form):
    assert value(form, "#headers", "disabled") is False
    form.click("#headers")
    form.click("#lab button.primary")
    assert "GET /lab?headers HTTP/1.1" in received(form, 1)


@pytest.mark.parametrize("options", [[], ["--origin=any"]], ids=str)
def test_without_an_allowed_origin_the_form_says_why_there_are_no_headers(browser, options):
    with serving("--lab=/lab", *options) as address:
        browser.open(address)
        browser.wait_for(OPEN)
        show(browser, "faults")
        assert value(browser, "#headers", "disabled") is True
        said = value(browser, "#forbidden", "innerText")
        assert f"--origin={address.rstrip('/')}" in said
        assert browser.problems() == []


def test_without_a_lab_the_panel_says_how_to_get_one(page):
    show(page, "faults")
    assert "--lab=/lab" in value(page, "#faults", "innerText")
    assert value(page, "#lab", "hidden") is True


def test_behind_a_proxy_the_lab_is_below_the_page_too(browser, proxy):
    browser.open(proxy + "/ws/")
    browser.wait_for(OPEN)
    show(browser, "faults")
    ask(browser, latency="0.01")
    browser.click("#lab button.primary")
    browser.wait_for(f"{OPEN} && document.querySelector('#status').textContent.endsWith('/ws/lab?latency=0.01')")


@pytest.mark.parametrize("path", ['/"><b>&amp;', "/l&amp;b"])
def test_a_path_of_the_lab_is_text_and_no_markup(browser, path):
    """A browser encodes the quotation mark in a URL, so that the lab of the first one cannot be reached."""
    with serving(f"--lab={path}") as address:
        browser.open(address)
        browser.wait_for(OPEN)
        show(browser, "faults")
        assert value(browser, "#url", "textContent") == path
        ask(browser, hello="found")
        browser.click("#lab button.primary")
        if '"' not in path:
            assert "found" in received(browser, 1)
        assert value(browser, "#path", "value") == f"{path}?hello=found"
        assert browser.problems() == [] or '"' in path
