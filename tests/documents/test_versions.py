# SPDX-License-Identifier: MIT
"""The version of a build, and that all files name the same last release."""

import os
import re
import shutil
import subprocess

import framing
import project
import pytest
from require import require

RELEASE = re.search(r"^VERSION = (\S+)$", (project.TOP / "Makefile").read_text(), re.M)[1]
MONTHS = "January February March April May June July August September October November December".split()


def said(*command, cwd=project.TOP, **environment):
    """The standard output of a command, without the last line feed."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True, timeout=project.LIMIT,
                          env={**os.environ, **environment}).stdout.rstrip("\n")


def first(pattern, path):
    """The first match of a pattern in a file."""
    found = re.search(pattern, (project.TOP / path).read_text(), re.M)
    assert found, f"{path} has no {pattern}"
    return found[1]


def test_the_program_says_the_version_that_was_built():
    assert said(project.TOP / "ws-echo", "--version") + "\n" == f"ws-echo {(project.TOP / 'build/version').read_text()}"


def test_what_is_built_is_the_release_or_later():
    scheme = re.escape(RELEASE) + r"(\+unknown|\+git\d{14}\.[0-9a-f]{12}(\.modified)?)?"
    assert re.fullmatch(scheme, said("packaging/version"))


# The last release


def test_the_changelog_begins_with_the_release():
    assert first(r"^## (.*), ", "CHANGELOG.md") == RELEASE


@pytest.mark.parametrize("page", sorted(path.name for path in (project.TOP / "man").glob("*.[1-8]")))
def test_the_manual_has_the_release_and_the_date_of_the_changelog(page):
    assert first(r"^\.Os ws-echo (.*)$", f"man/{page}") == RELEASE
    month, day, year = re.split("[ ,]+", first(r"^\.Dd (.*)$", f"man/{page}"))
    assert first(r"^## .*, (.*)$", "CHANGELOG.md") == f"{year}-{MONTHS.index(month) + 1:02}-{int(day):02}"


@pytest.mark.parametrize("path, pattern", [
    ("packaging/debian/changelog", r"^ws-echo \((.*)-[0-9a-z~.+]+\) "),
    ("packaging/ws-echo.spec", r"^Version: *(\S+)$"),
    ("packaging/ws-echo.spec", r"^%changelog\n\* .* - (\S+)-1$"),
])
def test_the_packages_have_the_release(path, pattern):
    if not (project.TOP / path).exists():
        pytest.skip(f"{path} is not there")
    assert first(pattern, path) == RELEASE


# The version of a commit


class Repository:
    """A repository whose last two commits are the release 7.1 and the next one; their dates differ by a second."""

    def __init__(self, folder):
        self.folder = folder
        self.seconds = 1000000000
        for name in ".gitattributes", "Makefile", "packaging/version", "packaging/archive", "packaging/debian/changelog":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project.TOP / name, folder / name)
        self.git("init", "-q", "--initial-branch=main")
        self.commit(VERSION="7.0")
        self.release = self.commit(VERSION="7.1")
        self.later = self.commit(CC="c17")

    def git(self, *arguments):
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
               for what, value in {"NAME": "A", "EMAIL": "a@localhost", "DATE": f"{self.seconds} +0530"}.items()}
        return said(require("git", "git"), *arguments, cwd=self.folder, GIT_CONFIG_GLOBAL="/dev/null", **who)

    def set(self, **variables):
        """Changes variables of the Makefile."""
        text = (self.folder / "Makefile").read_text()
        for name, value in variables.items():
            text = re.sub(rf"(?m)^{name} (\??)= .*$", rf"{name} \1= {value}", text)
        (self.folder / "Makefile").write_text(text)

    def commit(self, **variables):
        """Commits this change of the Makefile; returns the hash."""
        self.seconds += 1
        self.set(**variables)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", str(variables))
        return self.git("rev-parse", "HEAD")

    def at(self, commit):
        self.git("checkout", "-q", "--detach", commit)
        return version(self.folder)


def version(tree, **environment):
    """The version of the tree, ignoring a repository in a parent folder."""
    return said(tree / "packaging/version", GIT_CEILING_DIRECTORIES=str(tree.parent), **environment)


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "repository").mkdir()
    return Repository(tmp_path / "repository")


def later(repository):
    """The version of its last commit."""
    return f"7.1+git20010909014643.{repository.later[:12]}"


def test_the_commit_that_sets_the_version_is_the_release_and_no_other_one(repository):
    assert repository.at(repository.release) == "7.1"
    assert repository.at(repository.later) == later(repository)
    assert repository.at(repository.git("rev-parse", f"{repository.release}^")).startswith("7.0+git2001")


def test_a_merge_of_the_release_is_not_the_release(repository):
    repository.git("checkout", "-q", "-b", "other", f"{repository.release}^")
    (repository.folder / "other").touch()
    repository.commit()
    repository.git("merge", "-q", "--no-edit", repository.release)
    assert version(repository.folder).startswith("7.1+git")


def test_the_time_zone_and_the_language_make_no_difference(repository):
    assert version(repository.folder, TZ="Pacific/Kiritimati", LC_ALL="C.UTF-8") == later(repository)


def test_the_settings_of_the_user_make_no_difference(repository, tmp_path):
    settings = tmp_path / "settings"
    settings.write_text("[blame]\nignoreRevsFile = absent\n[log]\nshowSignature = true\ndate = iso\n[color]\nui = always\n")
    repository.at(repository.release)
    assert version(repository.folder, GIT_CONFIG_GLOBAL=str(settings)) == "7.1"


@pytest.mark.parametrize("commit", ["release", "later"])
def test_a_tree_that_differs_from_its_commit_is_called_modified(repository, commit):
    commit = getattr(repository, commit)
    repository.at(commit)
    (repository.folder / "untracked").touch()
    assert "modified" not in version(repository.folder)
    repository.set(CFLAGS="-O3")
    assert re.fullmatch(rf"7\.1\+git\d{{14}}\.{commit[:12]}\.modified", version(repository.folder))


@pytest.mark.parametrize("tagged, expected", [(True, "7.1"), (False, "7.1+git")])
def test_a_clone_without_history_needs_the_tag_of_the_release(repository, tmp_path, tagged, expected):
    repository.git("reset", "-q", "--hard", repository.release)
    if tagged:
        repository.git("tag", "-a", "-m", "7.1", "v7.1", repository.release)
    repository.git("clone", "-q", "--depth=1", "--branch", "v7.1" if tagged else "main",
                   f"file://{repository.folder}", tmp_path / "clone")
    assert re.fullmatch(rf"{re.escape(expected)}(\d{{14}}\.{repository.release[:12]})?", version(tmp_path / "clone"))


def test_a_work_tree_and_a_tree_of_another_user_have_the_same_version(repository, tmp_path):
    repository.git("worktree", "add", "-q", "--detach", tmp_path / "tree", repository.release)
    assert version(tmp_path / "tree") == "7.1"
    dubious = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    assert version(repository.folder, **dubious) == later(repository)
    assert version(tmp_path / "tree", **dubious) == "7.1"


def test_an_archive_made_by_git_says_the_same(repository, tmp_path):
    repository.git("tag", "v7.1", repository.release)
    for commit, expected in ("v7.1", "7.1"), (repository.later, later(repository)):
        tree = tmp_path / expected
        tree.mkdir()
        repository.git("archive", f"--output={tmp_path}/archive.tar", commit)
        said("tar", "-xf", tmp_path / "archive.tar", cwd=tree)
        assert version(tree) == expected


@pytest.mark.parametrize("commit", ["release", "later"])
def test_the_source_archive_has_the_version_in_a_file_and_so_have_archives_made_of_it(repository, tmp_path, commit):
    expected = repository.at(getattr(repository, commit))
    tree = repository.folder
    for turn in "1", "2":
        archive = tmp_path / f"{turn}.tar.gz"
        said(tree / "packaging/archive", archive, cwd=tree)
        (tmp_path / turn).mkdir()
        said("tar", "-xf", archive, cwd=tmp_path / turn)
        (tree,) = (tmp_path / turn).iterdir()
        assert tree.name == f"ws-echo-{expected}"
        assert (tree / "VERSION").read_text() == f"{expected}\n" and version(tree) == expected
    framing.same((tmp_path / "1.tar.gz").read_bytes(), (tmp_path / "2.tar.gz").read_bytes())


def test_where_nothing_tells_the_commit_the_version_says_so(repository):
    shutil.rmtree(repository.folder / ".git")
    assert version(repository.folder) == "7.1+unknown"


def test_debians_packages_sort_after_the_release_by_date_and_before_the_next_one(repository):
    dpkg = require("dpkg", "dpkg")
    versions = ["7.1", version(repository.folder)]
    repository.seconds += 86400
    versions += [repository.at(repository.commit(CC="c23")), "7.1.1", "7.2"]
    for earlier, later in zip(versions, versions[1:]):
        said(dpkg, "--compare-versions", f"{earlier}-1", "lt", f"{later}-1")
