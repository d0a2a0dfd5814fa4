# SPDX-License-Identifier: MIT
"""The test page in Chromium and Firefox for everybody: axe-core, the keyboard, two themes, small screens."""

import re

import project
import pytest
from browsers import ENTER, F2, SHIFT, TAB
from page import (OPEN, SCREENSHOTS, browser, entry, fill, in_view, lab, laboratory, page, picture,  # noqa: F401
                  received, send_many, service, show, started, value)
from require import require_file
from rule import rule

pytestmark = rule("ws-echo(8) STANDARDS")

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
PANELS = ("many", "bytes", "faults", "closing", "runs")

# What the keyboard can reach, in the order of the document.
REACHABLE = """[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(node =>
    node.tabIndex >= 0 && !node.disabled && node.checkVisibility({visibilityProperty: true}))"""


@pytest.fixture(scope="module")
def axe():
    """The source of axe-core."""
    file = project.TOP / "build/axe.min.js"
    require_file(file, "axe-core as build/axe.min.js, with tests/system/fetch-axe")
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=["light", "dark"])
def theme(request, started):
    """A browser that prefers this theme; pages in the dark one cannot store anything."""
    if request.param == "light":
        yield started
    else:
        with type(started)(dark=True, storage=False) as browser:
            yield browser


def findings(browser, axe):
    """What axe-core finds: for each fault the rule and the elements."""
    assert browser.enter(axe + "; void 0") is None
    result = browser.evaluate("axe.run()")
    assert len(result["passes"]) > 10, "it looks at the page"
    return {fault["id"]: [node["html"] for node in fault["nodes"]] for fault in result["violations"]}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_axe_finds_nothing(theme, lab, axe, size, request):
    """At the start, with messages and all panels open, with a refusal, and in the help."""
    name = f"{type(theme).__name__.lower()}-{request.node.callspec.id.rpartition('-')[2]}"
    name += "-dark" if theme.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "-light"
    theme.resize(*size)
    theme.open(lab)
    theme.wait_for(OPEN)
    theme.problems()
    theme.console.clear()
    assert findings(theme, axe) == {}
    send_many(theme, 40)
    theme.click("#new-run")
    theme.press(F2)
    entry(theme, "Closed with 1000")
    theme.wait_for(OPEN)
    theme.type("#text", '{"json": true}' + ENTER)
    theme.wait_for("document.querySelector('#replies').textContent === '1'")
    theme.evaluate("document.querySelectorAll('li summary').forEach(summary => summary.click())")
    for panel in PANELS:
        show(theme, panel)
    theme.evaluate("scrollTo(0, 0)")
    theme.screenshot(SCREENSHOTS / f"{name}.png")
    assert findings(theme, axe) == {}
    assert theme.problems() == []
    fill(theme, "#path", "/nowhere" + ENTER)
    entry(theme, "Not connected to")
    fill(theme, "#code", "1001")
    assert findings(theme, axe) == {}
    theme.click("#help-open")
    assert findings(theme, axe) == {}
    theme.screenshot(SCREENSHOTS / f"{name}-help.png")
    theme.click("#help-close")


def test_axe_would_find_something(browser, lab, axe):
    browser.open(lab)
    browser.evaluate("document.querySelector('#search').removeAttribute('aria-label')")
    browser.evaluate("document.querySelector('#search').placeholder = ''")
    assert "label" in findings(browser, axe)


def test_the_theme_is_the_one_that_the_user_prefers(theme, lab, request):
    theme.open(lab)
    theme.wait_for(OPEN)
    ground = theme.evaluate("getComputedStyle(document.body).backgroundColor")
    is_dark = request.node.callspec.params["theme"] == "dark"
    assert all((int(part) < 64) == is_dark for part in re.findall(r"\d+", ground)), ground


def test_storage_that_is_refused_is_no_error(started, lab):
    with type(started)(storage=False) as browser:
        browser.open(lab)
        browser.wait_for(OPEN)
        assert browser.evaluate("(() => { try { return !localStorage } catch { return true } })()") is True
        browser.press("not stored" + ENTER)
        assert "server: not stored" in received(browser, 1)
        browser.press("\ue013")
        assert value(browser, "#text", "value") == "not stored", "recalled while the page is open"
        assert browser.problems() == []


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_keyboard_reaches_every_control(laboratory, size):
    """Forwards from the text field to the end, and back from there to the beginning."""
    page = laboratory
    page.resize(*size)
    for panel in PANELS:
        show(page, panel)
    page.evaluate(f"{REACHABLE}.forEach((node, number) => node.dataset.number = number)")
    count, text = page.evaluate(f"[{REACHABLE}.length, +document.querySelector('#text').dataset.number]")
    controls = page.evaluate(f"{REACHABLE}.map(node => node.id || node.name || node.textContent.trim())")
    assert {"log", "path", "close", "headers", "latency", "Lab: faults on request", "start", "help-open"} <= set(controls)
    page.evaluate("document.querySelector('#text').focus()")
    reached = [text]
    for keys, last in ((TAB,), count - 1), ((SHIFT, TAB), 0):
        while reached[-1] != last and len(reached) < 3 * count:
            page.chord(*keys)
            number = page.evaluate("document.activeElement.dataset.number ?? null")
            if number is not None:  # Firefox stops at what scrolls, too
                reached.append(int(number))
    assert reached == [*range(text, count), *reversed(range(count - 1))], controls
    page.evaluate("document.querySelector('#text').focus()")
    page.press("by keyboard" + TAB + ENTER)
    assert "server: by keyboard" in received(page, 1)
    assert page.problems() == []


def test_a_panel_opens_by_keyboard(page):
    page.evaluate("document.querySelector('#closing > summary').focus()")
    page.press(ENTER)
    page.wait_for("document.querySelector('#closing').open")
    page.press(TAB + TAB + "bye" + TAB + ENTER)
    assert "1000 (normal closure), reason “bye”" in entry(page, "Closed with")


# Small screens.

@pytest.mark.parametrize("width", [390, 360, 320])
def test_the_page_fits_a_telephone(laboratory, width, picture):
    page = laboratory
    page.resize(width, 740)
    for panel in PANELS:
        show(page, panel)
    page.type("#text", "a long word: " + "w" * 60 + ENTER)
    received(page, 1)
    send_many(page, 3)
    page.evaluate("scrollTo(0, 0)")
    picture(f"telephone-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_telephone_controls_are_44_pixels_high_and_times_stay_in_a_line(laboratory, picture):
    page = laboratory
    page.resize(390, 844)
    for panel in PANELS:
        show(page, panel)
    page.type("#text", "opened" + ENTER)
    received(page, 1)
    page.evaluate("document.querySelectorAll('li summary').forEach(summary => summary.click())")
    page.wait_for("document.querySelectorAll('.full button').length >= 4")
    low = page.evaluate("""[...document.querySelectorAll('button, nav a, select, .panel > summary, label:has(input), textarea')]
        .filter(node => node.checkVisibility() && node.getBoundingClientRect().height < 44)
        .map(node => [node.id || node.textContent, node.getBoundingClientRect().height])""")
    assert low == []
    lines = page.evaluate("[...document.querySelectorAll('.times span')].map(node => node.getClientRects().length)")
    assert lines and set(lines) == {1}, "no time is wrapped"


def test_on_a_telephone_links_lead_to_each_panel_and_results_are_shown(laboratory):
    page = laboratory
    page.resize(390, 844)
    for panel in ("connection", *PANELS):
        page.evaluate("scrollTo(0, 0)")
        page.click(f"nav a[href='#{panel}']")
        if panel != "connection":
            page.wait_for(f"document.querySelector('#{panel}').open")
        page.wait_for(f"document.querySelector('#{panel}').getBoundingClientRect().top < innerHeight - 44")
    send_many(page, 3)
    page.wait_for("scrollY === 0")
    assert in_view(page, "#p99"), "what was started is seen"


def test_the_search_of_a_telephone_opens_on_demand(laboratory):
    page = laboratory
    page.resize(390, 844)
    page.press("find me" + ENTER + "other" + ENTER)
    received(page, 2)
    assert page.evaluate("document.querySelector('#search').checkVisibility()") is False
    page.click("#find")
    page.press("find me")
    page.wait_for("document.querySelectorAll('#entries li').length === 2")
    assert value(page, "#find", "getAttribute('aria-expanded')") == "true"
