# SPDX-License-Identifier: MIT
"""The sandbox of the shipped service unit: its exposure level, and the effect of each directive.

A probe replaces the program and tries a forbidden action: with the unit as shipped, where it must fail, and with a
drop-in that removes the one directive, where it must succeed.
"""

import contextlib
import errno
import platform
import re
import subprocess
import time

import launch
import project
import pytest
from machine import UNITDIR
from require import require
from rule import rule


@rule("ws-echo(8) SECURITY (9)",
      "The exposure level of the service unit is at most 0.4, and every directive of its sandbox has an effect.")
def test_the_exposure_is_at_most_0_4():
    """The argument of `--threshold` is ten times the displayed level; the output lists what raises it."""
    require("systemd-analyze", "systemd")
    rated = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=4", "--no-pager",
                            project.TOP / "ws-echo@.service"], capture_output=True, text=True, check=False)
    print(rated.stdout.splitlines()[-1])
    assert rated.returncode == 0, rated.stdout + rated.stderr


# Other directives that forbid the same: a row removes them too, to test its own directive.
CALLS = """
    SystemCallFilter=
    SystemCallArchitectures=
    RestrictAddressFamilies=
    RestrictNamespaces=no
    RestrictRealtime=no
    RestrictSUIDSGID=no
    MemoryDenyWriteExecute=no
    LockPersonality=no
    ProtectKernelLogs=no
    ProtectKernelModules=no
    ProtectKernelTunables=no
    PrivateDevices=no
"""
ROOT = """
    User=root
    CapabilityBoundingSet=~
"""
# Also removed if a probe needs /proc.
TREE = """
    RootDirectory=
    BindPaths=
    InaccessiblePaths=
"""
PLACES = """
    ProtectSystem=no
    ProtectHome=no
    ProtectProc=default
    ProcSubset=all
    ProtectControlGroups=no
    ProtectKernelLogs=no
    ProtectKernelModules=no
    ProtectKernelTunables=no
    PrivateDevices=no
    PrivateTmp=no
"""
KILLED = ""


def inner(machine, link):
    """The target of the link for systemd itself."""
    return machine.run("readlink", link).stdout.strip()


# Directive, the action to try, the answer, the drop-in that removes the directive, the answer then; and other
# directives to remove in both cases, because they forbid the same.
PROBES = [
    ("User", "user", "its own", "User=root", "0", ""),
    ("CapabilityBoundingSet", "status CapBnd:", "0000000000000000", "CapabilityBoundingSet=~", "some", TREE),
    ("NoNewPrivileges", "privileges", "1", "NoNewPrivileges=no", "0", CALLS),
    ("RestrictSUIDSGID", "suid", "EPERM", "RestrictSUIDSGID=no", "ok", "SystemCallFilter="),
    ("RootDirectory", "open /etc/passwd", "EACCES", TREE, "ok", ""),
    ("InaccessiblePaths", "open /dev", "EACCES", "InaccessiblePaths=", "ok", PLACES),
    ("ProtectSystem", "create /probe", "EROFS", "ProtectSystem=no", "EACCES", ""),
    ("ProtectHome", "open /home", "EACCES", "ProtectHome=no", "ok", TREE),
    ("ProtectProc", "contents /proc/1/comm", "ENOENT", "ProtectProc=default", "systemd", TREE),
    ("ProcSubset", "open /proc/meminfo", "ENOENT", "ProcSubset=all", "ok", TREE),
    ("ProtectControlGroups", "create {groups}/cgroup.procs", "EROFS",
     "ProtectControlGroups=no", "ok", TREE + ROOT),
    ("ProtectKernelTunables", "create /sys/kernel/profiling", "EROFS",
     "ProtectKernelTunables=no", "ok", TREE + ROOT),
    ("PrivateDevices", "open /dev/probe", "ENOENT", "PrivateDevices=no", "ok", TREE),
    ("PrivateMounts", "link /proc/self/ns/mnt", "its own", "PrivateMounts=no", "{mnt}", TREE + PLACES),
    ("PrivateTmp", "open /tmp/probe", "ENOENT", "PrivateTmp=no", "ok", TREE),
    ("UMask", "status Umask:", "0777", "UMask=0022", "0022", TREE),
    ("PrivateNetwork", "link /proc/self/ns/net", "its own", "PrivateNetwork=no", "{net}", TREE),
    ("IPAddressDeny", "datagram", "EPERM", "IPAddressDeny=", "ok", CALLS + "PrivateNetwork=no"),
    ("RestrictAddressFamilies", "socket", "EAFNOSUPPORT", "RestrictAddressFamilies=", "ok", ""),
    ("SystemCallFilter", "fork", "EPERM", "SystemCallFilter=", "ok", "TasksMax=infinity"),
    ("SystemCallErrorNumber", "fork", "EPERM", "SystemCallErrorNumber=", KILLED, ""),
    ("LockPersonality", "personality", "EPERM", "LockPersonality=no", "ok", "SystemCallFilter="),
    ("MemoryDenyWriteExecute", "writable-code", "an error", "MemoryDenyWriteExecute=no", "ok", ""),
    ("ProtectKernelLogs", "kernel-log", "EPERM", "ProtectKernelLogs=no", "ok", CALLS + ROOT),
    ("ProtectKernelModules", "open /usr/lib/modules/probe", "EACCES", "ProtectKernelModules=no", "ok", TREE),
    ("RestrictNamespaces", "namespace", "EPERM", "RestrictNamespaces=no", "ok", CALLS + ROOT),
    ("RestrictRealtime", "real-time", "EPERM", "RestrictRealtime=no", "EINVAL", "SystemCallFilter="),
    ("MemoryMax", "memory 48", KILLED, "MemoryMax=infinity", "ok", ""),
    ("TasksMax", "fork", "EAGAIN", "TasksMax=infinity", "ok", "SystemCallFilter="),
    ("LimitFSIZE", "write", "EFBIG", "LimitFSIZE=infinity", "ok", "SystemCallFilter="),
    ("OOMScoreAdjust", "contents /proc/self/oom_score_adj", "500", "OOMScoreAdjust=0", "0", TREE),
    ("StandardError", "standard-error", "ok", "StandardError=inherit", "leaked\nok", ""),
]
if platform.machine() == "x86_64":
    PROBES.append(("SystemCallArchitectures", "architecture", KILLED, "SystemCallArchitectures=", "ok",
                   "SystemCallFilter="))


@pytest.fixture(scope="module")
def probed(machine, probe):
    """The machine with the probe instead of the program, and with files that some rows look for."""
    for path in "/dev/probe", "/tmp/probe", "/usr/lib/modules/probe":
        machine.path(path).parent.mkdir(exist_ok=True)
        machine.path(path).write_text("")
    machine.systemctl("start", "ws-echo.socket")  # the start runs ws-echo --check
    with machine.replaced(machine.program, probe):
        yield machine
        machine.systemctl("stop", "ws-echo.socket")


def tried(machine, what):
    """The probe's answer, after it has tried an action."""
    with contextlib.closing(machine.connect()) as connected:
        connected.sendall(what.encode() + b"\n")
        return launch.Peer(connected).rest().decode().strip()


def is_answer(answer, expected, other):
    """If no particular answer is expected, any answer will do except the other one and an error."""
    if expected == "an error":  # which error depends on the version of systemd
        return answer in errno.errorcode.values()
    if expected in ("its own", "some"):
        return answer not in ("", other) and answer not in errno.errorcode.values()
    return answer == expected


@rule("ws-echo(8) SECURITY (9)")
@pytest.mark.parametrize("directive, what, forbidden, without, allowed, lifted", PROBES,
                         ids=[row[0] for row in PROBES])
def test_directive_acts(probed, directive, what, forbidden, without, allowed, lifted):
    """The shipped unit forbids the action; without this directive it is allowed."""
    groups = "/sys/fs/cgroup/unified" if probed.path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup"
    names = {"groups": groups, "mnt": inner(probed, "/proc/1/ns/mnt"),
             "net": inner(probed, "/proc/1/ns/net")}
    what, without, allowed = (string.format(**names) for string in (what, without, allowed))
    others = "".join(f"{line}\n" for line in lifted.split() if not line.startswith(directive + "="))

    answer = tried(probed, what)
    assert not is_answer(answer, allowed, forbidden), answer
    if others:
        with probed.drop_in("ws-echo@.service", "[Service]\n" + others):
            answer = tried(probed, what)
    assert is_answer(answer, forbidden, allowed), answer
    with probed.drop_in("ws-echo@.service", f"[Service]\n{others}{without}\n"):
        answer = tried(probed, what)
        assert is_answer(answer, allowed, forbidden), answer


@rule("ws-echo(8) SECURITY (9)")
def test_every_directive_of_the_sandbox_has_a_probe():
    """Directives without a probe are tested by other tests in this file and in test_systemd.py."""
    elsewhere = {"BindPaths", "Environment", "EnvironmentFile", "ExecStart", "LogLevelMax", "NotifyAccess",
                 "StandardInput", "TimeoutStopSec"}
    unit = (project.TOP / "ws-echo@.service").read_text(encoding="utf-8").partition("[Service]\n")[2]
    directives = set(re.findall(r"^(\w+)=", unit, re.MULTILINE)) - elsewhere
    if platform.machine() != "x86_64":
        directives.discard("SystemCallArchitectures")
    assert directives == {row[0] for row in PROBES}


@rule("ws-echo(8) SECURITY (9)")
@pytest.mark.slow("systemd waits ten seconds")
def test_an_instance_that_does_not_end_after_sigterm_is_killed(probed):
    """Not before the four seconds that ws-echo may take, and much earlier than after systemd's 90 seconds."""
    with contextlib.closing(probed.connect()) as connected:
        peer = launch.Peer(connected)
        peer.send(b"ignore-sigterm\n")
        assert peer.receive(3) == b"ok\n"
        stopped = time.monotonic()
        probed.systemctl("stop", "--no-block", "ws-echo@*")
        assert peer.ended()
        assert time.monotonic() - stopped > 4


def test_the_host_is_not_visible(probed):
    for path in "/etc", "/home", "/root", "/sys", "/tmp", "/var", "/etc/passwd", "/var/log", "/proc/meminfo":
        assert tried(probed, f"open {path}") in ("EACCES", "ENOENT"), path
    for path in "/boot", "/opt", "/srv", "/usr/bin", "/usr/share", "/proc/1/root", "/run/systemd/private":
        assert tried(probed, f"open {path}") in ("EACCES", "ENOENT"), path


def test_nothing_can_be_written(probed):
    """Each instance has a new /run; if it can create files there, LimitFSIZE=0 keeps them empty."""
    for directory in "/", "/dev", "/proc", "/run/systemd/journal", "/tmp", "/usr", "/usr/lib", "/var/tmp":
        assert tried(probed, f"fill {directory}/new") in ("EACCES", "EROFS", "ENOENT"), directory
    assert tried(probed, "fill /run/new") in ("EACCES", "EFBIG")


def test_all_connections_share_one_network_that_is_empty(probed):
    with probed.drop_in("ws-echo@.service", f"[Service]\n{TREE}"):
        networks = {tried(probed, "link /proc/self/ns/net") for _ in range(3)}
        assert len(networks) == 1, networks
        unit = probed.path(f"{UNITDIR}/ws-echo@.service")
        shipped = unit.read_text(encoding="utf-8")
        unit.write_text(re.sub("JoinsNamespaceOf=.*", "", shipped), encoding="utf-8")
        probed.systemctl("daemon-reload")
        try:
            assert tried(probed, "link /proc/self/ns/net") not in networks
        finally:
            unit.write_text(shipped, encoding="utf-8")
            probed.systemctl("daemon-reload")
