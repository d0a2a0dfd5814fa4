# SPDX-License-Identifier: MIT
"""The examples of ws-echo-lab(7), as somebody types them into a browser's console, and what the page says comes of them."""

import json
import re
from typing import NamedTuple

import project

PAGE = project.TOP / "man/ws-echo-lab.7"
OPTIONS = ("--lab=/lab", "--origin=http://localhost:PORT")
PATIENCE = 30  # seconds until an example that shows less than it has to is given up


class Example(NamedTuple):
    """What is typed, and the lines that the console shows."""

    typed: str
    shown: list

    @property
    def words(self):
        """What it asks the lab for."""
        return re.match(r'lab\("(.*)"\)', self.typed)[1]


def blocks():
    """The function that is pasted first, and the examples: a block may have several, with an empty line between."""
    words = PAGE.read_text(encoding="utf-8").split("\n.Sh WORDS\n")[1].split("\n.Sh ")[0]
    function, *rest = [block.replace("\\&", "") for block in
                       re.findall(r"^\.Bd -literal.*\n((?:(?!\.Ed).*\n)+)", words, re.M)]
    examples = [example.splitlines() for block in rest for example in block.split("\n\n")]
    return function, [Example(typed, shown) for typed, *shown in examples]


def script(port, together):
    """JavaScript whose value is what each example has shown on a server at this port, one after the other or all together:
    a browser has one handshake with a host at a time, so that one that is delayed would delay the others."""
    function, examples = blocks()
    function = function.replace("localhost:8888", f"localhost:{port}")
    runs = ",".join(f"""() => new Promise(resolve => {{
        const shown = [], give_up = setTimeout(() => resolve(shown), {PATIENCE * 1000})
        const console = {{ log: (...parts) => {{
            shown.push(parts.join(' '))
            if (shown.length === {len(pieces(example.shown))}) {{ clearTimeout(give_up); resolve([...shown]) }}
        }} }}
        let lab
        {function}
        {example.typed}
    }})""" for example in examples)
    if together:
        return f"Promise.all([{runs}].map(run => run()))"
    return f"(async () => {{ const shown = []; for (const run of [{runs}]) shown.push(await run()); return shown }})()"


def pieces(shown):
    """Lines as what is logged at once: each begins with the seconds."""
    return re.split(r"\n(?=\d+ s )", "\n".join(shown))


def check(shown):
    """Fails unless the examples have shown what the page says, and not earlier than it says."""
    for example, real in zip(blocks()[1], shown, strict=True):
        expected = pieces(example.shown)
        assert len(real) == len(expected), f"{example.typed}: {json.dumps(real)}"
        for one, other in zip(expected, real):
            pattern = re.escape(one.partition(" s ")[2]).replace(re.escape("127.0.0.1:53220"), r"\S+:\d+")
            pattern = pattern.replace(re.escape("\n..."), r"(\n.*)*")
            seconds, _, text = other.replace("\r\n", "\n").partition(" s ")
            assert re.fullmatch(pattern, text.strip()), f"{example.typed}: {one!r} has to be shown, {other!r} is"
            assert int(seconds) >= int(one.partition(" s ")[0]), f"{example.typed}: {other!r} comes too early"
