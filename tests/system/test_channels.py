# SPDX-License-Identifier: MIT
"""All fields of the messages to the journal, the service manager and syslog, received on sockets of the test.

Each test has its own mount namespace, with these sockets at the paths that the libraries use.
"""

import contextlib
import os
import re
import select
import socket
import struct
import subprocess
import time

import framing
import heads
import launch
import project
import pytest
from require import require
from rule import rule

STATIC = "-static"  # it has no libsystemd


class Sockets:
    """The datagram sockets that the program finds: `journal`, `manager` and `syslog`."""

    PLACES = {"journal": "run/systemd/journal/socket", "manager": "run/notify", "syslog": "dev/log"}

    def __init__(self, folder):
        self.folder = folder
        self.bound = {}
        for name, place in self.PLACES.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            self.bound[name] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.bound[name].bind(str(path))
            self.bound[name].setblocking(False)
            path.chmod(0o777)

    def started(self, script=":"):
        """A wrapper that runs a script, then starts the program with these sockets, as systemd does."""
        require("mount", "mount")
        return [require("unshare", "util-linux"), "-m", "/bin/sh", "-c",
                f"mount --bind {self.folder}/run /run && mount --bind {self.folder}/dev /dev || exit 99\n"
                f'export NOTIFY_SOCKET=/run/notify SYSTEMD_EXEC_PID=$$; {script}; exec "$@"', "sh"]

    def received(self, name):
        """All datagrams received so far."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.bound[name].recv(1 << 16).decode("ascii"))
        return found


@pytest.fixture
def sockets(tmp_path, monkeypatch):
    for name in ("REMOTE_ADDR", "REMOTE_PORT", "TCPREMOTEIP", "SOCAT_PEERADDR", "REMOTE_HOST", "LISTEN_FDS", "TZ"):
        monkeypatch.delenv(name, raising=False)
    made = Sockets(tmp_path)
    yield made
    for bound in made.bound.values():
        bound.close()


def served(sockets, data, *options, status=0, script=":", pass_fds=(), **env):
    """Runs the program with `data` as its input; returns its standard error."""
    with launch.Served(*options, wrapper=sockets.started(script), pair=launch.holding(data), env=env,
                     pass_fds=pass_fds) as program:
        answer = b""
        with contextlib.suppress(OSError) if status else contextlib.nullcontext():  # the program may have ended already
            program.peer.end()
            answer = program.peer.rest()
        program.peer.close()
        log = program.process.communicate(timeout=project.LIMIT)[1].decode("ascii")
        assert program.process.returncode == status, (program.process.returncode, log)
    return answer, log


@contextlib.contextmanager
def tracer_that_ends():
    """Yields a descriptor for strace -D, which is no child process, to inherit; at the end, waits until it is closed.

    The program closes inherited descriptors, so strace is the last process to hold it.
    """
    reading, writing = os.pipe()
    try:
        try:
            yield writing
        finally:
            os.close(writing)
        assert select.select([reading], [], [], project.LIMIT)[0], "strace goes on"
        assert os.read(reading, 1) == b""
    finally:
        os.close(reading)


REQUEST = heads.head("Origin: http://x", "Sec-WebSocket-Protocol: chat", "User-Agent: a", "Forwarded: for=b",
                    "Sec-WebSocket-Extensions: permessage-deflate")
FRAMES = framing.text("hi") + framing.close(3000, b"bye")
PEER = {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "5"}


def test_the_journal_gets_the_record_as_fields_and_as_a_line(sockets):
    answer, log = served(sockets, REQUEST + FRAMES, "--deflate", **PEER)
    if launch.PROGRAM.endswith(STATIC):
        assert sockets.received("journal") == [] and log.startswith("<5>peer=192.0.2.1:5 "), log
        return
    (entry,), said = sockets.received("journal"), len(answer)
    fields = dict(line.split("=", 1) for line in entry.splitlines())
    duration = fields.pop("WS_DURATION_USEC")
    fields["MESSAGE"] = fields["MESSAGE"].replace(f"seconds={int(duration) // 1000000}.{int(duration) % 1000000:06}", "-")
    assert log == "" and fields == {
        "REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "5", "WS_PATH": "/socket", "WS_STATUS": "101",
        "WS_CLOSE_CODE": "3000", "WS_CLOSE_REASON": "bye", "WS_END": "closed by the peer", "WS_END_ID": "closed-by-peer",
        "WS_MESSAGES": "1", "WS_BYTES_IN": str(len(REQUEST + FRAMES)), "WS_BYTES_OUT": str(said), "WS_ORIGIN": "http://x",
        "WS_SUBPROTOCOL": "chat", "WS_EXTENSIONS": "permessage-deflate", "WS_USER_AGENT": "a", "WS_FORWARDED": "for=b",
        "SYSLOG_IDENTIFIER": "ws-echo", "PRIORITY": "5",
        **{f"WS_{name.upper()}": value for name, value in launch.unfiltered_fields().items()},
        "MESSAGE": 'peer=192.0.2.1:5 path="/socket" status=101 close=3000 reason="bye" end="closed by the peer" '
                   f"end_id=closed-by-peer messages=1 bytes_in={len(REQUEST + FRAMES)} bytes_out={said} - "
                   'origin="http://x" subprotocol="chat" extension="permessage-deflate" agent="a" forwarded="for=b"'
                   + "".join(f" {name}={value}" for name, value in launch.unfiltered_fields().items()),
    }


@rule("ws-echo(8) OPTIONS (22)")
def test_the_journal_gets_the_words_of_the_lab_as_a_field(sockets):
    log = served(sockets, heads.head(path="/lab?hello=hello&close=0&raw=817e000161&reason=bye"), "--lab=/lab", **PEER)[1]
    if launch.PROGRAM.endswith(STATIC):
        assert ' lab="hello=5&close=0&raw=5&reason=3"' in log and sockets.received("journal") == [], log
        return
    (entry,) = sockets.received("journal")
    fields = dict(line.split("=", 1) for line in entry.splitlines())
    assert [fields[f"WS_{name}"] for name in ("LAB", "PATH", "STATUS", "END_ID", "CLOSE_CODE", "CLOSE_REASON")] == [
        "hello=5&close=0&raw=5&reason=3", "/lab", "101", "lab", "0", "bye"]
    assert ' lab="hello=5&close=0&raw=5&reason=3"' in fields["MESSAGE"] and log == ""


@rule("ws-echo(8) OPTIONS (22)")
@pytest.mark.parametrize("status", ["200", "204"])
def test_a_status_that_the_lab_was_asked_for_is_a_notice_and_no_health_check(sockets, status):
    log = served(sockets, heads.head(path=f"/lab?status={status}"), "--lab=/lab")[1]
    (entry,) = sockets.received("journal") or [log]
    assert ("\nPRIORITY=5\n" in entry and f"\nWS_STATUS={status}\n" in entry) or log.startswith("<5>peer="), (entry, log)


@rule("ws-echo(8) LOGGING (8)", "systemctl status shows what the connection is doing.")
def test_the_manager_is_told_what_the_connection_does(sockets):
    served(sockets, REQUEST + FRAMES, **PEER)
    expected = [] if launch.PROGRAM.endswith(STATIC) else [
        "STATUS=192.0.2.1 /socket: echoing", "STATUS=192.0.2.1 /socket: closing"]
    assert sockets.received("manager") == expected


def test_the_path_that_the_manager_is_told_is_escaped_and_cut(sockets):
    served(sockets, heads.head(path='/"\\' + "p" * 300) + FRAMES, "--path=any", **PEER)
    shown = r"/\"\\" + "p" * 253 + "..."
    expected = [] if launch.PROGRAM.endswith(STATIC) else [f"STATUS=192.0.2.1 {shown}: {doing}" for doing in ("echoing", "closing")]
    assert sockets.received("manager") == expected


@pytest.mark.slow("a manager has two seconds to take what it is told, and here it does not")
def test_a_manager_that_does_not_read_is_told_once_and_the_peer_has_its_answer_before_that(sockets, tmp_path):
    trace = tmp_path / "trace"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, contextlib.suppress(BlockingIOError):
        other.setblocking(False)
        while True:
            other.sendto(b"X=", str(tmp_path / Sockets.PLACES["manager"]))
    traced = [require("strace", "strace"), "-D", "-o", str(trace), "-e", "trace=write,sendmsg"]
    with tracer_that_ends() as held, launch.Served("--handshake-timeout=1000", pair=launch.holding(REQUEST + FRAMES),
                                                 wrapper=[*sockets.started(), *traced], pass_fds=[held]) as program:
        assert program.peer.rest().endswith(framing.echo("hi") + framing.reply(framing.CLOSE, framing.close_body(3000, b"bye")))
        program.peer.close()
        program.finish()
    assert "+++ exited" in trace.read_text(), "strace has written all"
    order = re.findall(r'^(?:write.1, "|sendmsg.*")(HTTP|STATUS)', trace.read_text(), re.MULTILINE)
    assert order == ["HTTP"] + ["STATUS"] * (not launch.PROGRAM.endswith(STATIC)), trace.read_text()


@rule("RFC 6455 7.1.1 (2)")
@pytest.mark.slow("a manager that does not read has two seconds")
def test_a_manager_that_does_not_read_does_not_shorten_the_wait_for_the_peers_close(sockets, tmp_path):
    """The two seconds begin after the message to the manager, so the peer's Close is read although that message took
    two seconds."""
    trace, answer = tmp_path / "trace", framing.close(1009)
    script = f'set -- {require("strace", "strace")} -D -o {trace} -e trace=read,shutdown "$@"'
    with launch.Served("--max-message=10", wrapper=sockets.started(script)) as program:
        peer = program.peer.open()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, contextlib.suppress(BlockingIOError):
            other.setblocking(False)
            while True:
                other.sendto(b"X=", str(tmp_path / Sockets.PLACES["manager"]))
        peer.send(framing.frame(framing.BINARY, bytes(11)))
        assert peer.frame()[1] == framing.CLOSE
        peer.send(answer)
        assert peer.rest() == b""
        peer.close()
        program.finish()
    launch.wait_until(lambda: "+++ exited" in trace.read_text(), "strace has written all")
    assert re.search(rf"^read\(0, .* = {len(answer)}\nshutdown\(1, SHUT_WR\)", trace.read_text(), re.MULTILINE), trace.read_text()


@rule("ws-echo(8) LOGGING (8)")
def test_the_end_of_the_stream_goes_out_before_the_manager_is_told(sockets, tmp_path):
    """Sending to the manager may block."""
    strace, trace = require("strace", "strace"), tmp_path / "trace"
    traced = f'set -- {strace} -D -s 99 -o {trace} -e trace=network "$@"'  # -D: the program keeps its process number
    with tracer_that_ends() as held:
        served(sockets, REQUEST + FRAMES, script=traced, pass_fds=[held])
    assert "+++ exited" in trace.read_text(), "strace has written all"
    told = sockets.received("manager")
    assert len(told) == (0 if launch.PROGRAM.endswith(STATIC) else 2), told
    assert not told or 0 < trace.read_text().index("SHUT_WR") < trace.read_text().index(": closing"), trace.read_text()


@rule("ws-echo(8) LOGGING (8)")
def test_the_manager_is_told_nothing_of_what_opens_no_websocket(sockets):
    served(sockets, heads.head(path="/other"))
    assert sockets.received("manager") == []


@pytest.mark.parametrize("data, options, status, priority", [
    (heads.head(), [], 0, "5"),
    (heads.head(path="/other"), [], 0, "5"),
    (b"OPTIONS / HTTP/1.0\r\n\r\n", ["--verbose"], 0, "7"),
    (b"", ["--bogus"], 64, "3"),
])
def test_the_priority_is_that_of_a_notice_a_debug_message_or_an_error(sockets, data, options, status, priority):
    log = served(sockets, data, *options, status=status)[1]
    entries = sockets.received("journal")
    if launch.PROGRAM.endswith(STATIC):
        assert log.splitlines()[-1].startswith(f"<{priority}>"), log
    else:
        assert f"\nPRIORITY={priority}\n" in entries[-1] and log == "", (entries, log)


def test_fields_and_frames_of_verbose_have_priority_debug_and_the_record_notice(sockets):
    compressed = framing.frame(framing.TEXT, b"\0", rsv=4)
    log = served(sockets, REQUEST + compressed + FRAMES, "--deflate", "--verbose", "--log=stderr")[1]
    said = re.findall(r"^<([0-7])>(field|received|inflated|deflated|sent|peer=)", log, re.MULTILINE)
    assert said[-1] == ("5", "peer=") and {priority for priority, _ in said[:-1]} == {"7"}, log
    assert len({kind for _, kind in said}) == 6, log


@rule("ws-echo(8) EXIT STATUS (2)")
def test_a_local_fault_is_an_error_and_the_record_after_it_a_notice(sockets):
    data = heads.head() + framing.frame(framing.BINARY, b"begun", fin=False)
    log = served(sockets, data, "--max-message=1G", status=71, script="ulimit -v 524288")[1]
    entries = sockets.received("journal")
    if launch.PROGRAM.endswith(STATIC):
        assert re.fullmatch(r"<3>no memory for the message: .*\n<5>peer=.* end_id=no-memory .*\n", log), log
    else:
        assert ["\nPRIORITY=3\n" in entries[0], "\nPRIORITY=5\n" in entries[1]] == [True, True], entries
        assert len(entries) == 2 and "WS_END_ID=no-memory" in entries[1] and log == "", (entries, log)


@pytest.mark.parametrize("script", ["SYSTEMD_EXEC_PID=1", "unset SYSTEMD_EXEC_PID", "SYSTEMD_EXEC_PID=1$$"])
def test_variables_that_systemd_set_for_another_process_are_ignored(sockets, script):
    """For example, children of an xinetd that runs as a service inherit its variables."""
    log = served(sockets, heads.head() + FRAMES, script=script)[1]
    assert re.match(r"ws-echo\[\d+\]: peer=", log), log
    assert sockets.received("journal") == sockets.received("manager") == []


def test_standard_error_has_priorities_where_systemd_reads_it_and_the_manager_is_told_nothing(sockets):
    log = served(sockets, heads.head() + FRAMES, "--log=stderr")[1]
    assert re.fullmatch(r"<5>peer=[ -~]+\n", log), log
    assert sockets.received("journal") == sockets.received("manager") == []


def test_a_check_says_what_is_wrong_on_standard_error(sockets):
    """A person who runs it reads that."""
    log = served(sockets, b"", "--check", "--path=x", status=64)[1]
    assert log.startswith("<3>--path=x: ") and sockets.received("journal") == []


def test_an_address_of_ipv6_is_in_brackets_in_the_line_and_without_them_in_the_field(sockets):
    log = served(sockets, heads.head(), REMOTE_ADDR="2001:db8::1", REMOTE_PORT="5")[1]
    (entry,) = sockets.received("journal") or [log]
    assert "peer=[2001:db8::1]:5 " in entry and entry.startswith(("REMOTE_ADDR=2001:db8::1\nREMOTE_PORT=5\n", "<5>")), entry


def test_the_journal_gets_the_record_also_where_standard_error_is_the_connection(sockets):
    answer, log = served(sockets, heads.head() + FRAMES, script="exec 2>&0")
    assert answer == heads.switching() + framing.echo("hi") + framing.reply(framing.CLOSE, framing.close_body(3000, b"bye")) and log == ""
    assert (len(sockets.received("journal")), len(sockets.received("syslog"))) == (
        (0, 1) if launch.PROGRAM.endswith(STATIC) else (1, 0))


@pytest.mark.parametrize("options, script", [
    ([], "unset SYSTEMD_EXEC_PID; exec 2>&0"),
    (["--log=syslog"], ":"),
    (["--log=syslog"], "unset SYSTEMD_EXEC_PID"),
], ids=["where-standard-error-is-the-connection", "under-systemd", "elsewhere"])
def test_syslog_gets_the_record_as_a_notice_of_a_daemon(sockets, options, script):
    answer, log = served(sockets, heads.head() + FRAMES, *options, script=script, TZ="UTC")
    assert answer.startswith(heads.switching()) and log == ""
    (line,) = sockets.received("syslog")
    assert re.fullmatch(r"<29>[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d ws-echo\[\d+\]: peer=[ -~]+\n?", line), line
    assert sockets.received("journal") == []


def test_a_line_in_syslog_has_the_time_of_day_of_this_place(sockets, tmp_path):
    """The program reads the time zone before the sandbox forbids that. With musl, the line has UTC."""
    east = 0 if launch.PROGRAM.endswith(STATIC) else 45000
    counts, kind = struct.pack(">6I", 0, 0, 0, 0, 1, 4), struct.pack(">iBB", 45000, 0, 0)
    (tmp_path / "zone").write_bytes(b"TZif" + bytes(16) + counts + kind + b"+12\0")  # RFC 8536 section 3
    before = int(time.time())
    served(sockets, heads.head(), "--log=syslog", TZ=f":{tmp_path}/zone")
    after = time.time()
    (line,) = sockets.received("syslog")
    assert line[4:19] in [time.strftime("%b %e %T", time.gmtime(at + east)) for at in range(before, int(after) + 1)], line


def test_syslog_gets_what_is_wrong_with_the_options_as_an_error(sockets):
    served(sockets, b"", "--bogus", status=64, script="unset SYSTEMD_EXEC_PID; exec 2>&0")
    (line,) = sockets.received("syslog")
    assert re.fullmatch(r"<27>.*: unknown option --bogus; see ws-echo --help\n?", line), line


def test_standard_error_as_the_log_is_refused_in_syslog_where_it_is_the_connection(sockets):
    served(sockets, b"", "--log=stderr", status=64, script="unset SYSTEMD_EXEC_PID; exec 2>&0")
    (line,) = sockets.received("syslog")
    assert re.fullmatch(r"<27>.*: --log=stderr: standard error is the connection; use syslog\n?", line), line


def test_the_journal_as_the_log_gets_the_record_whoever_started_it(sockets):
    log = served(sockets, heads.head() + FRAMES, "--log=journal", script="unset SYSTEMD_EXEC_PID",
                 status=71 if launch.PROGRAM.endswith(STATIC) else 0)[1]
    if launch.PROGRAM.endswith(STATIC):
        assert re.fullmatch(r"ws-echo\[\d+\]: --log=journal: there is no libsystemd; use syslog or stderr\n", log), log
        return
    (entry,) = sockets.received("journal")
    assert "\nWS_CLOSE_CODE=3000\n" in entry and log == "" and sockets.received("manager") == []


@pytest.mark.parametrize("options, status, said", [
    ([], 0, r"<5>peer=[ -~]+\n"),
    (["--log=journal"], 71, r"<3>--log=journal: there is no libsystemd; use syslog or stderr\n"),
])
def test_where_there_is_no_libsystemd_standard_error_gets_the_record(sockets, options, status, said):
    listed = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    hidden = re.findall(r"libsystemd\.so\.0 .*=> (\S+)", listed)
    script = "; ".join(["mount --bind /dev/log " + path for path in hidden] + [":"])
    assert re.fullmatch(said, served(sockets, heads.head() + FRAMES, *options, status=status, script=script)[1])
    assert sockets.received("journal") == sockets.received("manager") == []
