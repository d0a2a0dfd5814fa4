# SPDX-License-Identifier: MIT
"""What ws-echo-lab(7) says is true, and its examples show what it says."""

import json
import os
import re
import subprocess

import heads
import lab_examples
import launch
import malformed
import project
import pytest
from require import require, require_file
from rule import rule
from serving import listening

PAGE = lab_examples.PAGE
MANUAL = PAGE.read_text(encoding="utf-8")
SOURCE = project.source()


def constant(name):
    """The value of a named number of the source."""
    return int(re.search(rf"\b{name} =? ?\(?(\d+)", SOURCE)[1])


def plain(name):
    """A section of the page in one line, without macros."""
    text = re.sub(r"^\.[A-Z]\w (?:Ns )?|^\.[A-Z]\w$", "", malformed.section(name), flags=re.M)
    return " ".join(text.replace(" ,", ",").split())


def words():
    """The words with their values, in the order of the program."""
    answer = launch.run(heads.head(path="/lab?unknown"), "--lab=/lab").stdout.decode()
    return re.search(r"the lab knows (.*)\.\n", answer)[1].split()


@rule("ws-echo-lab(7) WORDS (1)", "Each word has an example, which shows in node's ws and in browsers what the page says.")
def test_every_word_stands_in_the_page_with_its_value_and_an_example():
    sections = re.findall(r"^\.Ss (.+)\n((?:(?!\.Ss ).*\n)+)", malformed.section("WORDS") + "\n", re.M)
    titles = [re.sub(r"^(\w+), \1=(\w+)$", r"\1[=\2]", title) for title, _ in sections]
    assert [title for title in titles if title != "close=eof, close=reset"] == words()
    for title, text in sections:
        for term in title.split(", "):
            word = term if term[-1].islower() else term.split("=")[0]
            assert re.search(rf'^lab\("(.*&)?{word}\b.*"\)$', text, re.M), term


@rule("ws-echo-lab(7) WORDS (1)")
@pytest.mark.slow(reason="some examples take two seconds")
def test_the_examples_show_in_node_what_the_page_says():
    node = require("node", "nodejs")
    require_file(f"{malformed.NODE_MODULES}/ws", "node-ws")
    with listening(*lab_examples.OPTIONS) as listener:
        before = "globalThis.WebSocket = class extends require('ws') {\n" \
                 "  constructor(url) { super(url); this.onerror = () => {} } }\n"
        after = ".then(shown => { process.stdout.write(JSON.stringify(shown), () => process.exit()) })"
        script = before + malformed.numeric(lab_examples.script(listener.port, together=True)) + after
        result = subprocess.run([node, "-e", script], capture_output=True, check=True, timeout=project.LIMIT,
                                env={**os.environ, "NODE_PATH": malformed.NODE_MODULES})
        lab_examples.check(json.loads(result.stdout))


@rule("ws-echo-lab(7) RECIPES (1)", "The lab understands every query in the page.")
@pytest.mark.slow(reason="some of them delay the answer")
def test_every_query_of_the_page_is_understood():
    queries = {*re.findall(r"/lab\?([^\s\"]+)", MANUAL), *(row.words for row in malformed.rows()),
               *(example.words for example in lab_examples.blocks()[1])}
    assert len(queries) > 60
    for query in sorted(queries):
        query = re.sub(r"delay=[0-9]+", "delay=0.1", query).replace("stall=1&", "stall=0.1&")
        if query.startswith("stall"):
            continue  # the examples run it
        answer = launch.run(heads.head(path=f"/lab?{query}"), "--lab=/lab", timeout=project.LIMIT).stdout
        status = re.search(r"status=(\d+)", query)
        if "close=reset" in query:  # a pipe cannot be reset
            assert b"close=reset needs a TCP connection" in answer, query
        else:
            assert answer.startswith(f"HTTP/1.1 {status[1] if status else 101} ".encode()), (query, answer)


@rule("ws-echo-lab(7) WORDS (2)", "Each limit in the page is that of the source.")
@pytest.mark.parametrize("section, sentence", [
    ("WORDS", "It has at most {HELLO_MAX} bytes, and may be empty."),
    ("WORDS", "at most {REASON_MAX} bytes."),
    ("WORDS", "Send bytes as they are, at most {RAW_MAX}, written"),
    ("WORDS", "and at most {REPEATS_MAX} times."),
    ("WORDS", "{STATUS_MIN} to {STATUS_MAX}, instead of 101."),
    ("LIMITS", "are at most {WAIT_MAX} seconds, and less than"),
    ("LIMITS", "are at most {SCHEDULE_MAX} seconds."),
    ("THE QUERY", "is a whole number from 1 to {NUMBER_MAX}."),
])
def test_every_limit_in_these_sentences_is_that_of_the_source(section, sentence):
    expected = re.sub(r"\{(\w+)\}", lambda found: str(constant(found[1])), sentence)
    assert expected in plain(section)
