# SPDX-License-Identifier: MIT
"""The command line, and everything that the program inherits when it starts."""

import fcntl
import functools
import html
import operator
import os
import re
import select
import signal
import socket
import subprocess

import framing
import heads
import launch
import project
import pytest
from refusals import on_a_terminal, refusal_to_start, usage
from require import require
from rule import rule

WRONG_VALUES = [
    ("--path", "socket"),
    ("--path", "/a?b"),
    ("--path", "/a#b"),
    ("--path", "/a b"),
    ("--lab", "lab"),
    ("--lab", "any"),
    ("--lab", "//lab"),
    ("--lab", "/a?close"),
    ("--lab", "/a#b"),
    ("--lab", "/a b"),
    ("--prefix", "%zz"),
    ("--prefix", "50%"),
    ("--prefix", "%4"),
    ("--prefix", "%ff"),
    ("--prefix", "%c3"),
    ("--prefix", "%ed%a0%80"),
    ("--origin", "example.org"),
    ("--origin", "https://example.org/"),
    ("--origin", "https://example.org/page"),
    ("--origin", "https://exam ple.org"),
    ("--origin", "https://"),
    ("--origin", "*"),
    ("--origin", "x://" + "a" * 297),
    ("--subprotocol", "a b"),
    ("--subprotocol", "a,b"),
    ("--subprotocol", "a/b"),
    ("--max-message", "0"),
    ("--max-message", "-1"),
    ("--max-message", "many"),
    ("--max-message", "2G"),
    ("--max-message", "1025M"),
    ("--max-message", "1048577K"),
    ("--max-message", "1073741825"),
    ("--max-message", "18446744073709551617"),
    ("--max-message", "18014398509481985K"),
    ("--max-message", "16MB"),
    ("--max-message", "1T"),
    ("--max-message", "M"),
    ("--max-message", "1.5"),
    *[(option, value)
      for option in ("--handshake-timeout", "--ping-interval", "--timeout")
      for value in ("-1", "soon", "1h", "nan", "inf", "1e999", "5s", "1,5")],
]


@rule("ws-echo(8) OPTIONS (1)",
      "A wrong option, value or combination gives one line that names it and what would be right, and exit status 64.")
@pytest.mark.parametrize("option, value", WRONG_VALUES)
def test_a_wrong_value_is_named_in_one_line_together_with_its_option(option, value):
    line = usage(f"{option}={value}")
    assert option in line and value[:40] in line, line


@rule("ws-echo(8) OPTIONS (1)")
@pytest.mark.parametrize("option", ["--path", "--origin", "--subprotocol", "--max-message",
                                    "--handshake-timeout", "--ping-interval", "--timeout", "--lab"])
def test_an_empty_value_is_wrong_where_only_the_prefix_may_be_empty(option):
    assert option in usage(f"{option}=")


@rule("ws-echo(8) OPTIONS (3)")
def test_a_path_has_4095_bytes_at_most():
    """A request line can then contain it, and the page and the answer 404 have room for it."""
    assert "--path" in usage("--path=/" + "p" * 4095)
    path = "/" + "&" * 4094
    page = heads.Answer(launch.run(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", f"--path={path}").stdout)
    assert (page.status, len(page.body)) == (200, int(page.fields["content-length"]))
    assert html.escape(path).encode() in page.body
    assert path.encode() in heads.refused(launch.run(heads.head(path="/other"), f"--path={path}").stdout, 404).body


def test_the_path_of_a_lab_has_4095_bytes_at_most_too():
    assert "--lab" in usage("--lab=/" + "p" * 4095)
    assert launch.run(b"", "--lab=/" + "p" * 4094, "--check").returncode == 0


@pytest.mark.parametrize("option", ["--path", "--origin", "--subprotocol", "--lab"])
def test_a_repeatable_option_may_stand_64_times(option):
    value = {"--origin": "null", "--subprotocol": "chat"}.get(option, "/a")
    assert launch.run(b"", *[f"{option}={value}"] * 64, "--check").returncode == 0
    assert "64" in usage(*[f"{option}={value}"] * 65)


@pytest.mark.parametrize("value", ["/", "/lab", "/lab/", "/a//b", "/a/../b", "/any"])
def test_the_path_of_a_lab_begins_with_one_slash(value):
    assert launch.run(b"", f"--lab={value}", "--check").returncode == 0


@rule("ws-echo(8) OPTIONS (4)")
@pytest.mark.parametrize("prefix", [b"x" * 257, b"%20" * 257, "ä".encode() * 128 + b"x"],
                         ids=["plain", "encoded", "of-two-byte-characters"])
def test_a_prefix_of_more_than_256_bytes_is_wrong(prefix):
    line = usage(b"--prefix=" + prefix)
    assert "--prefix" in line and "256" in line, line


@rule("ws-echo(8) OPTIONS (4)")
@pytest.mark.parametrize("prefix", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"])
def test_a_prefix_that_is_not_utf_8_is_wrong_and_does_not_reach_the_terminal_raw(prefix):
    line = usage(b"--prefix=" + prefix)
    assert "--prefix" in line and "UTF-8" in line, line


@rule("ws-echo(8) OPTIONS (3)")
@pytest.mark.parametrize("option", ["--path", "--lab"])
@pytest.mark.parametrize("value", [b"/a\nb", b"/\x1b[2Jb", b"/\xc3\xa4", b"/\x7f"])
def test_a_path_of_other_than_visible_ascii_is_wrong_and_does_not_reach_the_terminal_raw(option, value):
    assert option in usage(option.encode() + b"=" + value)


@rule("ws-echo(8) OPTIONS (1)")
@pytest.mark.parametrize("options, named", [
    (["--ping-interval=60"], ["--ping-interval", "--timeout", "60"]),
    (["--ping-interval=5", "--timeout=5"], ["--ping-interval", "--timeout", "5"]),
    (["--timeout=5", "--ping-interval=7.5"], ["--ping-interval", "--timeout", "7.5"]),
    (["--subprotocol=any", "--subprotocol=chat"], ["--subprotocol", "any"]),
    (["--subprotocol=chat", "--subprotocol=any"], ["--subprotocol", "any"]),
    (["--subprotocol=none", "--subprotocol=chat"], ["--subprotocol", "none"]),
    (["--subprotocol=chat", "--subprotocol=none"], ["--subprotocol", "none"]),
    (["--subprotocol=any", "--subprotocol=none"], ["--subprotocol"]),
    (["--path=any", "--path=/chat"], ["--path", "any"]),
    (["--path=/chat", "--path=any"], ["--path", "any"]),
    (["-q", "-v"], ["--quiet", "--verbose"]),
    (["--verbose", "--quiet"], ["--quiet", "--verbose"]),
])
def test_a_wrong_combination_is_named_in_one_line(options, named):
    line = usage(*options)
    for name in named:
        assert name in line, (name, line)


@rule("ws-echo(8) OPTIONS (1)")
@pytest.mark.parametrize("options, named", [
    (["--nope"], "--nope"),
    (["--nope=1"], "--nope"),
    (["-x"], "-x"),
    (["-qx"], "x"),
    (["--no-page=yes"], "--no-page"),
    (["--path"], "--path"),
    (["--lab"], "--lab"),
    (["--timeout"], "--timeout"),
    (["-m"], "-m"),
    (["surplus"], "surplus"),
    (["--quiet", "surplus"], "surplus"),
    (["--", "surplus"], "surplus"),
])
def test_an_option_that_does_not_exist_or_lacks_its_value_and_a_leftover_argument_are_wrong(options, named):
    assert named in usage(*options)


@rule("ws-echo(8) OPTIONS (1)")
@pytest.mark.parametrize("option", ["--nope", "--nope=1", "--path-to=/a"])
def test_an_unknown_option_is_not_called_ambiguous(option):
    line = usage(option)
    assert "unknown" in line and "ambiguous" not in line and option.partition("=")[0] in line, line


@rule("ws-echo(8) OPTIONS (1)")
@pytest.mark.parametrize("option", ["--p=/a", "--ver", "--h", "--l=/a"])
def test_an_abbreviation_of_several_options_is_called_ambiguous_and_not_unknown(option):
    line = usage(option)
    assert "ambiguous" in line and "unknown" not in line and option.partition("=")[0] in line, line


@rule("ws-echo(8) OPTIONS (1)")
def test_an_abbreviation_of_one_option_is_that_option():
    assert launch.exchange(framing.text("hi"), "--pre=>") == framing.echo("hi", b">")


@rule("ws-echo(8) OPTIONS (18)", "--help and --version go to standard output.")
@pytest.mark.parametrize("option", ["-h", "--help", "--version"])
def test_help_and_version_go_to_standard_output(option):
    result = launch.run(b"", option)
    assert (result.returncode, result.stderr) == (0, b""), result
    assert b"ws-echo" in result.stdout and result.stdout.endswith(b"\n"), result


@rule("ws-echo(8) OPTIONS (18)")
def test_h_is_help():
    assert launch.run(b"", "-h").stdout == launch.run(b"", "--help").stdout
    assert b"-h, --help" in launch.run(b"", "--help").stdout


@rule("ws-echo(8) OPTIONS (2)")
def test_help_names_every_option():
    text = launch.run(b"", "--help").stdout.decode()
    for option in ("-p, --path", "-P, --prefix", "-o, --origin", "-s, --subprotocol", "-m, --max-message",
                   "--handshake-timeout", "--ping-interval", "--timeout", "--proxy-protocol", "--no-page", "--lab", "--deflate",
                   "--log", "--check", "-u, --user", "-q, --quiet", "-v, --verbose", "-h, --help", "--version"):
        assert option in text, option


@rule("ws-echo(8) OPTIONS (18)")
def test_version_is_one_line():
    assert re.fullmatch(rb"ws-echo [0-9][ -~]*\n", launch.run(b"", "--version").stdout)


@rule("ws-echo(8) RUNNING (4)", "On a terminal, it explains in three lines how to start it.")
def test_started_on_a_terminal_it_says_in_three_lines_what_it_is_and_how_to_start_it(tmp_path):
    """It uses argv[0], so that the command also works in the folder where it was built."""
    program = tmp_path / "echo"
    program.symlink_to(launch.PROGRAM)
    result = on_a_terminal(program)
    assert (result.returncode, result.stdout) == (64, b""), result
    assert result.stderr.endswith(f" --listen=8888 {program}\n".encode()), result
    assert re.fullmatch(rb"([ -~]+\n){3}", result.stderr), result
    assert b"ws-echo" in result.stderr and b"WebSocket" in result.stderr, result


@rule("ws-echo(8) OPTIONS (15)", "--check validates the options, reports what is wrong, and serves no connection.")
@pytest.mark.parametrize("options", [[], ["--path=/echo", "--quiet"], ["--verbose", "--timeout=5"]])
def test_check_finds_nothing_wrong_with_right_options_and_serves_nothing(options):
    result = launch.run(heads.head(), *options, "--check")
    assert (result.returncode, result.stdout, launch.without_the_notice(result.stderr)) == (0, b"", b"")


@rule("ws-echo(8) OPTIONS (15)")
@pytest.mark.parametrize("options", [["--path=socket"], ["--nope"], ["--quiet", "--verbose"], ["word"]])
def test_check_says_what_is_wrong_as_always(options):
    said, said_without = usage(*options, "--check"), usage(*options)
    assert said.partition(": ")[2] == said_without.partition(": ")[2]  # without the process number in front


@pytest.mark.parametrize("option, expected", [("--help", (0, b"")), ("--version", (0, b"")), ("--bogus", (64, b"unknown"))])
def test_on_a_terminal_too_an_option_is_answered_first(option, expected):
    result = on_a_terminal(launch.PROGRAM, option)
    status, said = expected
    assert (result.returncode, len(result.stderr.splitlines())) == (status, bool(said)) and said in result.stderr, result


@rule("ws-echo(8) OPTIONS (15)")
def test_check_works_on_a_terminal():
    result = on_a_terminal(launch.PROGRAM, "--check")
    assert (result.returncode, result.stdout, launch.without_the_notice(result.stderr)) == (0, b"", b"")


def largest(options, size):
    """Asserts that a message of `size` is accepted, and one byte more refused."""
    accepted = launch.exchange(framing.frame(framing.BINARY, bytes(size)), *options)
    assert accepted == framing.reply(framing.BINARY, bytes(size)), accepted[:20]
    refused = launch.exchange(framing.frame(framing.BINARY, bytes(size + 1)), *options)
    assert framing.close_code(refused) == 1009, refused[:20]


@rule("ws-echo(8) OPTIONS (7)")
@pytest.mark.parametrize("value, size", [("1", 1), ("126", 126), ("1K", 1 << 10), ("2M", 2 << 20)])
def test_a_size_is_bytes_or_takes_k_and_m(value, size):
    largest([f"--max-message={value}"], size)


def announced(length):
    """The header of a binary message, without payload."""
    return framing.frame_header(0x80 | framing.BINARY, 0x80, length) + framing.MASKING_KEY


@rule("ws-echo(8) OPTIONS (7)")
def test_a_size_takes_g_up_to_one():
    assert launch.exchange(announced(1 << 30), "--max-message=1G") == b""
    assert framing.close_code(launch.exchange(announced((1 << 30) + 1), "--max-message=1G")) == 1009


@rule("ws-echo(8) OPTIONS (7)", "--max-message is 16 MiB by default, and takes K, M and G, at most 1G.")
def test_the_largest_message_is_16_mib_by_default():
    assert launch.exchange(announced(16 << 20)) == b""
    assert framing.close_code(launch.exchange(announced((16 << 20) + 1))) == 1009


@rule("ws-echo(8) OPTIONS (9)")
@pytest.mark.parametrize("options", [
    ["--timeout=2.5", "--ping-interval=0.25", "--handshake-timeout=0.5"],
    ["--timeout=0", "--ping-interval=3600"],
    ["--timeout=1", "--ping-interval=0"],
    ["--timeout=0", "--ping-interval=0"],
    ["--timeout=86400.125", "--handshake-timeout=86400"],
])
def test_a_duration_takes_fractions_and_zero_is_no_timeout_and_no_ping(options):
    assert launch.exchange(framing.text("hi"), *options) == framing.echo("hi")


@rule("ws-echo(8) OPTIONS (4)", "--prefix is put in front of text only, is percent-decoded UTF-8, and has at most 256 bytes.")
@pytest.mark.parametrize("typed, prefix", [
    ("", b""),
    ("%20", b" "),
    ("100%25:", b"100%:"),
    ("a%20b%3A%20", b"a b: "),
    ("%C3%A4%c3%a4", "ää".encode()),
    ("ä+%2B", "ä++".encode()),
    ("x" * 256, b"x" * 256),
    ("%20" * 256, b" " * 256),
    ("€" * 85 + "x", "€".encode() * 85 + b"x"),
], ids=["empty", "blank", "percent", "blanks-and-colon", "two-byte", "plus", "256-bytes", "256-encoded",
        "256-of-three-byte-characters"])
def test_the_prefix_is_put_before_every_text_reply_percent_decoded(typed, prefix):
    frames = framing.text("hi") + framing.text("") + framing.frame(framing.BINARY, b"hi")
    expected = framing.echo("hi", prefix) + framing.echo("", prefix) + framing.reply(framing.BINARY, b"hi")
    assert launch.exchange(frames, f"--prefix={typed}") == expected


@rule("ws-echo(8) OPTIONS (2)", "--help and the manual agree on long options, short options and defaults.")
def test_every_short_option_does_what_its_long_one_does():
    request = heads.head("Origin: https://a.example", "Sec-WebSocket-Protocol: a, b", path="/short")
    frames = framing.text("four") + framing.frame(framing.BINARY, b"fives")
    for options in (["-p", "/short", "-P", "=", "-o", "https://a.example", "-s", "b", "-m", "4", "-q"],
                    ["-p/short", "-P=", "-ohttps://a.example", "-sb", "-m4", "-q"]):
        result = launch.run(request + frames, *options)
        expected = heads.switching(subprotocol="b") + framing.echo("four", b"=")
        assert result.stdout.startswith(expected), result
        assert framing.close_code(result.stdout[len(expected):]) == 1009, result
        assert (result.returncode, result.stderr) == (0, b""), result
    assert len(launch.run(heads.head() + framing.text("hi"), "-v").stderr.splitlines()) > 1


@rule("ws-echo(8) OPTIONS (3)", "--path is compared byte for byte and may be repeated; any accepts every path.")
@pytest.mark.parametrize("option, values, wanted", [
    ("--path", ["/a", "/b"], {"path": "/b"}),
    ("--path", ["/a", "/b"], {"path": "/a"}),
    ("--path", ["any"], {"path": "/whatever/../x"}),
])
def test_path_is_repeatable_and_any_takes_every_path(option, values, wanted):
    result = launch.run(heads.head(**wanted), *[f"{option}={value}" for value in values])
    assert result.stdout == heads.switching(), result


@rule("ws-echo(8) RUNNING (1)", "The connection is standard input and output, or descriptor 3 if LISTEN_FDS says so.")
def test_listen_fds_of_this_process_means_that_descriptor_3_is_the_connection():
    wrapper = launch.shell("exec 3<&0 </dev/null >/dev/null; export LISTEN_FDS=1 LISTEN_PID=$$")
    with launch.Served(wrapper=wrapper) as served:
        served.peer.open().send(framing.text("three"))
        assert served.peer.receive(len(framing.echo("three"))) == framing.echo("three")


@rule("ws-echo(8) RUNNING (1)")
@pytest.mark.parametrize("variables", [
    "export LISTEN_FDS=1 LISTEN_PID=1", "export LISTEN_FDS=1 LISTEN_PID=1$$", "export LISTEN_FDS=2 LISTEN_PID=1",
    "export LISTEN_FDS=0 LISTEN_PID=$$", "export LISTEN_FDS=1; unset LISTEN_PID", "export LISTEN_PID=$$; unset LISTEN_FDS",
])
def test_listen_fds_of_another_process_or_of_none_is_ignored(variables):
    wrapper = launch.shell(f"exec 3</dev/null; {variables}")
    with launch.Served(wrapper=wrapper) as served:
        served.peer.open().send(framing.text("zero"))
        assert served.peer.receive(len(framing.echo("zero"))) == framing.echo("zero")


@rule("ws-echo(8) RUNNING (2)")
def test_more_than_one_descriptor_is_refused():
    client, server = launch.tcp_pair()
    with client, server:
        line = refusal_to_start(launch.shell("exec 3<&0 4<&0; export LISTEN_FDS=2 LISTEN_PID=$$"), server)
    assert "LISTEN_FDS" in line or "descriptor" in line or "socket" in line, line


@rule("ws-echo(8) RUNNING (2)")
@pytest.mark.parametrize("count", ["1x", "x", "", "-1"])
def test_an_invalid_count_of_descriptors_is_refused(count):
    line = refusal_to_start(launch.shell(f"exec 3</dev/null; export LISTEN_FDS={count} LISTEN_PID=$$"), subprocess.DEVNULL)
    assert f"LISTEN_FDS={count}," in line


@pytest.mark.parametrize("count", [r"1\n\0332", "1" * 1000], ids=["raw", "long"])
def test_a_count_of_descriptors_does_not_reach_the_terminal_raw_and_hides_nothing(count):
    line = refusal_to_start(launch.shell(f"exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=`printf '{count}'`; export LISTEN_FDS LISTEN_PID"),
                            subprocess.DEVNULL)
    assert "LISTEN_FDS=1" in line and "Accept=yes" in line, line


def test_a_descriptor_that_is_passed_but_closed_is_no_connection():
    """Standard input and output make no difference."""
    client, server = launch.tcp_pair()
    with client, server:
        line = refusal_to_start(launch.shell("exec 3<&-; export LISTEN_FDS=1 LISTEN_PID=$$"), server)
    assert "standard input and output must be the connection" in line


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_a_socket_that_is_no_stream_is_refused(kind):
    client, server = socket.socketpair(socket.AF_UNIX, kind)
    with client, server:
        assert "not a stream socket" in refusal_to_start([], server)


def test_a_socket_that_is_no_stream_is_refused_as_the_output_too():
    """Here the input is a file."""
    client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with client, server:
        result = subprocess.run([launch.PROGRAM], stdin=subprocess.DEVNULL, stdout=server, stderr=subprocess.PIPE,
                                timeout=project.LIMIT, check=False)
    assert result.returncode == 64 and b"not a stream socket" in result.stderr, result


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_cannot_be_written_is_a_local_fault(option):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([launch.PROGRAM, option], stdout=full, stderr=subprocess.PIPE, timeout=project.LIMIT,
                                check=False)
    assert result.returncode == 71 and b"cannot write: " in result.stderr, result


@rule("ws-echo(8) RUNNING (1)")
@pytest.mark.parametrize("script", ["exec 0<&-", "exec 1>&-", "exec 0<&- 1>&-"])
def test_a_closed_standard_descriptor_is_no_connection(script):
    refusal_to_start(launch.shell(script), subprocess.DEVNULL)


@rule("ws-echo(8) RUNNING (1)")
@pytest.mark.parametrize("script", ["exec 0<&- 2>&-", "exec 1>&- 2>&-", "exec 0<&- 1>&- 2>&-"])
def test_nothing_is_taken_for_the_connection_where_standard_error_is_closed_too(script):
    result = subprocess.run([*launch.shell(script), launch.PROGRAM], stdin=subprocess.DEVNULL, timeout=project.LIMIT, check=False)
    assert result.returncode == 64


@rule("ws-echo(8) RUNNING (2)",
      "A listening socket, or more than one descriptor, is refused, and the message says what to change.")
@pytest.mark.parametrize("script", [
    pytest.param(":", id="standard-input"),
    pytest.param("exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$", id="descriptor-3"),
])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_a_listening_socket_is_refused_and_the_remedy_named(script, family):
    with socket.socket(family) as listener:
        listener.listen() if family != socket.AF_UNIX else (listener.bind(""), listener.listen())
        line = refusal_to_start(launch.shell(script), listener)
    assert "listen" in line.lower() and "Accept=yes" in line, line


@rule("ws-echo(8) RUNNING (1)")
def test_two_files_may_be_the_connection(tmp_path):
    """A recorded handshake is answered into a file."""
    request, answer = tmp_path / "request", tmp_path / "answer"
    request.write_bytes(heads.head() + framing.text("hi") + framing.close(1000))
    with request.open("rb") as stdin, answer.open("wb") as stdout:
        subprocess.run([launch.PROGRAM], stdin=stdin, stdout=stdout, timeout=project.LIMIT, check=True)
    expected = heads.switching() + framing.echo("hi") + framing.reply(framing.CLOSE, framing.close_body(1000))
    assert answer.read_bytes() == expected


def two_streams(first, second):
    """A pair that uses a separate socket or pipe for each direction, made by `os.pipe` or `launch.tcp_pair`."""
    (stdin, sending), (receiving, stdout) = [[getattr(end, "detach", lambda end=end: end)() for end in ends]
                                             for ends in (first, second)]
    return launch.PipeEnd(receiving, sending), launch.PipeEnd(stdin, stdout)


@pytest.mark.parametrize("input_is_socket", [True, False], ids=["socket-pipe", "pipe-socket"])
def test_a_socket_and_a_pipe_may_be_the_connection(input_is_socket):
    """The record shows the peer of the input. The program does not wait for the peer's end as it does on one socket."""
    connection, pipe = launch.tcp_pair(), os.pipe()
    address = "{}:{}".format(*connection[1].getsockname())
    with launch.Served(pair=lambda: two_streams(*[connection, pipe][:: 1 if input_is_socket else -1])) as served:
        peer = served.peer.open()
        with launch.Clock(1.5) as clock:
            peer.send(framing.text("hi") + framing.close(1000))
            assert peer.rest() == framing.echo("hi") + framing.reply(framing.CLOSE, framing.close_body(1000))
            assert clock.outlasts(served.process)
        assert launch.record(served.finish())["peer"] == (address if input_is_socket else "-")


def test_two_sockets_may_be_the_connection():
    first, second = launch.tcp_pair(), launch.tcp_pair()
    address, output = "{}:{}".format(*first[1].getsockname()), second[1].dup()
    with output, launch.Served(pair=lambda: two_streams(first, second)) as served:
        peer = served.peer.open()
        assert output.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        peer.send(framing.text("hi") + framing.close(1000))
        assert peer.rest() == framing.echo("hi") + framing.reply(framing.CLOSE, framing.close_body(1000))
        peer.close()
        assert launch.record(served.finish())["peer"] == address


@rule("ws-echo(8) EXIT STATUS (2)")
@pytest.mark.parametrize("stdin, stdout", [("request", "/dev/full"), ("/", "/dev/null")])
def test_a_failing_system_call_is_71_and_named(tmp_path, stdin, stdout):
    """A peer can cause neither a full disk nor a directory instead of a file."""
    (tmp_path / "request").write_bytes(heads.head() + framing.text("hi"))
    reading, writing = os.open(tmp_path / stdin, os.O_RDONLY), os.open(stdout, os.O_WRONLY)
    try:
        result = subprocess.run([launch.PROGRAM], stdin=reading, stdout=writing, stderr=subprocess.PIPE,
                                timeout=project.LIMIT, check=False)
    finally:
        os.close(reading)
        os.close(writing)
    assert result.returncode == 71, result
    fault, record = result.stderr.splitlines()
    assert re.fullmatch(rb"ws-echo\[\d+\]: cannot (read|write): [A-Z][ -~]+", fault), result
    assert re.search(rb" end_id=(read|write)-failed ", record), result


@rule("ws-echo(8) RUNNING (3)", "Inherited descriptors, flags, signals and timers do no harm.")
@pytest.mark.usefixtures("dumpable")
def test_descriptors_that_are_not_ours_are_closed():
    reading, writing = os.pipe()
    with launch.Served(pass_fds=[writing], wrapper=launch.shell("exec 3</dev/zero 9</dev/zero")) as served:
        os.close(writing)
        served.peer.open()
        assert select.select([reading], [], [], project.LIMIT)[0], "the leaked end of a pipe is still open"
        assert os.read(reading, 1) == b""
        assert sorted(os.listdir(f"/proc/{served.process.pid}/fd")) == ["0", "1", "2"]
    os.close(reading)


def test_a_reply_does_not_wait_for_the_acknowledgement_of_the_one_before():
    with launch.Served(watched=True) as served:
        served.peer.open()
        assert served.watched.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@rule("ws-echo(8) RUNNING (3)")
@pytest.mark.parametrize("pair", launch.PAIRS)
def test_an_inherited_o_nonblock_is_cleared(pair):
    def nonblocking():
        client, server = pair()
        for end in {getattr(server, "reading", server), getattr(server, "writing", server)}:
            fcntl.fcntl(end, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)
        return client, server

    with launch.Served(pair=nonblocking, watched=True) as served:
        served.peer.open()
        assert fcntl.fcntl(served.watched, fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_APPEND) == os.O_APPEND
        served.peer.send(framing.frame(framing.BINARY, bytes(4 << 20)))
        expected = framing.reply(framing.BINARY, bytes(4 << 20))
        assert served.peer.receive(len(expected)) == expected


@rule("ws-echo(8) RUNNING (3)")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("pair", launch.PAIRS)
def test_an_o_nonblock_that_another_process_sets_later_makes_it_neither_end_nor_spin(pair, tmp_path):
    """All processes that hold the connection share its flags. The program does not change the other ones."""
    trace, held = tmp_path / "trace", []
    wrapper = [require("strace", "strace"), "-o", str(trace)]

    def shared():
        client, server = pair()
        ends = dict.fromkeys([getattr(server, "reading", server), getattr(server, "writing", server)])
        fcntl.fcntl([*ends][-1], fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)
        held.extend(os.dup(end.fileno()) for end in ends)
        return client, server

    def flags():
        return functools.reduce(operator.or_, [fcntl.fcntl(end, fcntl.F_GETFL) for end in held])

    with launch.Served("--ping-interval=0", pair=shared, wrapper=wrapper) as served, launch.Clock(1) as clock:
        peer = served.peer.open()
        for end in held:
            os.set_blocking(end, False)
        for message in [b"some", b"more", bytes(4 << 20), b"last"]:
            peer.send(framing.frame(framing.BINARY, message))
            if len(message) > 4:  # more than the pipe's buffer holds
                launch.wait_until(lambda: not flags() & os.O_NONBLOCK, "both ends block again",
                                process=served.process)
            expected = framing.reply(framing.BINARY, message)
            framing.same(peer.receive(len(expected)), expected)
        launch.wait_until(clock.over, "some time has passed")
        peer.send(framing.close(1000))
        assert peer.receive(4) == framing.reply(framing.CLOSE, framing.close_body(1000))
        assert flags() & os.O_APPEND
        for end in held:
            os.close(end)
        peer.close()
        served.finish()
    calls = trace.read_text().splitlines()
    waiting = len(calls) - next(number for number, call in enumerate(calls[::-1]) if '"\\202\\4last"' in call)
    assert len(calls[waiting:]) < 100, calls[-20:]


@rule("ws-echo(8) RUNNING (3)")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("inherited", ["ignored", "blocked"])
def test_signals_that_were_ignored_or_blocked_are_set_afresh(number, inherited):
    def spoil():
        if inherited == "ignored":
            signal.signal(number, signal.SIG_IGN)
        else:
            signal.pthread_sigmask(signal.SIG_BLOCK, [number])

    with launch.Served(preexec_fn=spoil) as served:
        served.peer.open()
        served.stop(number)
        assert framing.close_code(served.peer.answer_close()) == 1001


RESERVED = 7 << 31  # the signals 32 to 34, which the C libraries reserve


def test_every_signal_has_a_known_state_whatever_was_inherited():
    """SIGALRM and the signals that stop the program have handlers. SIGPIPE and SIGXFSZ are ignored: the calls fail."""
    with open(launch.PROGRAM, "rb") as program:
        if program.read(4) != b"\x7fELF":
            pytest.skip("an emulator has signals of its own")
    caught = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM}
    ignored = {signal.SIGPIPE, signal.SIGXFSZ}

    def spoil():
        for number in caught | {signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD}:
            signal.signal(number, signal.SIG_IGN)
        for number in ignored:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def mask(numbers):
        return sum(1 << (number - 1) for number in numbers)

    with launch.Served(preexec_fn=spoil) as served:
        served.peer.open()
        with open(f"/proc/{served.process.pid}/status", encoding="ascii") as status:
            found = {name: int(mask, 16) & ~RESERVED for name, mask in
                     re.findall(r"^(Sig(?:Blk|Ign|Cgt)):\t(\w+)$", status.read(), re.MULTILINE)}
    assert found == {"SigBlk": mask([]), "SigIgn": mask(ignored), "SigCgt": mask(caught)}


@rule("ws-echo(8) RUNNING (3)")
def test_a_broken_pipe_is_no_signal_even_where_sigpipe_was_default():
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run([launch.PROGRAM], input=heads.head() + framing.text("hi"), stdout=writing,
                            stderr=subprocess.PIPE, timeout=project.LIMIT, check=False)
    os.close(writing)
    assert result.returncode == 0, result


