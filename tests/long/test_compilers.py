# SPDX-License-Identifier: MIT
"""Both compilers compile without warnings, with all flags that builders use."""

import subprocess

import pytest
from builds import BUILDERS, built, built_by, packagers, tree  # `tree` is a fixture
from require import require

COMPILERS = ["gcc", "clang"]
STATIC = ["as-shipped", "for-debugging", "not-optimised"]
MORE = {
    **BUILDERS,
    "without-extensions": {"CFLAGS": "-O2 -std=c17"},
    "by-the-next-standard": {"CFLAGS": "-O2 -std=gnu2x"},
    "sanitized": {"CPPFLAGS": "-DWITHOUT_FILTER", "CFLAGS": "-O1 -fsanitize=undefined"},
}


@pytest.mark.parametrize("builder", MORE)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_is_built_without_a_warning(tree, compiler, builder):
    built_by(tree, compiler, MORE[builder])


@pytest.mark.parametrize("builder", STATIC)
def test_the_static_flavour_is_built_without_a_warning(tree, builder):
    built(tree, "ws-echo-static", **BUILDERS[builder])


@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_is_built_without_a_warning_by_the_flags_of_debians_packages(tree, compiler):
    built_by(tree, compiler, packagers())


@pytest.mark.parametrize("target", ["ws-echo", "ws-echo-static"])
def test_the_optimiser_at_link_time_changes_no_instruction(tree, target):
    """Package builds ask for link-time optimisation. It would undo the unrolled loops, and a large message would then
    take a third more."""
    def code(**variables):
        program = built(tree, target, **variables)
        subprocess.run([require("objcopy", "binutils"), "--output-target=binary", "--only-section=.text", program,
                        tree / "code"], check=True)
        return (tree / "code").read_bytes()

    plain = code(CFLAGS="-O2")
    assert len(plain) > 10_000
    assert code(CFLAGS="-O2 -flto") == plain
    assert code(CFLAGS="-O2", LDFLAGS="-flto=auto") == plain
