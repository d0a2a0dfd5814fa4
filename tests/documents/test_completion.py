# SPDX-License-Identifier: MIT
"""The completion for bash: types keys into an interactive bash on a terminal, and checks the resulting line."""

import os
import pty
import re
import select
import subprocess

import launch
import project
import pytest
from require import require

COMPLETION = project.TOP / "packaging" / "ws-echo.bash-completion"
ALL = "\x14"  # bound to readline's insert-completions
SHOW = "\x0f"  # bound to a command that prints the line
CLEAR = "\x15"


@pytest.fixture(scope="module")
def typed():
    """A function that types keys into an empty line and returns the resulting line."""
    bash = require("bash", "bash")
    setup = (f"PS1=; PATH={os.path.dirname(launch.PROGRAM)}:$PATH; source {COMPLETION}; "
             f"bind 'set enable-bracketed-paste off'; bind '\"\\C-t\": insert-completions'; "
             f"bind -x '\"\\C-o\": printf \"<%s>\\n\" \"$READLINE_LINE\"'; printf 'rea''dy\\n'\n")
    ours, theirs = pty.openpty()
    with subprocess.Popen([bash, "--norc", "--noprofile", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
                          start_new_session=True, env={**os.environ, "INPUTRC": "/dev/null", "TERM": "dumb",
                                                       "COLUMNS": "10000"}) as shell:
        os.close(theirs)

        def line_after(keys):
            os.write(ours, (CLEAR + keys + SHOW).encode())
            return until(ours, r"<(.*)>\r\n")[1]

        try:
            os.write(ours, setup.encode())
            until(ours, r"ready\r\n")
            yield line_after
        finally:
            shell.kill()
            os.close(ours)


@pytest.fixture
def candidates(typed):
    """All completions of a line."""
    return lambda start: typed(start + ALL).removeprefix(start).split()


def until(terminal, pattern):
    """Reads the terminal until its output matches the pattern."""
    said = ""
    while not (match := re.search(pattern, said)):
        assert select.select([terminal], [], [], project.LIMIT)[0], said
        said += os.read(terminal, 65536).decode()
    return match


def help_options():
    """The long options of --help, with a = after those that take a value, and their short options."""
    found = re.findall(r"^ +(?:-(\w), )?(--[a-z-]+=?)", launch.run(b"", "--help").stdout.decode(), re.M)
    assert len(found) > 10
    return found


def test_every_option_of_help_is_offered_and_no_other(typed, candidates):
    assert sorted(candidates("ws-echo ")) == sorted(long for _, long in help_options())
    assert typed("ws-echo --" + ALL).removeprefix("ws-echo ").split() == candidates("ws-echo ")


@pytest.mark.parametrize("short, long", help_options())
def test_each_is_completed_so_that_one_can_type_on(typed, short, long):
    """After a = the value follows directly, after an option without value a blank."""
    expected = f"ws-echo {long}" + ("" if long.endswith("=") else " ")
    others = [other for _, other in help_options() if other != long and other.startswith(long.rstrip("="))]
    if not others:
        assert typed(f"ws-echo {long.rstrip('=')[:-1]}\t") == expected


@pytest.mark.parametrize("short, long", help_options())
def test_every_value_that_is_completed_is_valid(candidates, short, long):
    forms = [long, long.rstrip("=") + " "] + [f"-{short} "] * bool(short) if long.endswith("=") else []
    offered = [candidates(f"ws-echo {form}") for form in forms]
    assert all(values == offered[0] for values in offered), offered
    for value in offered[0] if offered else []:
        assert launch.run(b"", long + value, "--check").returncode == 0, value
    expected = {"--path=": ["any"], "--origin=": ["any", "null"], "--subprotocol=": ["any", "none"],
                "--log=": ["auto", "journal", "stderr", "syslog"]}
    if long == "--user=":
        assert "nobody" in offered[0]
    elif forms:
        assert offered[0] == expected.get(long, [])


def test_a_value_is_completed_from_its_beginning(typed):
    assert typed("ws-echo --subprotocol=no\t") == "ws-echo --subprotocol=none "
    assert typed("ws-echo --no-page -s no\t") == "ws-echo --no-page -s none "


def test_options_follow_an_option_without_a_value(typed):
    assert typed("ws-echo --no-page --pre\t") == "ws-echo --no-page --prefix="
    assert typed("ws-echo -q --pre\t") == "ws-echo -q --prefix="
