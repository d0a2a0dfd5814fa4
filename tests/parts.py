"""What a test needs besides the program: commands, modules and files of other packages."""

import importlib.util
import os
import shutil

import pytest


def require(command, package):
    """The full path of `command`, which the Debian `package` brings.

    Where it is missing, the test is skipped and says which package to install. With CI=true it fails, so
    that nothing goes untested unnoticed.
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
    """The same for privileges, which namespaces of their own need."""
    if os.geteuid() != 0:
        refuse("namespaces of its own need root")


def missing(what, package):
    """Skips, or fails on CI, because `what` is not there."""
    refuse(f"{what} is missing: install the package {package}")


def refuse(reason):
    """Skips, or fails on CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)
