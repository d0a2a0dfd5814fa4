"""What the program gives up before it reads the first byte of the peer, under every launcher."""

import pathlib
import re
import subprocess

import parts
import pytest
import wire

FORBIDDEN = {"internet-socket", "execve", "fork", "open", "kill", "ptrace", "executable-memory",
             "making-memory-executable"}


def test_a_connection_has_no_new_privileges_a_filter_and_no_room_for_processes_or_cores():
    with wire.Served() as served:
        served.peer.open()
        process = pathlib.Path("/proc", str(served.process.pid))
        status = dict(re.findall(r"^(\w+):\s*(\d+)$", process.joinpath("status").read_text(), re.MULTILINE))
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        limits = process.joinpath("limits").read_text()
        for name in ("Max core file size", "Max processes"):
            assert re.search(rf"^{name}\s+0\s+0\s", limits, re.MULTILINE), limits
        served.peer.close()


def test_the_filter_is_on_before_the_first_read_from_the_connection(tmp_path):
    """As xinetd starts it: the connection is standard error too."""
    strace, trace = parts.require("strace", "strace"), tmp_path / "trace"
    client, server = wire.tcp_pair()
    with server:
        process = subprocess.Popen([strace, "-o", trace, "-e", "trace=prctl,seccomp,read,recvfrom,readv", wire.PROGRAM],
                                   stdin=server, stdout=server, stderr=server)
    with client:
        wire.Peer(client).open()
    assert process.wait(wire.LIMIT) == 0
    calls = trace.read_text().splitlines()
    filtered = next(number for number, call in enumerate(calls) if "SECCOMP" in call and call.endswith("= 0"))
    touched = next(number for number, call in enumerate(calls) if re.match(r"(read|readv|recvfrom)\(0,", call))
    assert filtered < touched, calls


def built(tmp_path, *flags):
    """sandbox.c, compiled as the program is."""
    parts.require("cc", "gcc")
    program = tmp_path / "sandbox"
    subprocess.run(["cc", "-std=gnu17", "-O2", *flags, '-DVERSION="0"', f"-I{wire.TOP}/build", "-o", program,
                    wire.TOP / "tests/sandbox.c", "-lnettle"], check=True, timeout=wire.LIMIT)
    return program


@pytest.mark.parametrize("channel, more", [("standard-error", {"unix-socket"}), ("journal", set())])
def test_what_an_echo_does_not_need_is_forbidden(tmp_path, channel, more):
    """libsystemd needs a Unix socket; nothing else makes a difference."""
    result = subprocess.run([built(tmp_path), channel], capture_output=True, text=True, check=True, timeout=wire.LIMIT)
    answers = dict(line.split() for line in result.stdout.splitlines())
    assert {name for name, answer in answers.items() if answer == "forbidden"} == FORBIDDEN | more
    assert {"memory", "clock"} < set(answers)


def test_a_debug_build_names_the_forbidden_call(tmp_path):
    result = subprocess.run([built(tmp_path, "-DDEBUG")], capture_output=True, text=True, check=False,
                            timeout=wire.LIMIT)
    assert result.returncode == 71
    assert re.fullmatch(r"ws-echo: system call \d+ is forbidden\n", result.stderr), result
