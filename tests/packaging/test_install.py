# SPDX-License-Identifier: MIT
"""`make install` and other targets, run by root in the tree of another user, as with sudo."""

import os
import pathlib
import subprocess
import tempfile

import project
import pytest
from debians import BUILDING
from require import require

NOBODY = 65534
QUICK = "CFLAGS=-O0"


@pytest.fixture
def tree():
    """A copy of the source that belongs to another user, in a folder that all users can enter."""
    with tempfile.TemporaryDirectory(prefix="ws-echo-install-") as folder:
        os.chmod(folder, 0o755)
        archive = pathlib.Path(folder) / "archive.tar.gz"
        subprocess.run([project.TOP / "packaging/archive", archive], check=True, timeout=project.LIMIT)
        subprocess.run(["tar", "-xf", archive, "-C", folder], check=True, timeout=project.LIMIT)
        (found,) = pathlib.Path(folder).glob("ws-echo-*")
        for path in [found, *found.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        yield found


def owners(tree):
    return {path.lstat().st_uid for path in [tree, *tree.rglob("*")]}


def made(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                            timeout=BUILDING)
    assert result.returncode == 0, result.stdout
    return result.stdout


def as_root(tree, *targets):
    return made(["make", "-C", tree, QUICK, *targets])


def as_owner(tree, *targets):
    become = [require("setpriv", "util-linux"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return made([*become, "make", "-C", tree, QUICK, *targets])


def test_what_root_builds_belongs_to_the_owner_of_the_tree(tree, tmp_path):
    as_root(tree, "install", f"DESTDIR={tmp_path}")
    as_root(tree, "static", "dist")
    assert owners(tree) == {NOBODY}
    for name in "ws-echo.c", "src/page.html", "VERSION":
        (tree / name).touch()
    as_owner(tree, "ws-echo", "static", "dist")
    as_owner(tree, "clean")


def test_root_builds_nothing_that_is_up_to_date(tree, tmp_path):
    as_owner(tree)
    before = {path: path.stat().st_mtime_ns for path in [tree / "ws-echo", *(tree / "build").iterdir()]}
    said = as_root(tree, "install", f"DESTDIR={tmp_path}")
    assert " -o ws-echo " not in said
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (tmp_path / "usr/local/sbin/ws-echo").read_bytes() == (tree / "ws-echo").read_bytes()


def test_a_package_that_root_builds_can_be_built_again_by_the_owner_of_the_tree(tree, monkeypatch):
    require("rpmbuild", "rpm")
    (tree.parent / ".rpmmacros").write_text("%_without_check 1\n")  # who builds it does not matter to the tests in %check
    monkeypatch.setenv("HOME", str(tree.parent))
    as_root(tree, "rpm")
    assert owners(tree) == {NOBODY}
    as_owner(tree, "rpm")
