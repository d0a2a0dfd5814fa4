"""What the program gives up before it reads the first byte of the peer, under every launcher."""

import fcntl
import itertools
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import parts
import pytest
import wire

FORBIDDEN = {"internet-socket", "execve", "fork", "open", "kill", "ptrace", "executable-memory",
             "making-memory-executable"}


@pytest.fixture(autouse=True)
def nothing_without_a_filter(request):
    """What tests the filter is of no use where there is none, as wire.filtered() says."""
    if request.node.get_closest_marker("of_the_filter") and not wire.filtered():
        pytest.skip("no filter of system calls on this architecture or in an emulator")


def test_a_connection_has_no_new_privileges_a_filter_and_no_room_for_processes_or_cores():
    with wire.Served() as served:
        served.peer.open()
        process = pathlib.Path("/proc", str(served.process.pid))
        status = dict(re.findall(r"^(\w+):\s*(\d+)$", process.joinpath("status").read_text(), re.MULTILINE))
        assert status["NoNewPrivs"] == "1" and (status["Seccomp"] == "2" or not wire.filtered()), status
        limits = process.joinpath("limits").read_text()
        for name in ("Max core file size", "Max processes"):
            assert re.search(rf"^{name}\s+0\s+0\s", limits, re.MULTILINE), limits
        served.peer.close()


def test_the_answer_may_go_into_a_file(tmp_path):
    """As no limit of the sandbox forbids."""
    (tmp_path / "request").write_bytes(wire.head() + wire.text("hi"))
    with (tmp_path / "request").open("rb") as request, (tmp_path / "answer").open("wb") as answer:
        subprocess.run([wire.PROGRAM], stdin=request, stdout=answer, stderr=subprocess.DEVNULL, check=True, timeout=wire.LIMIT)
    assert (tmp_path / "answer").read_bytes() == wire.switching() + wire.echo("hi")


@pytest.mark.of_the_filter
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


def built(tmp_path, *flags, name="sandbox"):
    """A program of this folder that includes the source, compiled."""
    parts.require("cc", "gcc")
    program = tmp_path / name
    subprocess.run(["cc", "-std=gnu17", "-O1", *flags, '-DVERSION="0"', f"-I{wire.TOP}/build", "-o", program,
                    wire.TOP / f"tests/{name}.c", "-lnettle", "-lz"], check=True, timeout=wire.LIMIT)
    return program


# The calls that the filter allows, whatever their arguments, or where these fulfil a condition.

PROT_EXEC = 4
PR_GET_NAME = 16

ECHO_CALLS = {
    **dict.fromkeys([
        "read", "write", "writev", "shutdown", "close", "madvise", "munmap", "brk", "clock_gettime", "setitimer",
        "getpid", "sendto", "rt_sigreturn", "exit_group",
    ], lambda *_: True),
    "fcntl": lambda _, command, __: command == fcntl.F_SETFL,
    "setsockopt": lambda _, level, option: (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER),
    "mmap": lambda _, __, protection: not protection & PROT_EXEC,
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
    """The system calls of this machine, as the C library's headers name them."""
    defined = subprocess.run(["cc", "-E", "-dM", "-include", "asm/unistd.h", "-xc", "/dev/null"], check=True,
                             capture_output=True, text=True, timeout=wire.LIMIT).stdout
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)$", defined, re.M)}


@pytest.mark.compiles
@pytest.mark.of_the_filter
@pytest.mark.parametrize("channel, allowed", [
    pytest.param("standard-error", ECHO_CALLS, id="standard-error"),
    pytest.param("syslog", ECHO_CALLS, id="syslog"),
    pytest.param("journal", ECHO_CALLS | JOURNAL_CALLS, id="journal"),
])
def test_of_all_system_calls_the_filter_allows_these_and_no_other(asking, channel, allowed):
    result = subprocess.run([asking, channel, *map(str, ARGUMENTS)], capture_output=True, text=True, check=True,
                            timeout=wire.LIMIT)
    numbers = numbers_of_calls()
    assert len(numbers) > 300, "the headers name all calls"
    expected = {f"{numbers[name]} {' '.join(map(str, arguments))}"
                for name, condition in allowed.items()
                for arguments in itertools.product(ARGUMENTS, repeat=3) if condition(*arguments)}
    found = set(result.stdout.splitlines())
    names = {number: name for name, number in numbers.items()}
    wrong = {(names.get(int(call.split()[0]), "?"), *call.split()) for call in found ^ expected}
    assert not wrong, f"{len(wrong)} calls with three arguments, of {sorted({name for name, *_ in wrong})}"


@pytest.mark.compiles
@pytest.mark.of_the_filter
def test_calls_of_another_architecture_are_forbidden(asking):
    """Their numbers mean something else. A kernel without i386 kills who makes one, which is as good."""
    result = subprocess.run([asking], check=False, timeout=wire.LIMIT)
    assert result.returncode in (0, -signal.SIGSEGV)


@pytest.mark.compiles
@pytest.mark.of_the_filter
@pytest.mark.parametrize("channel, more", [("standard-error", {"unix-socket"}), ("journal", set())])
def test_what_an_echo_does_not_need_is_forbidden(tmp_path, channel, more):
    """libsystemd needs a Unix socket; nothing else makes a difference."""
    result = subprocess.run([built(tmp_path), channel], capture_output=True, text=True, check=True, timeout=wire.LIMIT)
    answers = dict(line.split() for line in result.stdout.splitlines())
    assert {name for name, answer in answers.items() if answer == "forbidden"} == FORBIDDEN | more
    assert {"memory", "clock"} < set(answers)


@pytest.mark.compiles
@pytest.mark.of_the_filter
def test_a_debug_build_names_the_forbidden_call(tmp_path):
    result = subprocess.run([built(tmp_path, "-DDEBUG")], capture_output=True, text=True, check=False,
                            timeout=wire.LIMIT)
    assert result.returncode == 71
    assert re.fullmatch(r"ws-echo: system call \d+ is forbidden\n", result.stderr), result


# Who it is.

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture(name="anybodys")
def reachable_by_everybody(monkeypatch):
    """The checkout may be where only root can go."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        monkeypatch.setattr(wire, "PROGRAM", shutil.copy(wire.PROGRAM, folder))
        yield


def identity(process):
    """The process's users and groups, each real, effective, saved and for files; and the supplementary ones."""
    status = pathlib.Path("/proc", str(process.pid), "status").read_text()
    return [{int(number) for number in re.search(rf"^{name}:(.*)$", status, re.MULTILINE)[1].split()}
            for name in ("Uid", "Gid", "Groups")]


@as_root
@pytest.mark.parametrize("user", ["nobody", "daemon"])
@pytest.mark.parametrize("real, effective", [(0, 1), (1, 0), (0, 65534), (65534, 0)])
def test_whoever_is_root_in_part_becomes_the_user_wholly_or_is_refused(anybodys, real, effective, user):
    """Real and effective user differ where a program with the set-user-ID bit started it."""
    entry = pwd.getpwnam(user)
    request = wire.holding(wire.head(), wire.pipe_pair)
    with wire.Served(f"--user={user}", pair=request,
                     preexec_fn=lambda: os.setresuid(real, effective, effective)) as served:
        if served.peer.receive(len(wire.switching())) == wire.switching():
            assert identity(served.process)[:2] == [{entry.pw_uid}, {entry.pw_gid}]
            served.peer.close()
            served.finish()
        else:
            served.peer.close()
            log = served.process.communicate(timeout=wire.LIMIT)[1].decode()
            assert served.process.returncode == 71 and f"cannot become user {user}" in log, log


def as_daemon(*capabilities):
    """A wrapper: become this user, with two supplementary groups, and keep these capabilities."""
    kept = ",".join(["-all", *[f"+{name}" for name in capabilities]])
    return [parts.require("setpriv", "util-linux"), "--reuid=daemon", "--regid=daemon", "--groups=4,27",
            f"--inh-caps={kept}", f"--ambient-caps={kept}"]


@as_root
def test_supplementary_groups_are_dropped_where_that_is_possible(anybodys):
    """As by a service manager that leaves this capability to somebody who is not root."""
    daemon = pwd.getpwnam("daemon")
    with wire.Served(wrapper=as_daemon("setgid")) as served:
        served.peer.open()
        assert identity(served.process) == [{daemon.pw_uid}, {daemon.pw_gid}, set()]
        served.peer.close()
        served.finish()


@as_root
def test_no_other_user_is_asked_for_where_it_was_not_started_as_root(anybodys):
    result = subprocess.run([*as_daemon(), wire.PROGRAM, "--check", "--user=no-such-user"], capture_output=True,
                            timeout=wire.LIMIT, check=False)
    assert (result.returncode, wire.but_for_the_notice(result.stderr)) == (0, b""), result


@as_root
def test_where_that_is_not_possible_it_serves_all_the_same_and_says_nothing_of_it(anybodys):
    daemon = pwd.getpwnam("daemon")
    with wire.Served(wrapper=as_daemon()) as served:
        served.peer.open()
        assert identity(served.process) == [{daemon.pw_uid}, {daemon.pw_gid}, {4, 27}]
        served.peer.close()
        assert wire.record(log := served.finish())["status"] == "101" and log.count("\n") == 1, log


def with_users(tmp_path):
    """A wrapper: let the users be these: somebody who is in another group, and another name of root."""
    (tmp_path / "passwd").write_text("somebody:x:4711:4712::/:\ntoor:x:0:0::/:\n")
    (tmp_path / "group").write_text("some:x:4712:\nother:x:4713:somebody\n")
    parts.require("mount", "mount")
    bound = "".join(f"mount --bind {tmp_path}/{name} /etc/{name} && " for name in ("passwd", "group"))
    return [parts.require("unshare", "util-linux"), "-m", "/bin/sh", "-c", f'{bound}exec "$@"', "sh"]


@as_root
def test_of_the_users_groups_it_has_the_primary_one_and_no_other(tmp_path):
    with wire.Served("--user=somebody", wrapper=with_users(tmp_path)) as served:
        served.peer.open()
        assert identity(served.process) == [{4711}, {4712}, set()]
        served.peer.close()
        served.finish()


@as_root
def test_root_is_refused_by_any_name(tmp_path):
    result = subprocess.run([*with_users(tmp_path), wire.PROGRAM, "--check", "--user=toor"], capture_output=True, text=True,
                            timeout=wire.LIMIT, check=False)
    assert result.returncode == 64 and "--user=toor: this is root" in result.stderr, result


# What others of the same user can do to it.

def owner(process):
    """To whom the process's files in /proc belong: to root where nobody else may look into it."""
    return os.stat(f"/proc/{process.pid}/environ").st_uid


def as_somebody():
    """How to start it as a user who is not root."""
    daemon = pwd.getpwnam("daemon")
    return {"user": daemon.pw_uid, "group": daemon.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


def user(process):
    (uid,) = identity(process)[0]
    assert uid != 0, "root owns everything anyway"
    return uid


def test_nobody_but_root_may_look_into_the_process(anybodys):
    with wire.Served(**as_somebody()) as served:
        served.peer.open()
        assert user(served.process) != owner(served.process) == 0
        served.peer.close()


@pytest.fixture(name="compiled")
def program_compiled_with(anybodys, monkeypatch):
    """A function that puts the program, compiled with other flags, in the place of the one that is tested."""
    def compiled(*flags):
        program = pathlib.Path(wire.PROGRAM).with_name("other")
        subprocess.run([parts.require("cc", "gcc"), "-std=gnu17", "-O1", *flags, '-DVERSION="0"', f"-I{wire.TOP}/build",
                        "-o", program, wire.TOP / "ws-echo.c", "-lnettle", "-lz"], check=True, timeout=wire.LIMIT)
        monkeypatch.setattr(wire, "PROGRAM", str(program))
    return compiled


@pytest.mark.compiles
@pytest.mark.parametrize("flag", ["-DDEBUG", "-fsanitize=address"])
def test_debuggers_and_sanitizers_may_in_builds_for_them(compiled, flag, monkeypatch):
    compiled(flag)
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # looking for leaks takes a process, which it may not start
    with wire.Served(**as_somebody()) as served:
        served.peer.open()
        assert owner(served.process) == user(served.process)
        served.peer.close()


# Where there is no filter.

WITHOUT = "no system call filter"


@pytest.mark.compiles
def test_without_a_filter_it_serves_and_the_record_says_so(compiled):
    """As on an architecture for which none is written; each connection says no more than that."""
    compiled("-DWITHOUT_FILTER")
    with wire.Served() as served:
        served.peer.open().send(wire.text("hi") + wire.close(1000))
        assert served.peer.rest() == wire.echo("hi") + wire.reply(wire.CLOSE, wire.close_body(1000))
        served.peer.close()
        log = served.finish()
    assert wire.record(log)["sandbox"] == "partial" and log.count("\n") == 1, log


@pytest.mark.compiles
def test_without_a_filter_check_and_verbose_say_so_and_it_is_no_fault(compiled):
    compiled("-DWITHOUT_FILTER")
    checked = wire.run(b"", "--check")
    assert (checked.returncode, checked.stdout) == (0, b"")
    notice = "this kernel or architecture has no system call filter; running without"
    assert re.fullmatch(rf"ws-echo\[\d+\]: {notice}\n", checked.stderr.decode()), checked
    by_systemd = ["/bin/sh", "-c", 'SYSTEMD_EXEC_PID=$$ exec "$0" --check', wire.PROGRAM]
    said = subprocess.run(by_systemd, capture_output=True, text=True, check=True, timeout=wire.LIMIT).stderr
    assert said == f"<5>{notice}\n"
    assert WITHOUT in wire.run(b"", "--verbose").stderr.decode()


@pytest.mark.of_the_filter
def test_with_a_filter_nothing_is_said_of_it():
    result = wire.run(b"", "--verbose")
    assert "sandbox" not in wire.record(result.stderr.decode()) and WITHOUT not in result.stderr.decode(), result
    assert wire.run(b"", "--check").stderr == b""
