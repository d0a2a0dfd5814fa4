# SPDX-License-Identifier: MIT
"""The exact text of --help, --check and the error messages, which people and scripts read.

unit/test_outcome.c notices a change of the outcomes' sentences.
"""

import re
import socket
import subprocess

import framing
import heads
import launch
import project
import pytest
from launch import shell
from refusals import on_a_terminal, refusal_to_start, usage

HELP = """\
Usage: ws-echo [OPTION]...
WebSocket echo server for one connection on standard input and output.

  -p, --path=PATH            request path that is upgraded, or any; repeatable (/socket)
  -P, --prefix=TEXT          put before every text reply; %20 is a blank (server:%20)
  -o, --origin=ORIGIN        allow pages of this origin only; repeatable (any)
  -s, --subprotocol=NAME     agree to NAME, any or none; repeatable (any)
  -m, --max-message=SIZE     largest message in bytes, 1 to 1G (16M)
      --handshake-timeout=S  seconds for the whole request head (10)
      --ping-interval=S      seconds of silence after which a Ping is sent; 0: never (20)
      --timeout=S            seconds of silence or unread output that end it; 0: never (60)
      --proxy-protocol       a PROXY protocol header must come first
      --no-page              answer GET / with one line instead of the test page
      --lab=PATH             serve PATH too, where the query asks for faults; repeatable
      --deflate              agree to permessage-deflate: RFC 7692
      --log=CHANNEL          log to the journal, syslog or stderr (auto)
      --check                validate the options and exit
  -u, --user=NAME            user to become when started as root (nobody)
  -q, --quiet                log local faults only
  -v, --verbose              log every frame and the fields of the request too
  -h, --help                 print this help
      --version              print the version

It does not listen: systemd, xinetd, inetd, tcpserver or socat start it.
See ws-echo(8), and ws-echo-launchers(7) for how.
"""


def test_help_is_this_text():
    result = launch.run(b"", "--help")
    assert (result.returncode, result.stdout.decode(), result.stderr) == (0, HELP, b"")


def test_version_is_that_of_the_makefile_or_later():
    (release,) = re.findall(r"^VERSION = (.*)$", (project.TOP / "Makefile").read_text(), re.MULTILINE)
    result = launch.run(b"", "--version")
    assert (result.returncode, result.stderr) == (0, b"")
    assert re.fullmatch(rf"ws-echo {re.escape(release)}(\+[a-z0-9.]+)?\n", result.stdout.decode()), result.stdout


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_what_cannot_be_printed_is_a_local_fault(option):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([launch.PROGRAM, option], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 71
    assert re.fullmatch(r"ws-echo\[\d+\]: cannot write: No space left on device\n", result.stderr), result.stderr


PATH = "any, alone, or up to 64 times a path of at most 4095 bytes that begins with / and has no blank, ? or #"
ORIGIN = "any, alone, or up to 64 times null or an origin such as https://example.org, of at most 300 bytes"
LAB = "up to 64 times a path of at most 4095 bytes that begins with one / and has no blank, ? or #"
SECONDS_60 = "seconds, as in 60 or 0.5, or 0"


@pytest.mark.parametrize("options, complaint", [
    (["--path=x"], f"--path=x: it must be {PATH}"),
    (["--prefix=%"], "--prefix=%: it must be at most 256 bytes of UTF-8, with % only as in %20 or %25"),
    (["--origin=x"], f"--origin=x: it must be {ORIGIN}"),
    (["-s", "a b"], "--subprotocol=a b: it must be any or none, alone, or up to 64 times a name without blanks and commas"),
    (["-m0"], "--max-message=0: it must be 1 to 1G, as in 65536, 64K or 16M"),
    (["--handshake-timeout=0"], "--handshake-timeout=0: it must be seconds above 0, as in 10 or 0.5"),
    (["--lab=any"], f"--lab=any: it must be {LAB}"),
    (["--ping-interval=x"], "--ping-interval=x: it must be seconds, as in 20 or 0.5, or 0"),
    (["--timeout=x"], f"--timeout=x: it must be {SECONDS_60}"),
    (["--log=x"], "--log=x: it must be auto, journal, syslog or stderr"),
    (["--user="], "--user=: it must be the name of a user"),
    (["--timeout=" + "x" * 41], f"--timeout={'x' * 40}: it must be {SECONDS_60}"),
    (["-q", "-v"], "--quiet and --verbose exclude each other; give one of them"),
    (["--ping-interval=7.5", "--timeout=2.5"], "--ping-interval=7.5 is not below --timeout=2.5; make it smaller, or 0"),
    (["--path"], "option --path needs a value; see ws-echo --help"),
    (["--bogus"], "unknown option --bogus; see ws-echo --help"),
    (["--" + "x" * 39], f"unknown option --{'x' * 38}; see ws-echo --help"),
    (["--p"], "ambiguous option --p; see ws-echo --help"),
    (["-x"], "unknown option -x; see ws-echo --help"),
    (["--quiet=1"], "option --quiet takes no value; see ws-echo --help"),
    (["word"], "unexpected argument word; there are only options, see ws-echo --help"),
    (["w" * 41], f"unexpected argument {'w' * 40}; there are only options, see ws-echo --help"),
])
def test_a_complaint_says_what_is_wrong_and_what_would_be_right(options, complaint):
    assert usage(*options).partition("]: ")[2] == complaint + "\n"


def test_a_user_at_a_terminal_is_told_how_to_start_it():
    result = on_a_terminal(launch.PROGRAM)
    assert (result.returncode, result.stderr.decode()) == (64, (
        "ws-echo is a WebSocket echo server for one connection on standard input and output.\n"
        "It does not listen: systemd, xinetd, inetd, tcpserver or socat start it; to try it, run\n"
        f"systemd-socket-activate --accept --inetd --listen=8888 {launch.PROGRAM}\n"))


@pytest.mark.parametrize("script, complaint", [
    ("export LISTEN_FDS=2 LISTEN_PID=$$; exec 3<&0 4<&0",
     "LISTEN_FDS=2, but one connection is served; set Accept=yes in the socket unit"),
    ("exec 0<&-", "standard input and output must be the connection; one of them is closed"),
    ("exec 1>&-", "standard input and output must be the connection; one of them is closed"),
    ("export LISTEN_FDS=1 LISTEN_PID=$$", "standard input and output must be the connection; one of them is closed"),
])
def test_a_descriptor_that_is_no_connection_is_refused_and_the_remedy_named(script, complaint):
    assert refusal_to_start(shell(script), subprocess.DEVNULL).partition("]: ")[2] == complaint + "\n"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.parametrize("kind, complaint", [
    (socket.SOCK_STREAM, "this is a listening socket, not a connection; set Accept=yes in the socket unit"),
    (socket.SOCK_DGRAM, "the connection is not a stream socket; start this program for one TCP connection"),
])
def test_a_socket_that_is_no_connection_is_refused_and_the_remedy_named(family, kind, complaint):
    with socket.socket(family, kind) as other:
        if kind == socket.SOCK_STREAM:
            other.bind("" if family == socket.AF_UNIX else ("127.0.0.1", 0))
            other.listen()
        assert refusal_to_start([], other).partition("]: ")[2] == complaint + "\n"


def test_a_record_has_all_that_is_known_in_this_order():
    request = heads.head("Origin: http://x", "Sec-WebSocket-Protocol: chat", "User-Agent: a", "Forwarded: for=b",
                        "Sec-WebSocket-Extensions: permessage-deflate")
    data = request + framing.text("hi") + framing.close(1000, b"bye")
    result = launch.run(data, "--deflate", env={"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "5"})
    sandbox = "".join(f" {name}={value}" for name, value in launch.unfiltered_fields().items())
    assert re.sub(r"\[\d+\]", "[]", re.sub(r"seconds=\d\.\d{6}", "seconds=", result.stderr.decode()), count=1) == (
        'ws-echo[]: peer=[2001:db8::1]:5 path="/socket" status=101 close=1000 reason="bye" end="closed by the peer" '
        f'end_id=closed-by-peer messages=1 bytes_in={len(data)} bytes_out={len(result.stdout)} seconds= '
        'origin="http://x" subprotocol="chat" extension="permessage-deflate" agent="a" forwarded="for=b"'
        f"{sandbox}\n")


def test_verbose_has_a_line_for_each_field_and_frame():
    data = heads.head() + framing.text("hi") + framing.frame(framing.PING, b"x") + framing.close(1000)
    lines = launch.run(data, "--verbose").stderr.decode().splitlines()
    said = [re.sub(r"^ws-echo\[\d+\]: ", "", line) for line in lines[-12:-1]]
    assert said == [
        'field Host: "localhost:8888"', 'field Upgrade: "websocket"', 'field Connection: "Upgrade"',
        f'field Sec-WebSocket-Key: "{heads.KEY}"', 'field Sec-WebSocket-Version: "13"',
        "received text fin=1 length=2", "sent text fin=1 length=10", "received ping fin=1 length=1",
        "sent pong fin=1 length=1", "received close fin=1 length=2 code=1000", "sent close fin=1 length=2 code=1000"]


@pytest.mark.parametrize("path, method, allow", [("/", "PUT", "GET, HEAD, OPTIONS"), ("/socket", "PUT", "GET")])
def test_a_405_lists_the_methods_of_its_path(path, method, allow):
    answer = heads.refused(launch.run(heads.head(path=path, method=method, upgrade=None)).stdout, 405)
    assert answer.fields["allow"] == allow
