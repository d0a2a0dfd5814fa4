# SPDX-License-Identifier: MIT
"""The user that the program changes to if root starts it, or keeps otherwise, and what a user may do to his process."""

import grp
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile

import heads
import launch
import project
import pytest
from refusals import usage
from require import require
from rule import rule
from strace import Faulty, one_line

DAEMON = pwd.getpwnam("daemon")
AS_DAEMON = {"user": DAEMON.pw_uid, "group": DAEMON.pw_gid, "extra_groups": []}  # arguments of subprocess


@pytest.fixture(name="anybodys")
def reachable_by_everybody(monkeypatch):
    """Copies the program to a folder that all users can enter: the tree may be in one for root only."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        monkeypatch.setattr(launch, "PROGRAM", shutil.copy(launch.PROGRAM, folder))
        yield


def identity(process):
    """The process's user and group ids (real, effective, saved, file system), and its supplementary groups."""
    status = pathlib.Path("/proc", str(process.pid), "status").read_text()
    return [{int(number) for number in re.search(rf"^{name}:(.*)$", status, re.MULTILINE)[1].split()}
            for name in ("Uid", "Gid", "Groups")]


@rule("ws-echo(8) OPTIONS (16)")
def test_a_user_that_does_not_exist_is_wrong():
    line = usage("--user=no-such-user")
    assert "--user" in line and "no-such-user" in line, line


@pytest.mark.parametrize("user", [b"no\n\x1b[2Jbody", b"u" * 1000], ids=["raw", "long"])
def test_a_user_that_does_not_exist_does_not_reach_the_terminal_raw_and_hides_nothing(user):
    assert "no such user" in usage(b"--user=" + user)


@rule("ws-echo(8) SECURITY (1)", "It never serves as root.")
def test_it_never_serves_as_root():
    line = usage("--user=root")
    assert "--user" in line and "root" in line, line


@pytest.mark.parametrize("option, complaint", [
    ("--user=root", "--user=root: this is root; name a user who is not"),
    ("-uno-such-user", "--user=no-such-user: there is no such user; name one that is not root"),
])
def test_a_complaint_of_the_user_says_what_is_wrong_and_what_would_be_right(option, complaint):
    assert usage(option).partition("]: ")[2] == complaint + "\n"


@rule("ws-echo(8) OPTIONS (15)")
def test_check_judges_the_user_as_well():
    assert "nobody-of-that-name" in usage("--check", "--user=nobody-of-that-name")
    assert "root" in usage("--check", "--user=root")


@rule("ws-echo(8) OPTIONS (15)")
def test_check_says_so_on_standard_error_whatever_channel_the_record_has():
    assert "root" in usage("--check", "--user=root", "--log=syslog")


@rule("ws-echo(8) OPTIONS (16)", "--user names the user that the process changes to.")
@pytest.mark.parametrize("options, user", [
    ([], "nobody"), (["--user=daemon"], "daemon"), (["-umail"], "mail"),
])
def test_started_as_root_it_becomes_another_user_with_that_users_groups_only(options, user):
    entry = pwd.getpwnam(user)
    with launch.Served(*options, extra_groups=[0, 4, 27]) as served:
        served.peer.open()
        users, groups, supplementary = identity(served.process)
    assert (users, groups) == ({entry.pw_uid}, {entry.pw_gid})
    allowed = {entry.pw_gid} | {group.gr_gid for group in grp.getgrall() if user in group.gr_mem}
    assert supplementary <= allowed


@rule("ws-echo(8) OPTIONS (16)")
def test_started_as_another_user_it_keeps_that_user(anybodys):
    with launch.Served(**AS_DAEMON) as served:
        served.peer.open()
        assert identity(served.process)[0] == {DAEMON.pw_uid}


@rule("ws-echo(8) SECURITY (1)")
@pytest.mark.parametrize("user", ["nobody", "daemon"])
@pytest.mark.parametrize("real, effective", [(0, 1), (1, 0), (0, 65534), (65534, 0)])
def test_a_process_with_some_ids_of_root_changes_all_of_them_or_is_refused(anybodys, real, effective, user):
    """Real and effective user differ if a set-user-ID program started it."""
    entry = pwd.getpwnam(user)
    request = launch.holding(heads.head(), launch.pipe_pair)
    with launch.Served(f"--user={user}", pair=request,
                     preexec_fn=lambda: os.setresuid(real, effective, effective)) as served:
        if served.peer.receive(len(heads.switching())) == heads.switching():
            assert identity(served.process)[:2] == [{entry.pw_uid}, {entry.pw_gid}]
            served.peer.close()
            served.finish()
        else:
            served.peer.close()
            log = served.process.communicate(timeout=project.LIMIT)[1].decode()
            assert served.process.returncode == 71 and f"cannot become user {user}" in log, log


def as_daemon(*capabilities):
    """A wrapper that changes to this user, with two supplementary groups, and keeps these capabilities."""
    kept = ",".join(["-all", *[f"+{name}" for name in capabilities]])
    return [require("setpriv", "util-linux"), "--reuid=daemon", "--regid=daemon", "--groups=4,27",
            f"--inh-caps={kept}", f"--ambient-caps={kept}"]


@rule("ws-echo(8) SECURITY (1)")
def test_supplementary_groups_are_dropped_where_that_is_possible(anybodys):
    """A service manager may leave CAP_SETGID to a user other than root."""
    with launch.Served(wrapper=as_daemon("setgid")) as served:
        served.peer.open()
        assert identity(served.process) == [{DAEMON.pw_uid}, {DAEMON.pw_gid}, set()]
        served.peer.close()
        served.finish()


def test_no_other_user_is_asked_for_where_it_was_not_started_as_root(anybodys):
    result = subprocess.run([*as_daemon(), launch.PROGRAM, "--check", "--user=no-such-user"], capture_output=True,
                            timeout=project.LIMIT, check=False)
    assert (result.returncode, launch.without_the_notice(result.stderr)) == (0, b""), result


def test_where_that_is_not_possible_it_serves_all_the_same_and_says_nothing_of_it(anybodys):
    with launch.Served(wrapper=as_daemon()) as served:
        served.peer.open()
        assert identity(served.process) == [{DAEMON.pw_uid}, {DAEMON.pw_gid}, {4, 27}]
        served.peer.close()
        assert launch.record(log := served.finish())["status"] == "101" and log.count("\n") == 1, log


def with_users(tmp_path):
    """A wrapper that replaces the user database: one user is in another group, and one is another name of root."""
    (tmp_path / "passwd").write_text("somebody:x:4711:4712::/:\ntoor:x:0:0::/:\n")
    (tmp_path / "group").write_text("some:x:4712:\nother:x:4713:somebody\n")
    require("mount", "mount")
    bound = "".join(f"mount --bind {tmp_path}/{name} /etc/{name} && " for name in ("passwd", "group"))
    return [require("unshare", "util-linux"), "-m", "/bin/sh", "-c", f'{bound}exec "$@"', "sh"]


def test_of_the_users_groups_it_has_the_primary_one_and_no_other(tmp_path):
    with launch.Served("--user=somebody", wrapper=with_users(tmp_path)) as served:
        served.peer.open()
        assert identity(served.process) == [{4711}, {4712}, set()]
        served.peer.close()
        served.finish()


def test_root_is_refused_by_any_name(tmp_path):
    result = subprocess.run([*with_users(tmp_path), launch.PROGRAM, "--check", "--user=toor"], capture_output=True, text=True,
                            timeout=project.LIMIT, check=False)
    assert result.returncode == 64 and "--user=toor: this is root" in result.stderr, result


# Failing system calls.

@rule("ws-echo(8) EXIT STATUS (2)")
@pytest.mark.parametrize("fault", [
    "setgroups,?setgroups32:error=EPERM", "setgid,?setgid32:error=EPERM", "setuid,?setuid32:error=EAGAIN",
], ids=["groups", "group", "user"])
def test_it_does_not_serve_where_it_cannot_become_the_user(fault, tmp_path):
    with Faulty(tmp_path / "trace", fault, "--quiet", everywhere=True) as served:
        one_line(served.ended(71), "cannot become user nobody: ")


def test_a_list_of_users_that_cannot_be_read_is_a_local_fault(tmp_path):
    """If the C library reports it: for an older glibc, an unreadable file contains no users."""
    command = [require("strace", "strace"), "-o", tmp_path / "trace", "-P", "/etc/passwd",
               "-e", "inject=read,readv:error=EIO", launch.PROGRAM, "--check", "--user=daemon"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=project.LIMIT, check=False)
    told = launch.PROGRAM.endswith("-static") or result.returncode != 64
    status, said = (71, "cannot look up user") if told else (64, "no such user")
    assert result.returncode == status and said in result.stderr, result


@pytest.mark.parametrize("error", ["ENOENT", "ESRCH"])
def test_where_there_is_no_list_of_users_there_is_no_such_user(error, tmp_path):
    """These errors mean that the user database does not exist."""
    command = [require("strace", "strace"), "-o", tmp_path / "trace", "-P", "/etc/passwd",
               "-e", f"inject=?open,openat:error={error}", launch.PROGRAM, "--check", "--user=daemon"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=project.LIMIT, check=False)
    assert "(INJECTED)" in (tmp_path / "trace").read_text(), "the fault did not happen"
    assert result.returncode == 64 and "no such user" in result.stderr, result


@pytest.mark.parametrize("error, status", [("EPERM", 0), ("EIO", 71)])
def test_failing_to_drop_groups_is_a_local_fault_unless_forbidden(error, status, anybodys):
    command = [require("setpriv", "util-linux"), "--reuid=daemon", "--regid=daemon", "--clear-groups",
               require("strace", "strace"), "-o", "/dev/null", "-e", f"inject=setgroups,?setgroups32:error={error}",
               launch.PROGRAM, "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=project.LIMIT, check=False)
    assert result.returncode == status, result
    if status:
        one_line(result.stderr, "cannot drop supplementary groups: ")


# What a user may do to his process.

def owner(process):
    """The owner of the process's files in /proc: root if the process is not dumpable."""
    return os.stat(f"/proc/{process.pid}/environ").st_uid


@rule("ws-echo(8) SECURITY (2)")
def test_not_even_its_own_user_may_look_into_the_process(anybodys):
    with launch.Served(**AS_DAEMON) as served:
        served.peer.open()
        assert identity(served.process)[0] == {DAEMON.pw_uid} and owner(served.process) == 0
        served.peer.close()


@pytest.mark.compiles
@pytest.mark.parametrize("flag", ["-DDEBUG", "-DDUMPABLE", "-fsanitize=address"])
def test_in_builds_for_debuggers_tests_and_sanitizers_that_user_may(anybodys, flag, monkeypatch):
    program = pathlib.Path(launch.PROGRAM).with_name("other")
    subprocess.run([require("cc", "gcc"), "-std=gnu17", "-O1", flag, "-D_GNU_SOURCE", '-DVERSION="0"', f"-I{project.TOP}/src",
                    f"-I{project.TOP}/build",
                    "-o", program, project.TOP / project.ONE_SOURCE, "-lnettle", "-lz"], check=True, timeout=project.LIMIT)
    monkeypatch.setattr(launch, "PROGRAM", str(program))
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # LeakSanitizer starts a process
    with launch.Served(**AS_DAEMON) as served:
        served.peer.open()
        assert owner(served.process) == DAEMON.pw_uid
        served.peer.close()
