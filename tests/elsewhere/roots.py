"""Fresh roots of other Debians, and of other architectures, and how to run commands in them.

A command runs in namespaces of its own, which have the mounts that the root needs: nothing is mounted on
the machine itself, and when the command ends, all that it started and mounted is gone.
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
sys.path[:0] = [str(TESTS), str(TESTS / "system")]

import machine
import wire

INSTALLING = 900  # seconds after which what hangs is given up
TESTING = 1800
NAMESPACES = "unshare --pid --mount --uts --ipc --fork --kill-child --propagation private".split()
ATTEMPTS = 3  # at making a root, where a mirror fails
TREE = "ws-echo"  # the folder of the root that has the source
USER = "somebody"
MNT_DETACH = 2
SETTINGS = [
    # What a mirror knows of a suite that changes every day may be old.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=Acquire::Retries "5"',
    # The release alone: its updates are not always there for every architecture.
    "--setup-hook=sed -i '/security\\|updates/d' \"$1/etc/apt/sources.list\"",
    # A root is not kept, so it may be lost with the power.
    "--dpkgopt=force-unsafe-io",
]
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"  # which every installer writes


@contextlib.contextmanager
def fresh(suite, *options):
    """A new root with a copy of the source, which is gone behind the body; `options` are mmdebstrap's."""
    for path in machine.left_over(pathlib.Path("/var/tmp").glob(f"{machine.NAME}-*")):
        shutil.rmtree(path, ignore_errors=True)  # another worker may be at it too
    # Everybody may go there, since the program in it does not run as root.
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
    """For what takes all processors: one worker at a time is in such a body."""
    with open(wire.TOP / "build/elsewhere.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def copy_source(tree):
    """What is under version control or, where the tree is an unpacked archive itself, all but what is built."""
    tree.mkdir()
    archive = tree.with_suffix(".tar.gz")
    subprocess.run([wire.TOP / "packaging/archive", archive], check=True, timeout=wire.LIMIT)
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", tree, "--strip-components=1"], check=True,
                   timeout=wire.LIMIT)


def command(root, *words):
    """The command line that runs another in the source's folder of the root, with the machine's own network."""
    return [*NAMESPACES, sys.executable, __file__, str(root), *map(str, words)]


def environment():
    """That of root who has just logged in, on a machine where nothing may be missing."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
            "CI": "true"}


def give_to_user(root):
    """Gives the source to a user without privileges, who is made for that."""
    run(root, "useradd", "--create-home", USER)
    run(root, "chown", "--recursive", f"{USER}:", f"/{TREE}")


def as_user(*words):
    """The command line that runs another as that user, with a home of his own."""
    return ["runuser", "--user", USER, "--", "env", f"HOME=/home/{USER}", *words]


def run(root, *words, limit=INSTALLING):
    """Runs a command there; returns what it says on standard output and error."""
    result = subprocess.run(command(root, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, env=environment(), timeout=limit, check=False)
    assert result.returncode == 0, result.stdout
    return result.stdout


def inside(root, words):
    """Runs as process 1 of the new namespaces: mounts, starts the command, and waits for it."""
    machine.mount("--bind", root, root)  # so that it can become the root
    machine.mount("-t", "proc", "proc", root / "proc")
    machine.mount("-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    machine.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "dev")
    machine.devices(root / "dev")
    # Not by chroot, in which nobody may make user namespaces.
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "."], check=True)
    if machine.LIBC.umount2(b".", MNT_DETACH) < 0:
        raise OSError(ctypes.get_errno(), "the machine's own root stays mounted")
    child = os.fork()
    if not child:
        os.chdir(f"/{TREE}")
        os.execvp(words[0], words)
    for number in signal.SIGINT, signal.SIGTERM:  # these are the command's
        signal.signal(number, signal.SIG_IGN)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    inside(pathlib.Path(sys.argv[1]), sys.argv[2:])
