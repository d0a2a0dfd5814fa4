# SPDX-License-Identifier: MIT
"""Privileges that the program gives up before it reads the first byte from the peer, under every launcher."""

import fcntl
import itertools
import pathlib
import re
import signal
import socket
import subprocess
import time

import framing
import heads
import launch
import project
import pytest
from require import require
from rule import rule

FORBIDDEN = {"internet-socket", "execve", "fork", "open", "kill", "ptrace", "executable-memory",
             "making-memory-executable"}


@pytest.fixture(autouse=True)
def nothing_without_a_filter(request):
    """Skips tests of the filter if the program has none: see launch.filtered()."""
    if request.node.get_closest_marker("of_the_filter") and not launch.filtered():
        pytest.skip("no filter of system calls on this architecture or in an emulator")


@rule("ws-echo(8) SECURITY (2)")
def test_a_connection_has_no_new_privileges_a_filter_and_no_room_for_processes_or_cores():
    with launch.Served() as served:
        served.peer.open()
        process = pathlib.Path("/proc", str(served.process.pid))
        status = dict(re.findall(r"^(\w+):\s*(\d+)$", process.joinpath("status").read_text(), re.MULTILINE))
        assert status["NoNewPrivs"] == "1" and (status["Seccomp"] == "2" or not launch.filtered()), status
        limits = process.joinpath("limits").read_text()
        for name in ("Max core file size", "Max processes"):
            assert re.search(rf"^{name}\s+0\s+0\s", limits, re.MULTILINE), limits
        served.peer.close()


def test_the_answer_may_go_into_a_file(tmp_path):
    """No limit of the sandbox forbids this."""
    (tmp_path / "request").write_bytes(heads.head() + framing.text("hi"))
    with (tmp_path / "request").open("rb") as request, (tmp_path / "answer").open("wb") as answer:
        subprocess.run([launch.PROGRAM], stdin=request, stdout=answer, stderr=subprocess.DEVNULL, check=True, timeout=project.LIMIT)
    assert (tmp_path / "answer").read_bytes() == heads.switching() + framing.echo("hi")


@rule("ws-echo(8) SECURITY (2)", "Under every launcher, the program enters its sandbox before it reads the first byte.")
@pytest.mark.of_the_filter
def test_the_filter_is_on_before_the_first_read_from_the_connection(tmp_path):
    """Started as by xinetd: standard error is the connection as well."""
    strace, trace = require("strace", "strace"), tmp_path / "trace"
    client, server = launch.tcp_pair()
    with server:
        process = subprocess.Popen([strace, "-o", trace, "-e", "trace=prctl,seccomp,read,recvfrom,readv", launch.PROGRAM],
                                   stdin=server, stdout=server, stderr=server)
    with client:
        launch.Peer(client).open()
    assert process.wait(project.LIMIT) == 0
    calls = trace.read_text().splitlines()
    filtered = next(number for number, call in enumerate(calls) if "SECCOMP" in call and call.endswith("= 0"))
    touched = next(number for number, call in enumerate(calls) if re.match(r"(read|readv|recvfrom)\(0,", call))
    assert filtered < touched, calls


def built(tmp_path, *flags, name="sandbox"):
    """Compiles a program of this folder that includes the source."""
    require("cc", "gcc")
    program = tmp_path / name
    subprocess.run(["cc", "-std=gnu17", "-O1", *flags, "-D_GNU_SOURCE", '-DVERSION="0"', f"-I{project.TOP}/src",
                    f"-I{project.TOP}/build", "-o", program, project.TOP / f"tests/process/{name}.c", "-lnettle", "-lz"], check=True, timeout=project.LIMIT)
    return program


# The calls that the filter allows: with any arguments, or with arguments that meet a condition.

PROT_EXEC = 4
PR_GET_NAME = 16
TIMER_ABSTIME = 1

ECHO_CALLS = {
    **dict.fromkeys([
        "read", "write", "writev", "shutdown", "close", "madvise", "munmap", "brk", "clock_gettime", "setitimer",
        "getpid", "sendto", "rt_sigreturn", "exit_group",
    ], lambda *_: True),
    "fcntl": lambda _, command, __: command == fcntl.F_SETFL,
    "setsockopt": lambda _, level, option: (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER),
    "mmap": lambda _, __, protection: not protection & PROT_EXEC,
    "clock_nanosleep": lambda clock, flags, _: (clock, flags) == (time.CLOCK_MONOTONIC, TIMER_ABSTIME),
}

JOURNAL_CALLS = {
    **dict.fromkeys(["sendmsg", "getsockopt", "getuid", "geteuid", "getgid", "getegid"], lambda *_: True),
    "socket": lambda family, *_: family == socket.AF_UNIX,
    "prctl": lambda option, *_: option == PR_GET_NAME,
}

ARGUMENTS = [0, 1, 2, 4, 5, 7, 13, 16, 1 << 31, -1]


@pytest.fixture(name="asking", scope="module")
def program_that_asks_the_filter(tmp_path_factory):
    return built(tmp_path_factory.mktemp("built"), name="filter")


def numbers_of_calls():
    """The system calls of this machine, from the C library's headers."""
    defined = subprocess.run(["cc", "-E", "-dM", "-include", "asm/unistd.h", "-xc", "/dev/null"], check=True,
                             capture_output=True, text=True, timeout=project.LIMIT).stdout
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)$", defined, re.M)}


@rule("ws-echo(8) SECURITY (3)", "The filter allows only the system calls that an echo needs.")
@pytest.mark.compiles
@pytest.mark.of_the_filter
@pytest.mark.parametrize("channel, allowed", [
    pytest.param("standard-error", ECHO_CALLS, id="standard-error"),
    pytest.param("syslog", ECHO_CALLS, id="syslog"),
    pytest.param("journal", ECHO_CALLS | JOURNAL_CALLS, id="journal"),
])
def test_of_all_system_calls_the_filter_allows_these_and_no_other(asking, channel, allowed):
    result = subprocess.run([asking, channel, *map(str, ARGUMENTS)], capture_output=True, text=True, check=True,
                            timeout=project.LIMIT)
    numbers = numbers_of_calls()
    assert len(numbers) > 300, "the headers name all calls"
    expected = {f"{numbers[name]} {' '.join(map(str, arguments))}"
                for name, condition in allowed.items()
                for arguments in itertools.product(ARGUMENTS, repeat=3) if condition(*arguments)}
    found = set(result.stdout.splitlines())
    names = {number: name for name, number in numbers.items()}
    wrong = {(names.get(int(call.split()[0]), "?"), *call.split()) for call in found ^ expected}
    assert not wrong, f"{len(wrong)} calls with three arguments, of {sorted({name for name, *_ in wrong})}"


@rule("ws-echo(8) SECURITY (3)")
@pytest.mark.compiles
@pytest.mark.of_the_filter
def test_calls_of_another_architecture_are_forbidden(asking):
    """Their numbers have other meanings. A kernel without i386 kills the process, which is as good."""
    result = subprocess.run([asking], check=False, timeout=project.LIMIT)
    assert result.returncode in (0, -signal.SIGSEGV)


@rule("ws-echo(8) SECURITY (3)")
@pytest.mark.compiles
@pytest.mark.of_the_filter
@pytest.mark.parametrize("channel, more", [("standard-error", {"unix-socket"}), ("journal", set())])
def test_what_an_echo_does_not_need_is_forbidden(tmp_path, channel, more):
    """Only for the journal, a Unix socket is allowed, because libsystemd needs it."""
    result = subprocess.run([built(tmp_path), channel], capture_output=True, text=True, check=True, timeout=project.LIMIT)
    answers = dict(line.split() for line in result.stdout.splitlines())
    assert {name for name, answer in answers.items() if answer == "forbidden"} == FORBIDDEN | more
    assert {"memory", "clock"} < set(answers)


@pytest.mark.compiles
@pytest.mark.of_the_filter
def test_a_debug_build_names_the_forbidden_call(tmp_path):
    result = subprocess.run([built(tmp_path, "-DDEBUG")], capture_output=True, text=True, check=False,
                            timeout=project.LIMIT)
    assert result.returncode == 71
    assert re.fullmatch(r"ws-echo: system call \d+ is forbidden\n", result.stderr), result


@rule("ws-echo(8) SECURITY (2)")
def test_nobody_but_root_may_look_into_the_process():
    """If a process is not dumpable, its files in /proc belong to root."""
    with launch.Served() as served:
        served.peer.open()
        process = pathlib.Path("/proc", str(served.process.pid))
        assert process.joinpath("environ").stat().st_uid == 0
        assert not re.search(r"^Uid:.*\b0\b", process.joinpath("status").read_text(), re.M), "root owns everything anyway"
        served.peer.close()


# Programs without a filter.

WITHOUT = "no system call filter"


@pytest.fixture(name="compiled")
def program_compiled_with(tmp_path, monkeypatch):
    """A function that compiles the program with additional flags and uses it as the program to be tested."""
    def compiled(*flags):
        program = tmp_path / "other"
        subprocess.run([require("cc", "gcc"), "-std=gnu17", "-O1", *flags, "-D_GNU_SOURCE", '-DVERSION="0"',
                        f"-I{project.TOP}/src", f"-I{project.TOP}/build", "-o", program, project.TOP / project.ONE_SOURCE, "-lnettle", "-lz"],
                       check=True, timeout=project.LIMIT)
        monkeypatch.setattr(launch, "PROGRAM", str(program))
    return compiled


@rule("ws-echo(8) SECURITY (4)", "If the kernel or the architecture has no filter, the program serves, and the record says so.")
@pytest.mark.compiles
def test_without_a_filter_it_serves_and_the_record_says_so(compiled):
    """As on architectures for which no filter is written. A field of the record is the only difference."""
    compiled("-DWITHOUT_FILTER")
    with launch.Served() as served:
        served.peer.open().send(framing.text("hi") + framing.close(1000))
        assert served.peer.rest() == framing.echo("hi") + framing.reply(framing.CLOSE, framing.close_body(1000))
        served.peer.close()
        log = served.finish()
    assert launch.record(log)["sandbox"] == "partial" and log.count("\n") == 1, log


@rule("ws-echo(8) SECURITY (4)")
@pytest.mark.compiles
def test_without_a_filter_check_and_verbose_say_so_and_it_is_no_fault(compiled):
    compiled("-DWITHOUT_FILTER")
    checked = launch.run(b"", "--check")
    assert (checked.returncode, checked.stdout) == (0, b"")
    notice = "this kernel or architecture has no system call filter; running without"
    assert re.fullmatch(rf"ws-echo\[\d+\]: {notice}\n", checked.stderr.decode()), checked
    by_systemd = ["/bin/sh", "-c", 'SYSTEMD_EXEC_PID=$$ exec "$0" --check', launch.PROGRAM]
    said = subprocess.run(by_systemd, capture_output=True, text=True, check=True, timeout=project.LIMIT).stderr
    assert said == f"<5>{notice}\n"
    assert WITHOUT in launch.run(b"", "--verbose").stderr.decode()


@pytest.mark.of_the_filter
def test_with_a_filter_nothing_is_said_of_it():
    result = launch.run(b"", "--verbose")
    assert "sandbox" not in launch.record(result.stderr.decode()) and WITHOUT not in result.stderr.decode(), result
    assert launch.run(b"", "--check").stderr == b""
