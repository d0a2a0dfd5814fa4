"""Both compilers compile without warnings, with all flags that builders use."""

import pytest
from builds import BUILDERS, built_by, packagers, tree  # `tree` is a fixture

COMPILERS = ["gcc", "clang"]
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


@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_is_built_without_a_warning_by_the_flags_of_debians_packages(tree, compiler):
    built_by(tree, compiler, packagers())
