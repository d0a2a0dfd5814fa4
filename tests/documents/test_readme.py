# SPDX-License-Identifier: MIT
"""README.md: typing or pasting its commands gives the output that it shows; and where links in documents lead."""

import os
import re
import shlex
import subprocess

import framing
import heads
import launch
import project
import pytest
from require import missing, require, require_file, require_module
from terminal import CTRL_C, Terminal

README = (project.TOP / "README.md").read_text()
MANUAL = "".join(page.read_text() for page in sorted((project.TOP / "man").glob("*.[1-8]")))
TRY_IT = README.split("\n## Try it\n")[1].split("\n## ")[0]
NEEDS = {"/usr/bin/python3": ("websocket", "python3-websocket"), "curl": ("curl", "curl")}

# The documents for readers of the source.
DOCUMENTS = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md", "tests/bench/README.md"]

# Marks that an interactive shell prints: before a command, before a continued line, and before it runs the command.
PROMPTS = {"PS1": "<command?>", "PS2": "<more?>", "PS0": "<output>"}
BRACKETED_PASTE = "\x1b[?2004h", "\x1b[?2004l"  # the shell turns the terminal's bracketed paste on and off
PASTED = b"\x1b[200~", b"\x1b[201~"
SHELLS = {"bash": ["--norc", "--noprofile", "-i"], "dash": ["-i"]}


def blocks(text):
    """The blocks of code as (language, text)."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)


def commands(text):
    """The blocks of shell commands, each with the following block without a language: its output."""
    found = blocks(text)
    return [(block, shown) for (one, block), (other, shown) in zip(found, found[1:]) if (one, other) == ("sh", "")]


@pytest.fixture(scope="module")
def network():
    """A network namespace in which `make run` serves port 8888; returns the command that starts others in it."""
    for command, package in [("unshare", "util-linux"), ("ip", "iproute2"), ("systemd-socket-activate", "systemd")]:
        require(command, package)
    # Only root of a user namespace may bring the interface up; the commands then run as an ordinary user.
    up, enter = ["--map-root-user", "--net"], ["--user", "--preserve-credentials", "--net"]
    somebody = ["unshare", "--map-user=1000", "--map-group=1000"]
    if subprocess.run(["unshare", *up, *somebody, "true"], capture_output=True, check=False).returncode:
        missing("the right to make a network namespace", "util-linux, and allow user namespaces")
    if subprocess.run(["unshare", *up, "getent", "hosts", "localhost"], capture_output=True, check=False).returncode:
        missing("the name localhost", "libnss-myhostname, or write /etc/hosts")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    serve = ["sh", "-c", 'ip link set lo up && "$@"', "sh", *somebody, "make", "run"]
    with Terminal(["unshare", *up, *serve], cwd=project.TOP, env=environment) as terminal:
        terminal.until(b"Open ")
        terminal.until(b"console.\n")
        yield terminal, ["nsenter", f"--target={terminal.process.pid}", *enter, "--", *somebody]
        terminal.type(CTRL_C)
        terminal.finish()


def shown(shell, block, way, network):
    """The output of an interactive shell in which a block is typed or pasted."""
    environment = {**os.environ, **PROMPTS, "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    environment.pop("ENV", None)
    lines = block.splitlines()
    with Terminal([*network, require(shell, shell), *SHELLS[shell]], cwd=project.TOP, env=environment) as terminal:
        terminal.until(PROMPTS["PS1"].encode())
        if way == "typed":
            for number, line in enumerate(lines, 1):
                terminal.type(line.encode() + b"\r")
                terminal.until(PROMPTS["PS2" if number < len(lines) else "PS1"].encode(),
                               number if number < len(lines) else 2)
        else:
            marks = PASTED if BRACKETED_PASTE[0].encode() in terminal.shown else (b"", b"")
            terminal.type(marks[0] + "\r".join(lines).encode() + marks[1] + b"\r")
            terminal.until(PROMPTS["PS1"].encode(), 2)
        text = terminal.shown.decode()
        terminal.type(b"exit\r")
        terminal.finish()
    # With line editing, the shell prints the lines itself, in front of the mark for output.
    text = re.sub("|".join(map(re.escape, BRACKETED_PASTE)) + "|\r", "", text)
    between = re.split("(" + "|".join(map(re.escape, PROMPTS.values())) + ")", text)
    begins = [PROMPTS["PS0"]] if PROMPTS["PS0"] in text else [PROMPTS["PS1"], PROMPTS["PS2"]]
    return "".join(part for mark, part in zip(between[1::2], between[2::2]) if mark in begins)


def test_only_authorised_users_can_read_the_journal():
    """Only root and members of a group may read it."""
    lines = re.findall(r"^.*\bjournalctl .*$", README, re.M)
    assert lines and [line for line in lines if " sudo journalctl " not in line] == []


def test_make_run_says_what_is_shown(network):
    terminal, _ = network
    ((_, expected),) = commands(README.split("\n## Try it\n")[0])
    assert terminal.shown.decode().endswith(expected)


@pytest.mark.parametrize("way", ["typed", "pasted"])
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("block, expected", [
    pytest.param(*pair, id=re.match(r"[\w/]+", pair[0])[0].rpartition("/")[2]) for pair in commands(TRY_IT)])
def test_a_command_shows_what_is_shown(network, block, expected, shell, way):
    needed, package = NEEDS[block.split()[0]]
    if package.startswith("python3-"):
        require_module(needed, package)
    require(block.split()[0], package)
    assert shown(shell, block, way, network[1]) == expected


# A console runs lines as soon as they are a complete script. Asserts that all lines but the last are incomplete without
# it, so that the console runs the block at once; then runs the block.
CONSOLE = """
const vm = require('vm')
const [code] = process.argv.slice(1), lines = code.trimEnd().split('\\n')
lines.slice(1).forEach((_, count) => {
    try {
        new vm.Script(lines.slice(0, count + 1).join('\\n'))
    } catch (error) {
        if (error.message === 'Unexpected end of input') return
        throw error
    }
    throw Error(`line ${count + 1} is run before the last one is typed`)
})
globalThis.WebSocket = require('ws')
vm.runInThisContext(code)
socket.addEventListener('message', () => socket.close())
"""


def test_the_console_runs_all_lines_at_once_and_shows_the_echo(network):
    require_file("/usr/share/nodejs/ws", "node-ws")
    ((_, code),) = [block for block in blocks(TRY_IT) if block[0] == "js"]
    result = subprocess.run([*network[1], require("node", "nodejs"), "-e", CONSOLE, code], capture_output=True,
                            text=True, env={**os.environ, "NODE_PATH": "/usr/share/nodejs"}, timeout=project.LIMIT,
                            check=False)
    assert (result.stdout, result.stderr) == ("server: Hello world\n", "")
    assert code in MANUAL, "the manual has the same"


@pytest.mark.parametrize("options", re.findall(r"^ *WS_ECHO_OPTS=(.*)$", README + MANUAL, re.M))
def test_no_example_of_options_serves_a_page_that_it_keeps_out(options):
    options = shlex.split(options)
    (path,) = [option for option in options if re.match("--path=|/", option)][:1] or ["/socket"]
    page = launch.run(b"GET / HTTP/1.1\r\nHost: echo.example\r\n\r\n", *options)
    own = launch.run(heads.head("Origin: http://echo.example", path=path.removeprefix("--path=")), *options)
    assert b" 101 " in own.stdout or b"<html" not in page.stdout, (page, own)


def test_the_pure_echo_puts_nothing_in_front_of_text_and_serves_every_path():
    (options,) = re.findall(r"`make run ARGS='(.*)'`", README)
    result = launch.run(heads.head(path="/elsewhere") + framing.text("Hello"), *shlex.split(options))
    assert result.stdout == heads.switching() + framing.reply(framing.TEXT, b"Hello")


def test_a_record_begins_like_the_one_that_is_shown():
    (example,) = re.findall(r"^    (ws-echo\[.*) …$", README, re.M)
    record = launch.run(heads.head() + framing.close(1000, b"bye")).stderr.decode()
    shown_parts, parts_of_it = (re.sub(r"\d+", "N", line.replace("192.0.2.1:53220", "-")) for line in (example, record))
    assert parts_of_it.startswith(shown_parts + " "), record


# Documents


def slug(heading):
    """The name by which a link finds a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(document):
    """The links of a document that lead to files, as it writes them: (file, heading)."""
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", (project.TOP / document).read_text(encoding="utf-8"), flags=re.M | re.S)
    found = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    return [link.partition("#")[::2] for link in found]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_link_leads_to_a_file_of_the_tree_and_to_a_heading_of_it(document):
    for name, heading in links(document):
        path = (project.TOP / document).parent / name if name else project.TOP / document
        assert path.is_file(), f"{document}: there is no {name}"
        headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M) if heading else []
        assert not heading or heading in map(slug, headings), f"{document}: {name} has no heading {heading}"


def test_the_documents_for_readers_are_linked_in_the_readme():
    assert set(DOCUMENTS) - {name for name, _ in links("README.md")} == {"README.md"}


def test_the_way_of_a_message_leads_through_all_rooms():
    way = README.split("\n## How it is built\n")[1].split("\n## ")[0]
    rooms = {path.stem for path in project.TOP.glob("src/*.h")}
    assert rooms - set(re.findall(r"\w+", way)) == set()
