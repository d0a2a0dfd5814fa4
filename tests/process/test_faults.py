# SPDX-License-Identifier: MIT
"""Local faults: each gives a line in the log and exit status 71, and is not attributed to the peer."""

import contextlib
import os
import resource
import signal
import socket
import subprocess

import framing
import heads
import launch
import project
import pytest
from framing import BINARY
from require import require
from rule import rule
from strace import Faulty, one_line

MIB = 1 << 20

READS, WRITES = "read,readv,recvfrom,recvmsg", "write,writev,sendto,sendmsg"


def echo_asked(peer):
    assert peer.receive(len(heads.switching())) == heads.switching()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the program may have ended already
        peer.send(framing.text("hi"))


@rule("ws-echo(8) EXIT STATUS (2)", "A local fault gives a line in the log and exit status 71.")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("pair", launch.PAIRS)
@pytest.mark.parametrize("calls, number", [(READS, 1), (READS, 2), (WRITES, 1), (WRITES, 2)],
                         ids=["first-read", "later-read", "first-write", "later-write"])
@pytest.mark.parametrize("error", ["EIO", "ENOMEM", "ENOBUFS", "EPERM"])
def test_a_local_fault_of_the_connection_is_logged_and_71(pair, calls, number, error, tmp_path):
    with Faulty(tmp_path / "trace", f"{calls}:error={error}:when={number}", "--quiet", pair=pair) as served:
        if number == 2:
            echo_asked(served.peer)
        one_line(served.ended(71), "cannot read: " if calls == READS else "cannot write: ")


@rule("ws-echo(8) EXIT STATUS (1)")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("calls", [READS, WRITES], ids=["read", "write"])
@pytest.mark.parametrize("error, is_reset", [
    ("ECONNRESET", True), ("EPIPE", True), *[(error, False) for error in (
        "ETIMEDOUT", "EACCES", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENONET",
        "ENOPROTOOPT", "EOPNOTSUPP", "EPROTO")],
])
def test_an_error_of_the_network_is_an_ordinary_end_and_recorded_as_such(calls, error, is_reset, tmp_path):
    """ETIMEDOUT means that the peer no longer acknowledges anything; it is not recorded as a reset."""
    with Faulty(tmp_path / "trace", f"{calls}:error={error}:when=2") as served:
        echo_asked(served.peer)
        end = launch.record(served.ended(0))["end"]
        assert ("reset" in end) == is_reset, end


@rule("ws-echo(8) EXIT STATUS (2)")
@pytest.mark.usefixtures("dumpable")
def test_a_local_fault_before_the_first_byte_leaves_a_record_too(tmp_path):
    """The peer sent nothing, but this is not logged as a health check."""
    with Faulty(tmp_path / "trace", f"{READS}:error=EIO:when=1") as served:
        assert launch.record(served.ended(71))["end_id"] == "read-failed"


@rule("ws-echo(8) EXIT STATUS (2)")
@pytest.mark.usefixtures("dumpable")
def test_a_local_fault_after_our_last_output_is_logged_and_71(tmp_path):
    with Faulty(tmp_path / "trace", f"{READS}:error=EIO:when=3", "--quiet") as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.peer.send(framing.close(1000))
        assert framing.close_code(served.peer.rest()) == 1000
        one_line(served.ended(71), "cannot read: ")


@rule("ws-echo(8) EXIT STATUS (2)")
@pytest.mark.usefixtures("dumpable")
def test_a_local_fault_is_logged_with_its_own_reason_and_not_that_of_what_fails_after_it(tmp_path):
    with Faulty(tmp_path / "trace", f"{WRITES}:error=EIO:when=2 shutdown:error=ENOTCONN", "--quiet") as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.peer.send(framing.close(1000))
        assert served.peer.rest() == b""
        one_line(served.ended(71), "cannot write: (?=I.*error)")  # the texts of glibc and musl for EIO


# Memory, the timer and options of the socket.

def limited(size):
    """A wrapper that limits the program's address space to so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


@rule("ws-echo(8) CLOSE CODES (5)", "A message for which there is no memory gets Close 1011.")
@pytest.mark.parametrize("pair", [launch.tcp_pair, launch.pipe_pair])
def test_a_message_for_which_there_is_no_memory_is_1011_and_a_local_fault(pair):
    with launch.Served("--quiet", "--max-message=1G", pair=pair, preexec_fn=limited(512 * MIB)) as served:
        peer = served.peer.open()
        peer.send(framing.frame(BINARY, b"begun", fin=False))
        assert framing.close_code(peer.answer_close()) == 1011
        peer.close()
        log = served.process.communicate(timeout=project.LIMIT)[1].decode()
        assert served.process.returncode == 71, (served.process.returncode, log)
        one_line(log, "no memory for the message: ")


@pytest.mark.usefixtures("dumpable")
def test_a_peer_that_goes_without_waiting_for_the_1011_does_not_hide_the_fault(tmp_path):
    fault = f"{WRITES}:error=ECONNRESET:when=2"
    with Faulty(tmp_path / "trace", fault, "--quiet", "--max-message=1G", preexec_fn=limited(512 * MIB)) as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.peer.send(framing.frame(BINARY, b"begun", fin=False))
        log = served.ended(71)
        one_line(log, "no memory for the message: ")
        assert "reset" not in log.lower(), log


@rule("ws-echo(8) CLOSE CODES (5)")
@pytest.mark.parametrize("pair", [launch.tcp_pair, launch.pipe_pair])
def test_a_compressed_message_for_whose_reply_there_is_no_memory_is_1011_too(pair):
    options = "--quiet", "--max-message=1G", "--deflate"
    with launch.Served(*options, pair=pair, preexec_fn=limited(1536 * MIB)) as served:
        extension = "permessage-deflate"
        peer = served.peer.open(f"Sec-WebSocket-Extensions: {extension}", extension=extension)
        peer.send(framing.text("pl", fin=False) + framing.frame(framing.CONTINUATION, b"ain"))
        assert peer.receive(len(framing.echo("plain"))) == framing.echo("plain"), "for a message alone there is"
        peer.send(framing.frame(BINARY, b"\0", rsv=4))
        assert framing.close_code(peer.answer_close()) == 1011
        peer.close()
        log = served.process.communicate(timeout=project.LIMIT)[1].decode()
        assert served.process.returncode == 71, (served.process.returncode, log)
        one_line(log, "no memory for the message: ")


@pytest.mark.parametrize("pair", launch.PAIRS)
def test_without_a_timer_it_does_not_serve(pair, tmp_path):
    """Without it, no deadline would hold."""
    calls = "setitimer,timer_create,timer_settime"
    with Faulty(tmp_path / "trace", f"{calls}:error=ENOMEM", "--quiet", pair=pair, everywhere=True) as served:
        with contextlib.suppress(OSError):  # it may be gone already
            served.peer.end()
        one_line(served.ended(71), "cannot set the timer: ")


@pytest.mark.usefixtures("dumpable")
def test_unread_output_that_cannot_be_discarded_is_a_local_fault(tmp_path):
    """Otherwise it would stay in the kernel. The fault is in the second setsockopt call; the first sets TCP_NODELAY."""
    fault = "setsockopt:error=ENOBUFS:when=2"
    with Faulty(tmp_path / "trace", fault, "--quiet", "--timeout=1", pair=launch.narrow_pair) as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.peer.send(framing.frame(BINARY, bytes(4 * MIB)))
        one_line(served.ended(71), "cannot discard unread output: ")


# Before the connection is served.

@rule("ws-echo(8) EXIT STATUS (2)")
@pytest.mark.parametrize("fault, words", [
    ("setsockopt:error=ENOBUFS:when=1", "cannot set TCP_NODELAY: "),
    ("prctl:error=EPERM:when=1", "cannot enter the sandbox: "),
    ("prctl:error=EPERM:when=2", "cannot enter the sandbox: "),
    ("setrlimit,prlimit64:error=EPERM", "cannot enter the sandbox: "),
    ("prctl:error=EACCES:when=3", "cannot install the system call filter: "),
    ("prctl:error=EINVAL:when=3", "cannot install the system call filter: "),
    ("setrlimit,prlimit64:error=EPERM:when=2", "cannot enter the sandbox: "),
], ids=["no-delay", "dumpable", "new-privileges", "limits", "filter", "filter-unknown", "second-limit"])
def test_it_does_not_serve_without_its_protections(fault, words, tmp_path):
    if "filter" in words and not launch.filtered():
        pytest.skip("no filter of system calls on this architecture or in an emulator")
    with Faulty(tmp_path / "trace", fault, "--quiet", everywhere=True) as served:
        with contextlib.suppress(OSError):  # it may be gone already
            served.peer.end()
        one_line(served.ended(71), words)


@pytest.mark.parametrize("error", ["EOPNOTSUPP", "ENOPROTOOPT"])
def test_a_socket_without_the_option_of_tcp_is_no_fault(error, tmp_path):
    """Sockets other than TCP have none."""
    with Faulty(tmp_path / "trace", f"setsockopt:error={error}:when=1", "--quiet", everywhere=True) as served:
        served.peer.end()
        assert served.ended(0) == ""


def test_a_kernel_without_filters_is_no_fault(tmp_path):
    """Both installing a filter and asking for it fail there."""
    if not launch.filtered():
        pytest.skip("nothing is installed on this architecture or in an emulator")
    with Faulty(tmp_path / "trace", "prctl:error=EINVAL:when=3+", everywhere=True) as served:
        served.peer.end()
        assert launch.record(served.ended(0))["sandbox"] == "partial"


@pytest.mark.parametrize("which", ["1+", "2+2"], ids=["each", "other"])
def test_if_the_kernel_cannot_tell_what_standard_error_is_it_counts_as_the_connection(which, tmp_path):
    """Then no byte of the log may reach the peer. The program calls fstat for standard error first, then for both ends
    of the connection."""
    client, server = launch.holding(heads.head(path="/other"))()
    with client, server:
        client.shutdown(socket.SHUT_WR)
        command = [require("strace", "strace"), "-o", tmp_path / "trace", "-P", os.readlink(f"/proc/self/fd/{server.fileno()}"),
                   "-e", f"inject=%fstat:error=EIO:when={which}", launch.PROGRAM, "--verbose"]
        subprocess.run(command, stdin=server, stdout=server, stderr=server, check=True, timeout=project.LIMIT)
        server.close()
        heads.refused(launch.Peer(client).rest(), 404)
    assert "(INJECTED)" in (tmp_path / "trace").read_text(), "the fault did not happen"


def test_a_connection_that_cannot_be_made_to_block_is_a_local_fault(tmp_path):
    client, server = launch.tcp_pair()
    server.setblocking(False)
    with client, server:
        command = [require("strace", "strace"), "-o", tmp_path / "trace", "-e", "inject=fcntl,?fcntl64:error=EIO:when=3",
                   launch.PROGRAM]
        result = subprocess.run(command, stdin=server, stdout=server, stderr=subprocess.PIPE, text=True, check=False,
                                timeout=project.LIMIT)
    assert "F_SETFL" in (tmp_path / "trace").read_text(), "the third one clears the flag"
    assert result.returncode == 71, result
    one_line(result.stderr, "cannot make the connection block: ")


def test_the_system_calls_that_are_newer_than_linux_3_5_may_be_missing(tmp_path):
    with Faulty(tmp_path / "trace", "close_range,rseq,getrandom:error=ENOSYS", everywhere=True) as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.peer.send(framing.text("hi") + framing.close(1000))
        assert served.peer.rest() == framing.echo("hi") + framing.reply(framing.CLOSE, framing.close_body(1000))
        assert launch.record(served.ended(0))["messages"] == "1"


@pytest.fixture(name="full")
def pipe_that_nobody_reads():
    """The writing end of a pipe that is full."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


def alarm(how):
    """A wrapper that lets the program inherit this disposition of SIGALRM."""
    if how == "blocked":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    else:
        signal.signal(signal.SIGALRM, signal.SIG_IGN if how == "ignored" else signal.SIG_DFL)


@rule("ws-echo(8) OPTIONS (1)")
@pytest.mark.slow("a log has two seconds to take a line, and here it does not")
@pytest.mark.parametrize("how", ["default", "ignored", "blocked"])
def test_a_wrong_option_is_64_also_where_nobody_reads_the_log(full, how):
    """Writing the line is given up, even if SIGALRM is inherited as ignored or blocked."""
    process = subprocess.Popen([launch.PROGRAM, "--bogus"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=full, preexec_fn=lambda: alarm(how))
    try:
        with launch.Clock(8) as clock:
            assert clock.outlasts(process)
        assert process.returncode == 64
    finally:
        process.kill()
        process.wait()


def sizes_of_files_are_limited():
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@rule("ws-echo(8) EXIT STATUS (2)")
def test_a_file_that_may_not_grow_is_a_local_fault(tmp_path):
    with open(tmp_path / "answer", "wb") as answer:
        result = subprocess.run([launch.PROGRAM, "--quiet"], input=heads.head() + framing.text("hi"), stdout=answer,
                                stderr=subprocess.PIPE, check=False, timeout=project.LIMIT,
                                preexec_fn=sizes_of_files_are_limited)
    assert result.returncode == 71, result
    one_line(result.stderr.decode(), "cannot write: ")


def test_a_log_file_that_may_not_grow_is_no_fault(tmp_path):
    with open(tmp_path / "log", "wb") as log:
        result = subprocess.run([launch.PROGRAM], input=heads.head() + framing.text("hi"), stdout=subprocess.PIPE,
                                stderr=log, check=False, timeout=project.LIMIT, preexec_fn=sizes_of_files_are_limited)
    assert (result.returncode, result.stdout) == (0, heads.switching() + framing.echo("hi")), result
