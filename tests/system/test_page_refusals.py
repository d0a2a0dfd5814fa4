# SPDX-License-Identifier: MIT
"""The test page in Chromium and Firefox: why a handshake was refused."""

import re

import pytest
from browsers import ENTER
from page import (OPEN, browser, page, picture, proxy, refusal, service, started)  # noqa: F401
from rule import rule
from serving import serving

pytestmark = rule("ws-echo(8) STANDARDS")


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
    assert re.search(rf"A plain request is answered with {answer}$", refusal(browser)), "and nothing of it"


def test_the_page_says_that_nobody_answers(browser):
    with serving() as address:
        browser.open(address)
        browser.wait_for(OPEN)
    browser.click("#connect")
    assert "The server does not answer." in refusal(browser)
