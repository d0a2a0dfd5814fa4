"""The container: built by `make container`, and run with buildah in separate namespaces."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
import framing
import heads
import launch
import project
from debians import BUILDING, echoes, leave, made
from launch import Peer

import machine as machines
from require import require

NOBODY = 65534
SIZE_MAX = 2 << 20  # bytes


def children(process):
    """The process numbers of its children, as seen from outside."""
    of_threads = [task.read_text().split() for task in pathlib.Path(f"/proc/{process}/task").glob("*/children")]
    return [int(number) for numbers in of_threads for number in numbers]


class Image:
    """The image `ws-echo` in the container storage that the environment names."""

    def __init__(self):
        require("unshare", "util-linux")
        made("container", ("buildah", "buildah"), ("musl-gcc", "musl-tools"))
        self.container = self.buildah("from", "ws-echo").strip()
        self.config = json.loads(self.buildah("inspect", self.container))["Docker"]["config"]
        self.root = pathlib.Path(self.buildah("mount", self.container).strip())

    @staticmethod
    def buildah(*arguments):
        return subprocess.run(["buildah", *arguments], check=True, capture_output=True, text=True,
                              timeout=BUILDING).stdout

    def command(self, *command):
        return ["buildah", "run", "--isolation", "chroot", self.container, "--", *command]

    def remove(self):
        self.buildah("rm", "--all")
        self.buildah("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("storage")
    settings = folder / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CONTAINERS_STORAGE_CONF", str(settings))
        environment.setenv("TMPDIR", str(folder))  # buildah leaves temporary files here if it is killed
        built = Image()
        yield built
        built.remove()


NAMESPACES = "unshare --net --pid --mount --mount-proc --fork --kill-child".split()


class Container(machines.Machine):
    """The image's entry point with these options, in its own network, PID and mount namespaces."""

    def __init__(self, image, *options):
        self.image = image
        self.command_line = image.command(*image.config["Entrypoint"], *options)

    def __enter__(self):
        script = 'ip link set lo up && "$@"'
        self.outer = subprocess.Popen([*NAMESPACES, "sh", "-c", script, "sh", *self.command_line], text=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        def serves():
            assert self.outer.poll() is None, self.outer.stdout.read()
            self.leader = next(iter(children(self.outer.pid)), None)
            return self.leader and 8888 in self.listening()

        launch.wait_until(serves, "the container serves")
        return self

    def __exit__(self, *_):
        self.outer.kill()
        self.outer.wait(project.LIMIT)
        self.outer.stdout.close()

    def processes(self, name):
        """The process numbers, as seen from outside."""
        found, waiting = [], [self.leader]
        while waiting:
            process = waiting.pop()
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                waiting += children(process)
                if pathlib.Path(f"/proc/{process}/comm").read_text().strip() == name:
                    found.append(process)
        return found

    def command(self, *command):
        """The command line that runs a second command in the same container."""
        return [*f"nsenter --target {self.leader} --net --pid --mount".split(), *self.image.command(*command)]


def test_it_is_small_and_has_nothing_but_static_programs(image):
    files = [path for path in image.root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < SIZE_MAX
    programs = {path for path in files if os.access(path, os.X_OK)}
    assert {path.relative_to(image.root).as_posix() for path in programs} == {"bin/tcpsvd", "bin/ws-echo"}
    for path in programs:
        headers = subprocess.run([require("readelf", "binutils"), "-lW", path], capture_output=True, text=True,
                                 check=True)
        assert "INTERP" not in headers.stdout, path
    others = {path.relative_to(image.root).parts[0] for path in set(files) - programs}
    assert others == {"usr"}, "the licences"
    (size,) = json.loads(image.buildah("images", "--json", "ws-echo:latest"))
    assert "MB" not in size["size"] or float(size["size"].split()[0]) < SIZE_MAX / 1e6


def test_it_serves_ipv6_and_ipv4_as_nobody(image):
    with Container(image) as container:
        for host in "127.0.0.1", "::1":
            peer = Peer(container.connect(host)).open()
            echoes(peer)
            for name in "tcpsvd", "ws-echo":
                found = container.processes(name)
                assert found, name
                for process in found:
                    status = pathlib.Path(f"/proc/{process}/status").read_text()
                    for line in f"Uid:{f'	{NOBODY}' * 4}", f"Gid:{f'	{NOBODY}' * 4}", "CapEff:\t0000000000000000":
                        assert line in status, (name, line, status)
            leave(peer)


def test_its_log_has_a_line_for_each_connection(image):
    with Container(image) as container:
        peer = Peer(container.connect()).open()
        port = peer.socket.getsockname()[1]
        leave(peer)
        line = next(line for line in container.outer.stdout if "status=101" in line)
        assert f"peer=127.0.0.1:{port} " in line


def test_options_come_after_the_name_of_the_image(image):
    with Container(image, "--path=/echo") as container:
        peer = Peer(container.connect())
        peer.send(heads.head(path="/echo"))
        assert peer.receive(len(heads.switching())) == heads.switching()
        leave(peer)


def test_the_lab_acts_in_the_container(image):
    with Container(image, "--lab=/lab") as container:
        peer = Peer(container.connect()).open(path="/lab?delay=0.01&hello=hi&slice=100&count=1&close=reset")
        assert peer.receive(4) == framing.reply(framing.TEXT, b"hi")
        peer.send(framing.text("Hello"))
        assert peer.receive(len(framing.echo("Hello"))) == framing.echo("Hello")
        with pytest.raises(ConnectionResetError):
            peer.rest()
        peer.close()


def test_one_address_gets_no_more_than_its_share_which_is_that_of_the_socket_unit(image):
    unit = (project.TOP / "ws-echo.socket").read_text(encoding="utf-8")
    for option, limit in ("-c", "MaxConnections"), ("-C", "MaxConnectionsPerSource"):
        (value,) = re.findall(rf"^{limit}=(.*)$", unit, re.M)
        assert f"{option} {value} " in " ".join(image.config["Entrypoint"])
    share = int(value)
    with Container(image) as container:
        peers = [Peer(container.connect()).open() for _ in range(share)]
        refused = Peer(container.connect())
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            refused.send(heads.head())
            assert refused.ended()
        refused.close()
        other = Peer(container.connect("::1")).open()
        for peer in [*peers, other]:
            leave(peer)


def test_it_is_healthy_while_it_serves(image):
    kind, *check = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    with Container(image) as container:
        assert container.run(*check, check=False).returncode == 0
    nothing = subprocess.run([*NAMESPACES, *image.command(*check)], capture_output=True, check=False,
                             timeout=project.LIMIT)
    assert nothing.returncode == 1, nothing


def test_it_ends_when_it_is_told_to(image):
    """A container engine runs it as process 1, which signals without a handler do not end."""
    alone = [*NAMESPACES, "chroot", f"--userspec={NOBODY}:{NOBODY}", image.root, *image.config["Entrypoint"]]
    with subprocess.Popen(alone, stdin=subprocess.DEVNULL) as outer:
        try:
            def listens():
                (first,) = children(outer.pid) or [None]
                return first and ":22B8 " in pathlib.Path(f"/proc/{first}/net/tcp6").read_text()

            launch.wait_until(listens, "it listens")
            os.kill(children(outer.pid)[0], signal.SIGTERM)
            outer.wait(project.LIMIT)
        finally:
            for first in children(outer.pid) if outer.poll() is None else []:
                os.kill(first, signal.SIGKILL)  # --kill-child has no effect after a change of user
            outer.kill()
