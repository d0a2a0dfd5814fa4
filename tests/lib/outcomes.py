# SPDX-License-Identifier: MIT
"""The table of outcomes in src/outcome.h: each way in which a connection can end."""

import re
from typing import NamedTuple

import project

HEADER = (project.TOP / "src/outcome.h").read_text(encoding="utf-8")
NUMBERS = dict(re.findall(r"^(?:#define | +)([A-Z_]+) (?:= )?([0-9]+)\b", HEADER, re.MULTILINE))


class Outcome(NamedTuple):
    """`code` is an HTTP status, a Close code, or 0 where the peer gets neither; %s stands for a path in some sentences."""

    code: int
    is_local_fault: bool
    sentence: str


def number(word):
    return int(NUMBERS.get(word, word))


def sentence(source):
    """The text of string literals and of STRING(NAME), one after the other."""
    return "".join(literal + NUMBERS.get(name, "") for literal, name in re.findall(r'"([^"]*)"|STRING\(\s*(\w+)\)', source))


TABLE = re.search(r"^#define OUTCOMES\(X\).*\\\n((?:.*\\\n)*.*)\n", HEADER, re.MULTILINE)[1].replace("\\\n", "\n")
ROW = re.compile(r'^ *X\((\w+), (\w+), (\w+),\s*((?:"[^"]*"|STRING\(\s*\w+\)|\s)+)\)', re.MULTILINE)
# By end_id, the name in the record.
OUTCOMES = {identity.lower().replace("_", "-"): Outcome(number(code), fault == "LOCAL_FAULT", sentence(words))
            for identity, code, fault, words in ROW.findall(TABLE)}
assert len(OUTCOMES) == len(re.findall(r"\bX\(", TABLE)) > 0
