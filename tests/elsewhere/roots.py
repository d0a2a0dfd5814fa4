# SPDX-License-Identifier: MIT
"""Makes fresh root directories of other Debian releases and architectures, and runs commands in them.

Each command runs in its own namespaces with the mounts that the root needs. Nothing is mounted in the machine's own
namespace, and all mounts and processes disappear when the command ends.
"""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "lib"), str(TESTS / "system")]

import machine
import project

INSTALLING = 900  # seconds until a hanging installation is given up
TESTING = 1800
NAMESPACES = "unshare --pid --mount --uts --ipc --fork --kill-child --propagation private".split()
ATTEMPTS = 3  # at making a root, in case a mirror fails
TREE = "ws-echo"  # the folder with the source in the root
USER = "somebody"
MNT_DETACH = 2
SETTINGS = [
    # A mirror may have an outdated index of a suite that changes every day.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=Acquire::Retries "5"',
    # Only the release: its updates do not always exist for every architecture.
    "--setup-hook=sed -i '/security\\|updates/d' \"$1/etc/apt/sources.list\"",
    # A root is temporary, so dpkg need not sync it to disk.
    "--dpkgopt=force-unsafe-io",
]
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"  # Debian's installer writes these lines, mmdebstrap does not


@contextlib.contextmanager
def fresh(suite, *options):
    """A new root with a copy of the source, removed after the body; `options` are those of mmdebstrap."""
    for path in machine.left_over(pathlib.Path("/var/tmp").glob(f"{machine.NAME}-*")):
        shutil.rmtree(path, ignore_errors=True)  # another worker may remove it at the same time
    # All users may enter it, because the program in it does not run as root.
    with tempfile.TemporaryDirectory(prefix=f"{machine.NAME}-{os.getpid()}-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        for attempt in range(ATTEMPTS):
            root = pathlib.Path(folder) / f"{suite}-{attempt}"
            made = subprocess.run([*NAMESPACES, "--mount-proc", "mmdebstrap", "--quiet", "--mode=root", *SETTINGS,
                                   *options, suite, root], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=INSTALLING, check=False)
            if made.returncode == 0:
                break
        else:
            raise RuntimeError(f"mmdebstrap: {made.stdout}")
        (root / "etc/hosts").write_text(HOSTS, encoding="ascii")
        copy_source(root / TREE)
        yield root


@contextlib.contextmanager
def alone():
    """A lock for tasks that use all processors: one worker at a time is in such a body."""
    with open(project.TOP / "build/elsewhere.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def copy_source(tree):
    """Copies the files under version control or, if the tree is an unpacked archive, all except built files."""
    tree.mkdir()
    archive = tree.with_suffix(".tar.gz")
    subprocess.run([project.TOP / "packaging/archive", archive], check=True, timeout=project.LIMIT)
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", tree, "--strip-components=1"], check=True,
                   timeout=project.LIMIT)


def command(root, *words):
    """The command line that runs a command in the source folder of the root, with the machine's network."""
    return [*NAMESPACES, sys.executable, __file__, str(root), *map(str, words)]


def environment():
    """The environment of a login of root, with CI=true."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
            "CI": "true"}


def give_to_user(root):
    """Creates a user without privileges and gives him the source."""
    run(root, "useradd", "--create-home", USER)
    run(root, "chown", "--recursive", f"{USER}:", f"/{TREE}")


def as_user(*words):
    """The command line that runs a command as that user, with a home folder."""
    return ["runuser", "--user", USER, "--", "env", f"HOME=/home/{USER}", *words]


def run(root, *words, limit=INSTALLING):
    """Runs a command in the root; returns its output and errors."""
    result = subprocess.run(command(root, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, env=environment(), timeout=limit, check=False)
    assert result.returncode == 0, result.stdout
    return result.stdout


def inside(root, words):
    """Runs as process 1 of the new namespaces: mounts, starts the command, and waits for it."""
    machine.mount("--bind", root, root)  # pivot_root needs a mount point
    machine.mount("-t", "proc", "proc", root / "proc")
    machine.mount("-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    machine.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "dev")
    machine.devices(root / "dev")
    # pivot_root instead of chroot, in which user namespaces cannot be created.
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "."], check=True)
    if machine.LIBC.umount2(b".", MNT_DETACH) < 0:
        raise OSError(ctypes.get_errno(), "the machine's own root stays mounted")
    child = os.fork()
    if not child:
        os.chdir(f"/{TREE}")
        os.execvp(words[0], words)
    for number in signal.SIGINT, signal.SIGTERM:  # meant for the command
        signal.signal(number, signal.SIG_IGN)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    inside(pathlib.Path(sys.argv[1]), sys.argv[2:])
