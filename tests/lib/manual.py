# SPDX-License-Identifier: MIT
"""The sections of a page of the manual, and its examples."""

import re

import project


def page(name):
    """The source of a page such as ws-echo.8."""
    return (project.TOP / "man" / name).read_text(encoding="utf-8")


def section(heading, text):
    """The lines of a section or subsection, up to the next one."""
    following = re.split(rf"^\.S[hs] {heading}\n", text, flags=re.MULTILINE)[1]
    return re.split(r"^\.S[hs] ", following, flags=re.MULTILINE)[0]


def blocks(heading, text):
    """The examples of a section or subsection, as displayed."""
    found = re.findall(r"^\.Bd -literal.*\n([^.](?:.*\n)*?)\.Ed", section(heading, text), re.MULTILINE)
    return [block.replace("\\e", "\\") for block in found]


def script(block):
    """The lines of an example without their prompts, for a shell."""
    return re.sub("(?m)^[#$] ", "", block)
