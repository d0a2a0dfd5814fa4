# SPDX-License-Identifier: MIT
"""The container: built by `make container`, and run with buildah in separate namespaces."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import framing
import heads
import images
import launch
import project
import pytest
from debians import ADDRESS, HOME, echoes, leave, made
from images import NAMESPACES, NOBODY, Container, Emulated, Image, children
from launch import Peer
from require import require

SIZE_MAX = 2 << 20  # bytes
PROGRAMS = {"bin/container-init", "bin/tcpsvd", "bin/ws-echo"}
LABEL = "org.opencontainers.image."


def has_nothing_but_small_static_programs(image):
    files = [path for path in image.root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < SIZE_MAX
    programs = {path for path in files if os.access(path, os.X_OK)}
    assert {path.relative_to(image.root).as_posix() for path in programs} == PROGRAMS
    for path in programs:
        headers = subprocess.run([require("readelf", "binutils"), "-lW", path], capture_output=True, text=True,
                                 check=True)
        assert "INTERP" not in headers.stdout, path
    others = {path.relative_to(image.root).parts[:3] for path in set(files) - programs}
    assert others == {("usr", "share", "doc"), ("usr", "share", "licenses")}


def test_it_is_small_and_has_nothing_but_static_programs(image):
    has_nothing_but_small_static_programs(image)
    (size,) = json.loads(images.buildah("images", "--json", "ws-echo:latest"))
    assert "MB" not in size["size"] or float(size["size"].split()[0]) < SIZE_MAX / 1e6


def labels(image):
    """The labels that OCI defines, without what their names begin with."""
    found = {name.removeprefix(LABEL): text for name, text in image.config["Labels"].items() if name.startswith(LABEL)}
    assert found.keys() | {"io.buildah.version"} == {name.removeprefix(LABEL) for name in image.config["Labels"]}
    return found


def test_its_labels_say_what_it_is(image):
    said = labels(image)
    version = subprocess.run([project.TOP / "packaging/version"], check=True, capture_output=True, text=True).stdout.strip()
    assert said["title"] == "ws-echo" and said["version"] == version
    control = (project.TOP / "packaging/debian/control").read_text(encoding="utf-8")
    assert f"\nDescription: {said['description']}\n" in control
    head = subprocess.run([require("git", "git"), "-c", "safe.directory=*", "rev-parse", "HEAD"], cwd=project.TOP, check=True,
                          capture_output=True, text=True).stdout.strip()
    assert said["revision"] == head


def test_its_label_of_licences_has_that_of_each_part(image):
    parts = {path.name for path in (image.root / "usr/share/licenses").iterdir()}
    assert parts == {"ws-echo", "busybox", "musl", "nettle", "zlib"}
    assert labels(image)["licenses"] == "MIT AND GPL-2.0-only AND (LGPL-3.0-or-later OR GPL-2.0-or-later) AND Zlib"


def test_its_documentation_is_in_it_where_the_label_says_so(image):
    place = labels(image)["documentation"]
    assert place.startswith("file:///")
    text = (image.root / place.removeprefix("file:///")).read_text(encoding="utf-8")
    assert text == (project.TOP / "man/ws-echo.8.md").read_text(encoding="utf-8")


def test_its_labels_say_who_publishes_it(tmp_path):
    archive = tmp_path / "archive.tar.gz"
    subprocess.run([project.TOP / "packaging/archive", archive], check=True, timeout=project.LIMIT)
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True, timeout=project.LIMIT)
    (tree,) = tmp_path.glob("ws-echo-*")
    (tree / "packaging/publisher").write_text(f"address={ADDRESS}\nhome={HOME}\n", encoding="utf-8")
    built = project.TOP / "build/container" / subprocess.run(["dpkg", "--print-architecture"], check=True, text=True,
                                                             capture_output=True).stdout.strip()
    folder = tree / "build/container" / built.name
    folder.mkdir(parents=True)
    for name in "busybox", "busybox.license":
        shutil.copy(built / name, folder)
    with images.storage(tmp_path):
        made("container", tree=tree)
        said = labels(Image())
        assert (said["authors"], said["url"], said["documentation"]) == (ADDRESS, HOME, HOME)
        assert re.fullmatch("[0-9a-f]{12}", said["revision"]), "what the version of the archive has of it"


def test_it_serves_ipv6_and_ipv4_as_nobody(image):
    with Container(image) as container:
        for host in "127.0.0.1", "::1":
            peer = Peer(container.connect(host)).open()
            echoes(peer)
            for name in "container-init", "tcpsvd", "ws-echo":
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


@contextlib.contextmanager
def alone(image, *command):
    """Runs a command of the image as process 1, as a container engine does; gives the engine's end and process 1."""
    enter = [*NAMESPACES, "sh", "-c", f'ip link set lo up && exec chroot --userspec={NOBODY}:{NOBODY} "$@"', "sh", image.root]
    with subprocess.Popen([*enter, *command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as outer:
        try:
            yield outer
        finally:
            for first in children(outer.pid) if outer.poll() is None else []:
                os.kill(first, signal.SIGKILL)  # --kill-child has no effect after a change of user
            outer.kill()


class Alone(Container):
    """The image's entry point as process 1 of namespaces."""

    def __enter__(self):
        self.running = alone(self.image, *self.image.config["Entrypoint"])
        self.outer = self.running.__enter__()

        def serves():
            assert self.outer.poll() is None, self.outer.stderr.read()
            self.leader = next(iter(children(self.outer.pid)), None)
            return self.leader and 8888 in self.listening()

        launch.wait_until(serves, "it listens")
        return self

    def __exit__(self, *error):
        self.running.__exit__(*error)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_it_closes_its_connections_with_1001_when_it_is_told_to_end(image, number):
    """A process 1 gets no signal without a handler, and the kernel kills all others when it ends."""
    with Alone(image) as container:
        peers = [Peer(container.connect(host)).open() for host in ("127.0.0.1", "::1")]
        for peer in peers:
            echoes(peer)
        os.kill(container.leader, number)
        for peer in peers:
            assert framing.close_code(peer.answer_close()) == 1001
            peer.close()
        assert container.outer.wait(project.LIMIT) == 0


def test_it_does_not_wait_for_a_peer_that_answers_nothing(image):
    with Alone(image) as container:
        peer = Peer(container.connect()).open()
        os.kill(container.leader, signal.SIGTERM)
        assert container.outer.wait(project.LIMIT) == 0
        peer.close()


def test_if_its_launcher_is_killed_it_closes_its_connections_and_ends_with_a_status_of_its_own(image):
    """So that an engine starts it again, rather than that it stays without a port."""
    with Alone(image) as container:
        peer = Peer(container.connect()).open()
        (launcher,) = container.processes("tcpsvd")
        os.kill(launcher, signal.SIGKILL)
        assert framing.close_code(peer.answer_close()) == 1001
        peer.close()
        assert container.outer.wait(project.LIMIT) == 128 + signal.SIGKILL


@pytest.mark.parametrize("command, status, said", [
    (["/bin/nothing"], 127, "container-init: /bin/nothing: No such file or directory\n"),
    (["/bin/ws-echo", "--version"], 0, ""),
    (["/bin/ws-echo", "--path=x"], 64, "--path=x"),
    ([], 1, "usage: container-init LAUNCHER [ARGUMENT...]\n"),
])
def test_it_ends_with_the_status_of_what_it_starts(image, command, status, said):
    with alone(image, "/bin/container-init", *command) as outer:
        assert outer.wait(project.LIMIT) == status
        assert said in outer.stderr.read()


# Another architecture


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """The image for ARM64, from the list that `make container` makes."""
    require("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")
    with images.storage(tmp_path_factory.mktemp("storage")):
        images.made_container(ARCHITECTURES="amd64 arm64")
        yield Image("ws-echo", "--arch", "arm64")


def test_a_list_has_an_image_for_each_architecture(foreign):
    listed = json.loads(images.buildah("manifest", "inspect", "localhost/ws-echo"))["manifests"]
    assert [entry["platform"]["architecture"] for entry in listed] == ["amd64", "arm64"]
    assert foreign.settings["architecture"] == "arm64"


def test_the_image_for_arm64_has_nothing_but_small_static_programs_for_it(foreign):
    has_nothing_but_small_static_programs(foreign)
    for name in PROGRAMS:
        said = subprocess.run([require("readelf", "binutils"), "-h", foreign.root / name], check=True, capture_output=True,
                              text=True).stdout
        assert re.search(r"Machine: +AArch64$", said, re.M), name


def test_the_image_for_arm64_is_the_same_otherwise(foreign, image):
    assert {**foreign.config, "Hostname": None} == {**image.config, "Hostname": None}

    def others(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*")
                if path.is_file() and path.relative_to(root).parts[0] == "usr"}  # buildah adds others when it runs one

    ours, theirs = others(image.root), others(foreign.root)
    assert ours.keys() == theirs.keys() and len(ours) > 5


def test_the_image_for_arm64_serves(foreign):
    """In an emulator, which has no seccomp; wget, the health check, as well."""
    emulator = require("qemu-aarch64", "qemu-user")
    with Emulated(foreign, emulator, "--prefix=", "--path=any") as container:
        peer = Peer(container.connect("::1")).open(path="/other")
        echoes(peer, prefix=b"")
        check = [emulator, str(foreign.root) + foreign.config["Healthcheck"]["Test"][1],
                 *foreign.config["Healthcheck"]["Test"][2:]]
        enter = f"nsenter --target {container.leader} --net".split()
        assert subprocess.run([*enter, *check], check=False, timeout=project.LIMIT).returncode == 0
        leave(peer)


@pytest.mark.parametrize("architectures, status", [("mips", 64), ("arm64 mips", 64)])
def test_an_architecture_without_an_image_is_refused(architectures, status):
    result = subprocess.run([project.TOP / "packaging/make-container", *architectures.split()], capture_output=True, text=True,
                            check=False, timeout=project.LIMIT)
    assert (result.returncode, result.stdout) == (status, "")
    assert result.stderr == "make container: no image for mips, only for amd64 and arm64\n"
