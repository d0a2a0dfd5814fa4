"""README.md: whoever types or pastes what it says gets what it shows."""

import os
import re
import shlex
import subprocess

import parts
import pytest
import wire
from terminal import CTRL_C, Terminal

README = (wire.TOP / "README.md").read_text()
MANUAL = (wire.TOP / "man/ws-echo.8").read_text()
TRY_IT = README.split("\n## Try it\n")[1].split("\n## ")[0]
NEEDS = {"/usr/bin/python3": ("websocket", "python3-websocket"), "node": ("/usr/share/nodejs/ws", "node-ws"),
         "curl": ("curl", "curl"), "printf": ("cat", "coreutils")}

# What an interactive shell shows before it reads a command, before it reads on, and before it runs the command.
PROMPTS = {"PS1": "<command?>", "PS2": "<more?>", "PS0": "<output>"}
BRACKETED_PASTE = "\x1b[?2004h", "\x1b[?2004l"  # the shell asks the terminal to mark what is pasted, and not to
PASTED = b"\x1b[200~", b"\x1b[201~"
SHELLS = {"bash": ["--norc", "--noprofile", "-i"], "dash": ["-i"]}


def blocks(text):
    """The blocks of code as (language, text)."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)


def commands(text):
    """The blocks of shell commands, each with the block of no language behind it, which is what they show."""
    found = blocks(text)
    return [(block, shown) for (one, block), (other, shown) in zip(found, found[1:]) if (one, other) == ("sh", "")]


def masked(text):
    """Without bold letters and what differs from run to run, and sorted: a record comes when it likes."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(wire.DATE, "(date)", text)
    text = re.sub(r"ws-echo\[\d+\]", "ws-echo[(pid)]", text)
    return sorted(re.sub(r"seconds=[0-9.]+", "seconds=(seconds)", text).splitlines())


@pytest.fixture(scope="module")
def network():
    """A network of one's own, in which port 8888 is free and `make run` serves; how to start a command there."""
    for command, package in [("unshare", "util-linux"), ("ip", "iproute2"), ("systemd-socket-activate", "systemd")]:
        parts.require(command, package)
    # Only root of a user namespace may bring the interface up; all else is for a user of it who is not root.
    up, enter = ["--map-root-user", "--net"], ["--user", "--preserve-credentials", "--net"]
    somebody = ["unshare", "--map-user=1000", "--map-group=1000"]
    if subprocess.run(["unshare", *up, *somebody, "true"], capture_output=True, check=False).returncode:
        parts.missing("the right to make a network namespace", "util-linux, and allow user namespaces")
    if subprocess.run(["unshare", *up, "getent", "hosts", "localhost"], capture_output=True, check=False).returncode:
        parts.missing("the name localhost", "libnss-myhostname, or write /etc/hosts")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    serve = ["sh", "-c", 'ip link set lo up && "$@"', "sh", *somebody, "make", "run"]
    with Terminal(["unshare", *up, *serve], cwd=wire.TOP, env=environment) as terminal:
        terminal.until(b"Open ")
        terminal.until(b"console.\n")
        yield terminal, ["nsenter", f"--target={terminal.process.pid}", *enter, "--", *somebody]
        terminal.type(CTRL_C)
        terminal.finish()


def shown(shell, block, way, network):
    """What an interactive shell shows when a block is typed or pasted."""
    environment = {**os.environ, **PROMPTS, "TERM": "xterm", "NODE_PATH": "/usr/share/nodejs", "LC_ALL": "C.UTF-8"}
    environment.pop("ENV", None)
    lines = block.splitlines()
    with Terminal([*network, parts.require(shell, shell), *SHELLS[shell]], cwd=wire.TOP, env=environment) as terminal:
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
    # A shell that edits lines shows them itself, before it says that output begins.
    text = re.sub("|".join(map(re.escape, BRACKETED_PASTE)) + "|\r", "", text)
    between = re.split("(" + "|".join(map(re.escape, PROMPTS.values())) + ")", text)
    begins = [PROMPTS["PS0"]] if PROMPTS["PS0"] in text else [PROMPTS["PS1"], PROMPTS["PS2"]]
    return "".join(part for mark, part in zip(between[1::2], between[2::2]) if mark in begins)


def test_the_journal_is_read_by_whoever_may():
    """Members of a group, or root."""
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
    if needed.startswith("/"):
        parts.require_file(needed, package)
    elif package.startswith("python3-"):
        parts.require_module(needed, package)
    parts.require(block.split()[0], package)
    received = shown(shell, block, way, network[1])
    for name, value in wire.unfiltered_fields().items():
        received = received.replace(f" {name}={value}", "")
    assert masked(received) == masked(expected), received


# In one go, as consoles run what is typed into them as soon as it is complete, and tell what is not by the same words.
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
    parts.require_file("/usr/share/nodejs/ws", "node-ws")
    ((_, code),) = [block for block in blocks(TRY_IT) if block[0] == "js"]
    result = subprocess.run([*network[1], parts.require("node", "nodejs"), "-e", CONSOLE, code], capture_output=True,
                            text=True, env={**os.environ, "NODE_PATH": "/usr/share/nodejs"}, timeout=wire.LIMIT,
                            check=False)
    assert (result.stdout, result.stderr) == ("server: Hello world\n", "")
    assert code in MANUAL, "the manual has the same"


@pytest.mark.parametrize("options", re.findall(r"^ *WS_ECHO_OPTS=(.*)$", README + MANUAL, re.M))
def test_no_example_of_options_serves_a_page_that_it_keeps_out(options):
    options = shlex.split(options)
    (path,) = [option for option in options if re.match("--path=|/", option)][:1] or ["/socket"]
    page = wire.run(b"GET / HTTP/1.1\r\nHost: echo.example\r\n\r\n", *options)
    own = wire.run(wire.head("Origin: http://echo.example", path=path.removeprefix("--path=")), *options)
    assert b" 101 " in own.stdout or b"<html" not in page.stdout, (page, own)
