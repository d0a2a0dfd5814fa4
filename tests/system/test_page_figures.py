# SPDX-License-Identifier: MIT
"""The test page in Chromium and Firefox: figures of round-trip times, runs, many messages, and large ones."""

import math
import re
import statistics

import pytest
from browsers import ENTER, ESCAPE, F2
from page import (OPEN, browser, entries, entry, fill, lab, laboratory, page, picture, received, send_many,  # noqa: F401
                  service, show, started, value)
from rule import rule

pytestmark = rule("ws-echo(8) STANDARDS")

FIGURES = ("median", "p95", "p99", "jitter", "last")

# Makes each round trip take as long as the next one of `times` says, by the clock that the page reads.
CLOCK = """void ((times, send) => {
    let now = performance.now()
    performance.now = () => now
    WebSocket.prototype.send = function (data) { send.call(this, data); now += times.shift() }
})(%s, WebSocket.prototype.send)"""


def figures(page):
    """The exact figures that the page shows, in milliseconds; None for a dash."""
    return {name: float(shown) if (shown := value(page, f"#{name}", "dataset.milliseconds")) else None for name in FIGURES}


def nearest_rank(times, percent):
    """The smallest of the times that at least `percent` of them do not exceed."""
    return next(time for time in sorted(times) if 100 * sum(other <= time for other in times) >= percent * len(times))


def expected(times):
    differences = [abs(after - before) for before, after in zip(times, times[1:])]
    return {"median": statistics.median(times), "p95": nearest_rank(times, 95), "p99": nearest_rank(times, 99),
            "jitter": statistics.mean(differences) if differences else None, "last": times[-1]}


@pytest.mark.parametrize("count", [1, 2, 20, 100, 101, 240])
def test_the_figures_are_exact(page, count):
    """In an order in which neighbours differ by different amounts. All times are binary fractions, so sums are exact."""
    times = [((index * 37) % count + 1) / 4 for index in range(count)]
    page.evaluate(CLOCK % times)
    send_many(page, count)
    assert value(page, "#replies", "textContent") == str(count)
    shown, right = figures(page), expected(times)
    for name in FIGURES:
        assert shown[name] == right[name] or math.isclose(shown[name], right[name], abs_tol=1e-6), (name, shown, right)


def test_each_figure_has_its_unit(page):
    page.evaluate(CLOCK % [0.5, 12, 1500, 2.25])
    send_many(page, 4)
    assert {name: value(page, f"#{name}", "textContent") for name in FIGURES} == {
        "median": "7.1 ms", "p95": "1,500 ms", "p99": "1,500 ms", "jitter": "999 ms", "last": "2.3 ms"}
    assert value(page, "#range", "textContent") == "0.50 ms to 1,500 ms"
    assert re.fullmatch(r"[0-9.,]+ ms", value(page, "#handshake", "textContent"))
    page.wait_for("/^[0-9]+ s$/.test(document.querySelector('#connected').textContent)")


def test_the_page_measures_with_a_precise_clock(page):
    """The two fields that isolate the page make browsers measure in less than 0.1 ms."""
    assert page.evaluate("crossOriginIsolated") is True
    send_many(page, 200)
    measured = [time for time in page.evaluate("[...document.querySelectorAll('.received em')].map(node => node.textContent)")]
    assert any(re.fullmatch(r"0\.\d[1-9] ms", time) for time in measured), measured


def test_the_plot_shows_each_time_and_its_outliers_and_says_so_in_words(page, picture):
    page.evaluate(CLOCK % [*[2.0] * 50, 400.0, *[2.0] * 48])
    send_many(page, 99)
    dots, outliers = (value(page, f"#{name}", "getAttribute('d')").count("M") for name in ("dots", "outliers"))
    assert (dots, outliers) == (98, 1)
    assert value(page, "#plot", "getAttribute('aria-label')") == (
        "The last 99 round trips: 2.0 ms to 400 ms, 1 far above the median")
    labels = page.evaluate("[...document.querySelectorAll('#plot text')].map(node => node.textContent)")
    assert labels == ["1,000 ms", "100 ms", "10 ms", "1 ms"]
    lowest, highest = (page.evaluate(f"document.querySelector('#{name}').getBoundingClientRect().{side}")
                       for name, side in (("dots", "bottom"), ("outliers", "top")))
    box = page.evaluate("(({top, bottom}) => [top, bottom])(document.querySelector('#plot').getBoundingClientRect())")
    assert box[0] <= highest < lowest <= box[1], "no dot leaves the plot"
    picture("plot")


def test_figures_survive_a_reconnection_and_begin_anew_with_a_run(page):
    page.press("one" + ENTER)
    received(page, 1)
    page.press(F2)
    entry(page, "Closed with 1000")
    page.wait_for(OPEN)
    page.press("two" + ENTER)
    received(page, 2)
    page.wait_for("document.querySelector('#replies').textContent === '2'")
    page.click("#new-run")
    assert [value(page, f"#{name}", "textContent") for name in ("replies", "sent", "median")] == ["0", "0 (0 bytes)", "–"]
    assert value(page, "#run-name", "textContent") == "Run 2: /socket"
    assert "two" in entries(page)[-1], "the log stays"
    assert page.problems() == []


def test_runs_can_be_compared(laboratory, picture):
    """A run begins with a series, and with another path. The table has the figures of each."""
    page = laboratory
    send_many(page, 20, size=10, unit="1024")
    fill(page, "#path", "/lab?latency=0.05" + ENTER)
    entry(page, "Connected in")
    page.wait_for(f"{OPEN} && document.querySelector('#run-name').textContent.includes('latency')")
    send_many(page, 5, what="random binary", size=3)
    assert value(page, "#runs", "open"), "the table opens with the second run"
    rows = page.evaluate("[...document.querySelectorAll('#run-table tbody')].map(body => [body.querySelector('th').textContent,"
                         " ...[...body.querySelectorAll('td')].map(cell => cell.textContent)])")
    assert [row[:2] for row in rows] == [["1: /socket, 20 × 10 KiB random text", "20"],
                                         ["2: /lab?latency=0.05, 5 × 3 bytes random binary", "5"]]
    assert float(rows[0][2]) < 50 <= float(rows[1][2]), "the medians"
    assert rows[1][2:6] == [value(page, f"#{name}", "textContent").removesuffix(" ms") for name in ("median", "p95", "p99", "jitter")]
    picture("runs")
    assert page.problems() == []


# Many messages.

@pytest.mark.parametrize("what, size, unit, text", [
    ("random text", "10", "1024", "10,240 bytes"), ("random binary", "10", "1024", "10,240 bytes"),
    ("random text", "0", "1", "0 bytes"), ("random binary", "100000", "1", "100,000 bytes"), ("text", "1", "1", "5 bytes"),
])
def test_many_messages_are_sent_at_a_chosen_size(page, what, size, unit, text):
    page.press("again")
    assert send_many(page, 30, size, unit, what).startswith("Done: 30 messages in ")
    assert value(page, "#replies", "textContent") == "30"
    log = entries(page)
    assert sum("Sent" in line and text in line for line in log) == 30
    assert not any("differs" in line or "unexpected" in line for line in log)
    assert sum("identical" in line for line in log) == (30 if what == "random binary" else 0)
    assert value(page, "#text", "value") == "again"
    assert page.problems() == []


def test_a_large_text_is_sent_as_text(page):
    send_many(page, 2, size=2, unit="1048576")
    log = [line for line in entries(page) if "2,097," in line]
    assert len(log) == 4 and all("text" in line and "differs" not in line for line in log), log


def test_a_size_that_no_browser_can_make_ends_the_series_with_a_sentence(page):
    assert send_many(page, 1, size="1e15", what="random binary").startswith("Stopped, since ")
    assert value(page, "#start", "textContent") == "Start" and value(page, "#sent", "textContent") == "0 (0 bytes)"


def test_a_greeting_is_not_taken_for_a_reply(laboratory):
    fill(laboratory, "#path", "/lab?hello=hi&repeat=0.1&latency=0.25" + ENTER)
    laboratory.wait_for(f"{OPEN} && document.querySelector('#status').textContent.includes('hello')")
    assert send_many(laboratory, 3, what="random binary").startswith("Done: 3 messages")
    log = entries(laboratory)
    assert sum("identical" in line for line in log) == 3 and not any("differs" in line for line in log), log
    assert value(laboratory, "#replies", "textContent") == "3"


def test_a_reply_that_comes_after_a_new_run_has_begun_is_not_of_that_run(laboratory):
    fill(laboratory, "#path", "/lab?latency=3" + ENTER)
    laboratory.wait_for(f"{OPEN} && document.querySelector('#status').textContent.includes('latency')")
    laboratory.type("#text", "late" + ENTER)
    laboratory.click("#new-run")
    received(laboratory, 1)
    laboratory.wait_for("document.querySelector('#awaiting').textContent === '0'")
    assert [value(laboratory, f"#{name}", "textContent") for name in ("replies", "received", "median")] == ["0", "0 (0 bytes)", "–"]


def test_a_series_ends_when_a_connection_that_is_closing_is_replaced(laboratory):
    fill(laboratory, "#path", "/lab?mute=close" + ENTER)
    laboratory.wait_for(f"{OPEN} && document.querySelector('#status').textContent.includes('mute')")
    fill(laboratory, "#times", "")
    laboratory.click("#start")
    laboratory.press(ESCAPE + F2)
    laboratory.wait_for("document.querySelector('#status').dataset.state === 'closing'")
    laboratory.press(F2)
    entry(laboratory, "Stopped, since the page connects anew")
    assert value(laboratory, "#start", "textContent") == "Start"


def test_many_messages_each_wait_for_the_reply_to_the_one_before(page):
    alternating = ["sent", "received"] * 50
    for every, is_alternating in ("", True), ("0", False):
        page.click("#clear")
        send_many(page, 50, every=every)
        kinds = page.evaluate("[...document.querySelectorAll('li.sent, li.received')].map(entry => entry.className)")
        assert sorted(kinds) == sorted(alternating) and (kinds == alternating) == is_alternating, kinds


def test_messages_are_sent_every_so_many_seconds_until_stopped(page):
    """By the page's own times. A timer is never early, so the pauses are as long as asked for, but for the last digit."""
    fill(page, "#times", "")
    fill(page, "#every", "0.1")
    page.click("#start")
    assert value(page, "#start", "textContent") == "Stop"
    received(page, 4)
    assert value(page, "#log", "ariaLive") == "off", "screen readers do not read out each message"
    page.click("#start")
    entry(page, "Stopped, since Stop was pressed")
    assert value(page, "#log", "ariaLive") == "polite"
    assert value(page, "#start", "textContent") == "Start"
    sent = page.evaluate("[...document.querySelectorAll('li.sent .times span')].map(node => parseFloat(node.textContent))")
    assert len(sent) >= 4 and sent[-1] - sent[0] >= 0.1 * (len(sent) - 2), sent


def test_a_series_ends_with_its_connection(laboratory):
    page = laboratory
    fill(page, "#path", "/lab?count=3&close=1001" + ENTER)
    page.wait_for(f"{OPEN} && document.querySelector('#status').textContent.includes('count')")
    assert send_many(page, 100).startswith("Stopped, since the connection ended: ")
    show(page, "many")
    page.click("#start")
    assert "nothing was sent; F2 connects" in entry(page, "Not connected, so")
    assert page.problems() == []


def test_a_wrong_number_is_refused_by_the_form(page):
    for selector, wrong in ("#times", "0"), ("#size", "-1"), ("#every", "-1"):
        before = value(page, selector, "value")
        fill(page, selector, wrong)
        page.click("#start")
        assert value(page, selector, "validity.valid") is False and value(page, "#start", "textContent") == "Start"
        fill(page, selector, before)
    assert value(page, "#sent", "textContent") == "0 (0 bytes)"


# Load. The frame times are reported, not judged.

FRAMES = """void (() => {
    window.frames_ = []
    let before = 0
    const tick = now => { if (before) window.frames_.push(now - before); before = now; requestAnimationFrame(tick) }
    requestAnimationFrame(tick)
})()"""


def report(page, capsys, what):
    """Prints the frame times in milliseconds."""
    frames = sorted(page.evaluate("frames_.splice(0)"))
    assert frames, "the page draws"
    with capsys.disabled():
        print(f"\n{type(page).__name__}, {what}: {len(frames)} frames, median {statistics.median(frames):.0f} ms, "
              f"99th percentile {nearest_rank(frames, 99):.0f} ms, longest {frames[-1]:.0f} ms", end="")


def test_ten_thousand_messages_leave_the_page_usable(page, capsys, picture):
    """Old entries go, and the page says so; what is left can be searched."""
    page.evaluate(FRAMES)
    send_many(page, 10000, size=100, every="0")
    assert value(page, "#replies", "textContent") == "10,000"
    report(page, capsys, "10,000 messages as fast as possible")
    shown = value(page, "#omitted", "textContent")
    assert re.fullmatch(r"Here are the last 250 of 10,000 entries\. 10,00\d older ones were removed to save memory\.", shown)
    assert page.evaluate("document.querySelectorAll('#entries li').length") == 250
    page.type("#text", "still usable" + ENTER)
    page.wait_for("document.querySelector('#entries li:last-child').textContent.includes('server: still usable')")
    fill(page, "#search", "still usable")
    page.wait_for("document.querySelectorAll('#entries li').length === 2")
    picture("many")
    assert page.problems() == []


def test_large_messages_leave_the_page_usable_and_go_from_memory(page, capsys):
    """Three messages of 16 MiB and their replies are 96 MiB, of which 64 MiB are kept."""
    page.evaluate(FRAMES)
    send_many(page, 3, size=16, unit="1048576", what="random binary")
    report(page, capsys, "3 messages of 16 MiB")
    log = entries(page)
    assert sum("16,777,216 bytes" in line for line in log) == 4 and sum("identical" in line for line in log) == 2
    assert re.search(r"\b\d+ older ones were removed to save memory\.", value(page, "#omitted", "textContent"))
    page.click("#entries li:nth-last-child(2) summary")
    page.wait_for("/^000000  /.test(document.querySelector('li details[open] pre')?.textContent)")
    page.type("#text", "still usable" + ENTER)
    page.wait_for("document.querySelector('#entries li:last-child').textContent.includes('server: still usable')")
    assert page.problems() == []
