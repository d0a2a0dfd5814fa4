# SPDX-License-Identifier: MIT
"""Boots a real systemd as PID 1 of private namespaces, on an overlay of this machine's root or of another root.

The inner system sees the machine's files and cannot change them: its writes go to a file system in
memory. All mounts are in its own mount namespace and all processes in its own PID namespace, so both
disappear with its first process, even if a test run is killed. Only its control groups are created
outside; they are removed at the end, or by the next run.

Needs root, and the commands of util-linux, iproute2 and systemd. The outer machine need not run systemd.
"""

import contextlib
import ctypes
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import launch
import project

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000

HIERARCHIES = pathlib.Path("/sys/fs/cgroup")
UNITDIR = "/usr/local/lib/systemd/system"  # where `make install` installs units
NAME = "ws-echo-test"  # the name, followed by the process number, of everything created outside

# Units that would change the outer machine (kernel settings, modules, clocks), or only take time.
MASKED = """
    systemd-sysctl.service systemd-modules-load.service modprobe@.service systemd-timesyncd.service
    systemd-update-utmp.service systemd-firstboot.service systemd-random-seed.service
    systemd-binfmt.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount
    sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount
    proc-sys-fs-binfmt_misc.automount timers.target
""".split()


def hands_down(group, controller):
    """Whether groups below this version 2 group can use a controller."""
    handed_down = group / "cgroup.subtree_control"
    return handed_down.exists() and controller in handed_down.read_text(encoding="ascii").split()


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def hierarchies():
    """The control group hierarchies: (controllers, path of this process in the hierarchy)."""
    lines = pathlib.Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    return [tuple(line.split(":", 2)[1:]) for line in lines]


def hierarchy_root(controllers):
    """The mount point of a hierarchy: version 2 alone is at the top, beside version 1 in `unified`."""
    if controllers:
        return HIERARCHIES / controllers.removeprefix("name=")
    return HIERARCHIES / "unified" if (HIERARCHIES / "unified").is_dir() else HIERARCHIES


def inside(directory, lower, unified):
    """Runs as PID 1 of the new namespaces: prepares the root file system, then executes systemd."""
    root = pathlib.Path(directory)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root)
    for name in "upper", "work", "root":
        (root / name).mkdir()
    layers = f"lowerdir={lower},upperdir={root}/upper,workdir={root}/work"
    root = root / "root"
    mount("-t", "overlay", "-o", layers, "overlay", root)
    mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", root / "proc")
    # Writable, they would let the inner system change kernel settings of the outer machine.
    mount("--bind", "-o", "ro", root / "proc/sys", root / "proc/sys")
    mount("-t", "sysfs", "-o", "nosuid,nodev,noexec", "sysfs", root / "sys")
    mount("-t", "tmpfs", "-o", "mode=755,nosuid,nodev", "tmpfs", root / "run")
    mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", root / "tmp")
    mount("-t", "tmpfs", "-o", "mode=755,nosuid", "tmpfs", root / "dev")
    devices(root / "dev")

    groups = root / "sys/fs/cgroup"
    found = [controllers for controllers, _ in hierarchies()]
    if unified or found == [""]:
        mount("-t", "cgroup2", "-o", "nosuid,nodev,noexec", "cgroup2", groups)
    else:
        mount("-t", "tmpfs", "-o", "mode=755,nosuid,nodev,noexec", "tmpfs", groups)
        for controllers in found:
            place = groups / (controllers.removeprefix("name=") or "unified")
            place.mkdir()
            if controllers:
                named = "none," if controllers.startswith("name=") else ""
                mount("-t", "cgroup", "-o", named + controllers, "cgroup", place)
            else:
                mount("-t", "cgroup2", "cgroup2", place)

    settings(root / "etc")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.chdir(root)
    (root / "outside").mkdir()
    subprocess.run(["pivot_root", ".", "outside"], check=True)
    subprocess.run(["umount", "-l", "/outside"], check=True)
    os.rmdir("/outside")
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "container": NAME}
    os.execve("/lib/systemd/systemd", ["systemd", "--system", "systemd.unit=basic.target"], environment)


def devices(directory):
    for name, mode in ("pts", "newinstance,ptmxmode=0666,mode=620,gid=5"), ("shm", "mode=1777,nosuid,nodev"):
        (directory / name).mkdir()
        mount("-t", {"pts": "devpts", "shm": "tmpfs"}[name], "-o", mode, name, directory / name)
    for name, target in {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1",
                         "stderr": "fd/2"}.items():
        (directory / name).symlink_to(target)
    umask = os.umask(0)
    for name, number in {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
                         "tty": (5, 0)}.items():
        os.mknod(directory / name, 0o20666, os.makedev(*number))
    os.umask(umask)


def settings(etc):
    for name in "fstab", "machine-id":  # systemd fills an empty machine-id with a new one
        (etc / name).unlink(missing_ok=True)
        (etc / name).touch()
    for name in MASKED:
        (etc / "systemd/system" / name).unlink(missing_ok=True)
        (etc / "systemd/system" / name).symlink_to("/dev/null")
    journal = etc / "systemd/journald.conf.d"
    journal.mkdir(parents=True, exist_ok=True)
    # In memory, and without a rate limit: the tests log more lines at a time than ordinary use.
    (journal / "ws-echo-test.conf").write_text("[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n")


class Machine:
    """`with Machine() as machine:` boots a systemd that has only the loopback interface.

    `lower` is the root below the overlay: this machine's, or a directory with another Debian. With version 1
    control groups beside version 2 (`unified=False`), limits take effect even if the outer machine has bound
    the controllers to version 1; `unified=True` is closest to a current machine.
    """

    def __init__(self, unified=False, lower="/"):
        self.unified = unified
        self.lower = lower
        self.groups = []
        self.outer = None
        self.leader = None

    def __enter__(self):
        from require import require  # not at the top: process 1 also imports this module, without pytest

        for command, package in {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2",
                                 "systemctl": "systemd"}.items():
            require(command, package)
        self.remove_groups(groups_left_over())
        for directory in left_over(pathlib.Path(tempfile.gettempdir()).glob(f"{NAME}-*")):
            shutil.rmtree(directory, ignore_errors=True)  # another run may remove it at the same time
        self.directory = tempfile.mkdtemp(prefix=f"{NAME}-{os.getpid()}-")
        self.console = open(pathlib.Path(self.directory) / "console", "wb+")
        try:
            self.make_groups()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        inner = [sys.executable, __file__, self.directory, self.lower, "unified" if self.unified else ""]
        flags = "--pid --mount --net --uts --ipc --cgroup --fork --kill-child --propagation private".split()
        self.outer = subprocess.Popen(["unshare", *flags, *inner], preexec_fn=self.enter_groups,
                                      stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console)
        children = pathlib.Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")

        def ready():
            assert self.outer.poll() is None, self.said()
            self.leader = int((children.read_text(encoding="ascii").split() or [0])[0])
            return self.leader and self.accepts("/run/systemd/private")

        launch.wait_until(ready, "systemd starts")
        # "degraded" is no failure: some units of the outer machine cannot run here.
        state = self.run("systemctl", "is-system-running", "--wait", check=False)
        assert state.stdout.strip() in ("running", "degraded"), (state, self.said())

    def __exit__(self, *_):
        if self.leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)  # ends all processes of the namespace
        if self.outer:
            self.outer.kill()
            self.outer.wait(project.LIMIT)
        self.remove_groups(self.groups)
        self.console.close()
        os.unlink(self.console.name)
        os.rmdir(self.directory)

    def said(self):
        self.console.seek(0)
        return self.console.read().decode(errors="replace")

    # Control groups

    def make_groups(self):
        for controllers, here in hierarchies():
            if self.unified and controllers:
                continue
            parent = hierarchy_root(controllers) / here.lstrip("/")
            if not controllers:
                above = [parent, *parent.parents]
                parent = next((group for group in above if hands_down(group, "memory")), parent)
            group = parent / f"{NAME}-{os.getpid()}-{id(self)}"
            group.mkdir()
            self.groups.append(group)
            if controllers == "cpuset":  # a new cpuset has no processors, so no process can enter it
                for name in "cpuset.cpus", "cpuset.mems":
                    (group / name).write_text((parent / name).read_text())
                (group / "cgroup.clone_children").write_text("1")

    def enter_groups(self):
        """Runs in the new process before it becomes unshare(1)."""
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        for group in self.groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    @staticmethod
    def remove_groups(groups):
        def removed(group):
            for directory, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(directory)
                except FileNotFoundError:
                    pass
                except OSError as error:
                    if error.errno != errno.EBUSY:  # its last process is just ending
                        raise
                    return False
            return True

        for group in groups:
            launch.wait_until(lambda: removed(group), f"{group} is empty")

    # Interface for tests

    def path(self, inside_path):
        """The path of an inner file as seen from outside (follows no absolute symbolic link)."""
        return pathlib.Path(f"/proc/{self.leader}/root{inside_path}")

    def command(self, *command):
        """The command line that runs `command` in the machine."""
        enter = f"nsenter --target {self.leader} --mount --pid --net --uts --ipc --cgroup --".split()
        return [*enter, *map(str, command)]

    def run(self, *command, check=True, timeout=project.LIMIT, **more):
        result = subprocess.run(self.command(*command), capture_output=True, text=True, timeout=timeout,
                                check=False, **more)
        assert result.returncode == 0 or not check, result
        return result

    def systemctl(self, *arguments, **more):
        return self.run("systemctl", "--no-pager", *arguments, **more)

    def show(self, unit, *properties):
        """Properties of a unit, one or a list."""
        lines = self.systemctl("show", unit, *(f"--property={name}" for name in properties)).stdout
        values = dict(line.split("=", 1) for line in lines.splitlines())
        return values[properties[0]] if len(properties) == 1 else [values[name] for name in properties]

    def units(self, pattern, *states):
        """Names of the loaded units that match, in any state or in one of the given states."""
        wanted = [f"--state={','.join(states)}"] if states else []
        listed = self.systemctl("list-units", "--all", "--plain", "--no-legend", "--full", *wanted, pattern)
        return [line.split()[0] for line in listed.stdout.splitlines()]

    @contextlib.contextmanager
    def network(self):
        """Sockets that the body creates belong to the inner network."""
        with open("/proc/self/ns/net", "rb") as ours, open(f"/proc/{self.leader}/ns/net", "rb") as theirs:
            set_network(theirs)
            try:
                yield
            finally:
                set_network(ours)

    def connect(self, host="127.0.0.1", port=8888, source=None):
        with self.network():
            made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        made.settimeout(project.LIMIT)
        if source:
            made.bind((source, 0))
        made.connect((host, port))
        return made

    def listening(self):
        """The TCP ports on which inner processes listen, IPv4 and IPv6."""
        found = set()
        for table in "tcp", "tcp6":
            lines = pathlib.Path(f"/proc/{self.leader}/net/{table}").read_text(encoding="ascii").splitlines()
            for line in lines[1:]:
                _, local, _, state = line.split()[:4]
                if state == "0A":
                    found.add(int(local.rsplit(":", 1)[1], 16))
        return found

    def accepts(self, inside_path):
        """Whether a process listens at a Unix socket, which is there a moment before that."""
        with socket.socket(socket.AF_UNIX) as made:
            try:
                made.connect(str(self.path(inside_path)))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True

    def processes(self, name):
        """The inner process numbers of all processes with this name."""
        found = []
        for directory in self.path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                stat = (directory / "stat").read_text(encoding="utf-8")
                if stat[stat.index("(") + 1:stat.rindex(")")] == name and stat[stat.rindex(")") + 2] != "Z":
                    found.append(int(directory.name))
        return found

    def cursor(self):
        """The current end of the journal."""
        self.run("journalctl", "--sync")
        lines = self.run("journalctl", "--quiet", "--lines=0", "--show-cursor").stdout.splitlines()
        return lines[-1].removeprefix("-- cursor: ")

    def journal(self, cursor, **matches):
        """The journal's entries after `cursor` with these fields, as dictionaries."""
        self.run("journalctl", "--sync")
        # Filters here, because with --after-cursor and a match journalctl skips the first matching entry.
        lines = self.run("journalctl", "--quiet", "--all", "--output=json", f"--after-cursor={cursor}").stdout
        return [entry for entry in map(json.loads, lines.splitlines()) if matches.items() <= entry.items()]

    @contextlib.contextmanager
    def drop_in(self, unit, text, name="zz-test"):
        """Adds these lines to a unit, in a drop-in, during the body."""
        path = self.path(f"/run/systemd/system/{unit}.d/{name}.conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.systemctl("daemon-reload")
        try:
            yield
        finally:
            path.unlink()
            self.systemctl("daemon-reload")

    @contextlib.contextmanager
    def replaced(self, path, data):
        """Replaces a program during the body as install(1) and dpkg do: by a new file of the same name."""
        here = self.path(path)
        kept = here.with_name(here.name + ".kept")
        here.rename(kept)
        try:
            here.write_bytes(data)
            here.chmod(0o755)
            yield
        finally:
            kept.rename(here)

    def install(self):
        """Runs `make install` as an administrator does after `make`."""
        subprocess.run(["make", "--directory", project.TOP, "install", f"DESTDIR={self.path('')}"], check=True,
                       capture_output=True)
        self.systemctl("daemon-reload")

    @property
    def program(self):
        """The path of the installed program, from the unit."""
        unit = self.path(f"{UNITDIR}/ws-echo@.service").read_text(encoding="utf-8")
        return re.search(r"^ExecStart=(\S+)", unit, re.MULTILINE)[1]


def set_network(namespace):
    if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def left_over(paths):
    """The paths that belong to test runs which were killed and so did not remove them."""
    return [path for path in paths if not pathlib.Path("/proc", path.name.split("-")[3]).exists()]


def groups_left_over():
    """Control groups of killed test runs. Those of other runs may disappear meanwhile; os.walk ignores that."""
    found = [pathlib.Path(directory, name) for controllers, _ in hierarchies()
             for directory, names, _ in os.walk(hierarchy_root(controllers)) for name in names]
    return left_over(group for group in found if group.name.startswith(f"{NAME}-"))


if __name__ == "__main__":
    inside(sys.argv[1], sys.argv[2], unified=bool(sys.argv[3]))
