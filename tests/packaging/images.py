# SPDX-License-Identifier: MIT
"""Shared by the tests of the container: the image, and containers of it in separate namespaces."""

import contextlib
import json
import os
import pathlib
import subprocess

import launch
import machine as machines
import project
import pytest
from debians import BUILDING, made
from require import require

# The name in the examples. It belongs to no registry (RFC 2606).
PUBLISHED = "registry.example.org/ws-echo:1.1"
NOBODY = 65534  # the user of all processes of the image


def buildah(*arguments):
    """Runs buildah, and returns what it prints."""
    return subprocess.run([require("buildah", "buildah"), *arguments], check=True, capture_output=True, text=True,
                          timeout=BUILDING).stdout


@contextlib.contextmanager
def storage(folder):
    """Names a container storage in a folder to all programs, and removes it at the end."""
    settings = folder / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CONTAINERS_STORAGE_CONF", str(settings))
        environment.setenv("TMPDIR", str(folder))  # buildah leaves temporary files here if it is killed
        try:
            yield
        finally:
            buildah("rm", "--all")
            buildah("rmi", "--all", "--force")


def made_container(**environment):
    """Runs `make container`; returns its output."""
    return made("container", ("buildah", "buildah"), ("musl-gcc", "musl-tools"), **environment)


class Image:
    """The image with this name in the storage, mounted."""

    def __init__(self, name="ws-echo", *options):
        require("unshare", "util-linux")
        self.container = buildah("from", *options, name).strip()
        self.settings = json.loads(buildah("inspect", self.container))["Docker"]
        self.config = self.settings["config"]
        self.root = pathlib.Path(buildah("mount", self.container).strip())

    def command(self, *command):
        """The command line that runs a command in a container of the image."""
        return ["buildah", "run", "--isolation", "chroot", self.container, "--", *command]


def children(process):
    """The process numbers of its children, as seen from outside."""
    of_threads = [task.read_text().split() for task in pathlib.Path(f"/proc/{process}/task").glob("*/children")]
    return [int(number) for numbers in of_threads for number in numbers]


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


class Emulated(Container):
    """The same for an image of another architecture. Each program is started by the emulator, which executes the next."""

    def __init__(self, image, emulator, *options):
        super().__init__(image)
        words = [(emulator, str(image.root) + word) if word.startswith("/bin/") else (word,)
                 for word in image.config["Entrypoint"]]
        self.command_line = [*(part for parts in words for part in parts), *options]


