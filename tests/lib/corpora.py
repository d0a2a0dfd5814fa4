"""The corpora of the fuzzers."""

import subprocess

import project

CORPUS = project.TOP / "tests" / "fuzz" / "corpus.py"


def targets_of(fuzzer):
    said = subprocess.run([CORPUS, "targets", fuzzer], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said.split()
    return said.split()
