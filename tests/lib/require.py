# SPDX-License-Identifier: MIT
"""Looks for commands, modules and files of other packages that a test needs."""

import importlib.util
import os
import shutil

import pytest


def require(command, package):
    """The full path of `command`, which is part of the Debian `package`.

    If it is missing, the test is skipped, and the reason names the package to install. With CI=true the test fails
    instead, so that no test is skipped unnoticed.
    """
    path = shutil.which(command)
    if not path:
        missing(command, package)
    return path


def require_module(module, package):
    """The same for a Python module."""
    if not importlib.util.find_spec(module):
        missing(f"Python's {module}", package)


def require_file(path, package):
    """The same for a file."""
    if not os.path.exists(path):
        missing(path, package)


def require_root():
    """The same for root, which tests need to create namespaces."""
    if os.geteuid() != 0:
        refuse("namespaces of its own need root")


def missing(what, package):
    """Skips the test, or fails with CI=true, because `what` is missing."""
    refuse(f"{what} is missing: install the package {package}")


def refuse(reason):
    """Skips the test, or fails with CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)
