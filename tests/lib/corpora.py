# SPDX-License-Identifier: MIT
"""The corpora of the fuzzers."""

import subprocess

import project

CORPUS = project.TESTS / "fuzz/corpus.py"


def targets_of(fuzzer):
    """The targets of a fuzzer."""
    said = subprocess.run([CORPUS, "targets", fuzzer], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said.split()
    return said.split()


def unpacked(target, folder):
    """Writes the inputs of a target to files in a new folder; returns how many they are."""
    subprocess.run([CORPUS, "unpack", target, folder], check=True)
    return len(list(folder.iterdir()))
