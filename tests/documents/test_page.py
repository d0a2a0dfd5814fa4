# SPDX-License-Identifier: MIT
"""Rules for the test page, src/page.html: a strict Content-Security-Policy, accessibility, no dependencies."""

import collections
import html.parser
import itertools
import re

import project
import pytest

SOURCE = (project.TOP / "src/page.html").read_text(encoding="utf-8")
VOID = {"meta", "link", "input", "br", "hr", "img"}

Element = collections.namedtuple("Element", "tag attributes text labelled")  # labelled: it stands in a label


class Page(html.parser.HTMLParser):
    """All elements in order, each with its text; every tag must be closed."""

    def __init__(self):
        super().__init__()
        self.elements, self.inside = [], []
        self.feed(SOURCE)
        self.close()
        assert not self.inside, f"never closed: {self.inside}"

    def handle_starttag(self, tag, attrs):
        assert len(attrs) == len(dict(attrs)), f"an attribute twice: {attrs}"
        labelled = any(element.tag == "label" for element in self.inside)
        self.elements.append(Element(tag, dict(attrs), [], labelled))
        if tag not in VOID:
            self.inside.append(self.elements[-1])

    def handle_startendtag(self, tag, attrs):
        """A path of the drawing, which has no text; a tag of HTML must not end like that."""
        assert tag == "path", tag
        self.elements.append(Element(tag, dict(attrs), [], False))

    def handle_endtag(self, tag):
        assert self.inside and self.inside.pop().tag == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        for element in self.inside:
            element.text.append(data)

    def all(self, *tags):
        return [element for element in self.elements if element.tag in tags]

    def one(self, tag):
        (element,) = self.all(tag)
        return element


PAGE = Page()
IDS = [element.attributes["id"] for element in PAGE.elements if "id" in element.attributes]
STYLE, SCRIPT = ("".join(PAGE.one(tag).text) for tag in ("style", "script"))


@pytest.mark.parametrize("tag, opening", [("script", '<script type="module">'), ("style", "<style>")])
def test_the_build_can_hash_the_only_script_and_the_only_style(tag, opening):
    """A module has its own scope, so that scripts typed into the console do not change its variables."""
    lines = SOURCE.split("\n")
    assert [line for line in lines if f"<{tag}" in line or f"</{tag}" in line] == [opening, f"</{tag}>"]
    start, end = lines.index(opening), lines.index(f"</{tag}>")
    assert "\n".join(["", *lines[start + 1:end], ""]) == "".join(PAGE.one(tag).text)


def test_nothing_is_inline_that_the_policy_would_refuse():
    for element in PAGE.elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on") and name != "style", element
            assert not (value or "").lower().startswith("javascript:"), element


def test_nothing_is_loaded_from_anywhere():
    for element in PAGE.elements:
        assert not {"src", "srcset", "action", "formaction", "data"} & set(element.attributes), element
        href = element.attributes.get("href", "data:")
        assert href.startswith("data:") or (href.startswith("#") and href[1:] in IDS), element
    assert not re.search(r"url\(|@import|@font-face", STYLE)
    assert not re.search(r"https?://|\bWorker\b|XMLHttpRequest|\bimport\b|EventSource|sendBeacon", SCRIPT)
    # Except the request that asks why there is no WebSocket at a URL.
    assert re.findall(r"\bfetch\b[^{]*", SCRIPT) == ['fetch(url.replace("ws", "http"), ']


def test_what_a_peer_sends_is_never_taken_for_markup_or_code():
    assert not re.search(r"HTML\b|document\.write|srcdoc|DOMParser", SCRIPT)
    assert not re.search(r"\b(eval|Function)\b", SCRIPT)


def test_the_paths_and_the_origins_stand_in_one_place_where_the_program_can_fill_them_in():
    assert SOURCE.count('value="/socket" data-origins="" data-lab=""') == 1 and SOURCE.count("/socket") == 1
    (path,) = [element for element in PAGE.all("input") if element.attributes.get("value") == "/socket"]
    assert path.attributes["id"] == "path"
    assert path.attributes["autocomplete"] == "off"  # otherwise Firefox restores the previous value on reload


def test_every_control_has_a_name():
    labels = [label for label in PAGE.all("label") if "".join(label.text).strip()]
    assert labels == PAGE.all("label")
    named = {label.attributes.get("for") for label in labels}
    for control in PAGE.all("input", "textarea", "select"):
        assert control.labelled or control.attributes.get("aria-label") or control.attributes["id"] in named, control
    for button in PAGE.all("button"):
        assert "".join(button.text).strip(), button
    for element in PAGE.elements:
        role = element.attributes.get("role")
        if element.tag == "section" or role == "log":
            assert {"aria-label", "aria-labelledby"} & set(element.attributes), element


def test_the_form_takes_the_codes_and_the_reason_that_a_browser_can_close_with():
    (pattern,) = re.findall(r"/(\S+)/\.test\(text\)\) return \"\";", SCRIPT)
    assert [number for number in range(10000) if re.fullmatch(pattern, str(number))] == [1000, *range(3000, 5000)]
    reasons = [element for element in PAGE.all("input") if "reason" in element.attributes.get("id", "")
               or element.attributes.get("name") == "reason"]
    assert [reason.attributes["maxlength"] for reason in reasons] == [str(125 - 2)] * 2, "ours, and the lab's"


def test_the_form_has_each_word_of_the_lab_once():
    rows = (project.TOP / "src/words.c").read_text(encoding="utf-8").split("word_rows[WORD_COUNT] = {")[1].split("};")[0]
    words = re.findall(r"\[\w+\] = \{\"([a-z]+)\"", rows)
    assert len(words) == 16
    names = [element.attributes["name"] for element in PAGE.all("input", "select") if "name" in element.attributes]
    assert {name for name in names if name not in ("code", "stalled")} == set(words)
    values = {name: [element.attributes["value"] for element in PAGE.all("input") if element.attributes.get("name") == name]
              for name in ("bad", "mute")}
    assert values == {"bad": ["accept", "subprotocol", "extension"], "mute": ["echo", "close", "ping", "pong"]}


def test_the_page_fits_what_a_reader_reads_at_once():
    """With the fields of the answer it has at most 64 KiB: they have less than 650 bytes, and what is filled in about 100."""
    assert len(SOURCE.encode()) <= (64 << 10) - 750
    assert max(map(len, SOURCE.splitlines())) <= 140
    lines = SOURCE[SOURCE.index("<script"):].splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"(async )?function ", line)]
    lengths = {lines[start]: lines.index("}", start) - start + 1 for start in starts}
    assert len(lengths) > 60 and max(lengths.values()) <= 40, "a function fits a screen"


def test_every_id_is_unique_and_every_reference_finds_its_own():
    assert len(IDS) == len(set(IDS))
    for element in PAGE.elements:
        for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls", "list", "form"):
            assert element.attributes.get(name, IDS[0]) in IDS, element
    used = re.findall(r'\bpage\.([a-z0-9]+)|\bpage\["([a-z-]+)"\]|on(?:Submit|Click)\("([a-z-]+)"|#([a-z-]+)\b(?=[^;]*\{)',
                      SCRIPT + STYLE)
    assert {name for names in used for name in names if name} - set(IDS) == set()


def test_news_are_announced_without_interrupting():
    roles = {element.attributes["role"]: element for element in reversed(PAGE.elements) if "role" in element.attributes}
    assert roles["status"].attributes["id"] == "status"
    assert roles["log"].attributes["aria-live"] == "polite"
    assert roles["log"].attributes["tabindex"] == "0"  # a scrolling element must be reachable with the keyboard


def test_the_order_of_the_keyboard_is_the_order_of_the_page():
    assert all(element.attributes.get("tabindex", "0") == "0" for element in PAGE.elements)
    assert not re.search(r"outline:\s*(0|none)", STYLE)


def test_the_text_field_has_the_focus_from_the_start():
    assert SOURCE.count("autofocus") == 1
    assert [element.attributes["id"] for element in PAGE.elements if "autofocus" in element.attributes] == ["text"]


def test_the_document_says_what_it_is():
    assert SOURCE.startswith("<!DOCTYPE html>\n")
    assert PAGE.one("html").attributes["lang"] == "en"
    assert "".join(PAGE.one("title").text) == "".join(PAGE.one("h1").text) == "ws-echo"
    assert PAGE.all("meta")[0].attributes == {"charset": "utf-8"}
    named = {meta.attributes["name"]: meta.attributes["content"] for meta in PAGE.all("meta")[1:]}
    assert named["viewport"].split(", ") == [  # and nothing that prevents zooming
        "width=device-width", "initial-scale=1", "interactive-widget=resizes-content"]
    assert named["color-scheme"] == "light dark"
    for landmark in ("header", "main", "noscript"):
        assert PAGE.one(landmark)


def test_nothing_moves():
    """So there is nothing to stop for those who prefer reduced motion."""
    assert not re.search(r"animation|transition|@keyframes|(?<!over)scroll-behavior|smooth", STYLE + SCRIPT)


def contrast(*colours):
    """The WCAG 2 contrast ratio of two colours written as #rrggbb."""
    def luminance(colour):
        parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue
    dark, light = sorted(map(luminance, colours))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_contrast_is_that_of_wcag_aa(scheme):
    block = re.findall(r":root \{(.*?)\}", STYLE, re.S)[scheme]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    texts, grounds = ["ink", "quiet", "accent", "alarm"], ["ground", "surface", "tint"]
    for text, ground in [*itertools.product(texts, grounds), ("on-accent", "accent")]:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["edge"], colours["ground"]) >= 3 <= contrast(colours["edge"], colours["surface"])
