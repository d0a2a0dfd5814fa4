# SPDX-License-Identifier: MIT
"""ws-echo-capacity(7): its measured figures are those of tests/bench/README.md, and its sums are right."""

import re

import manual
import project
import pytest

PAGE = manual.page("ws-echo-capacity.7")
BENCH = (project.TESTS / "bench/README.md").read_text(encoding="utf-8")
VERSIONS = "252", "257"
UNITS = {"socket": "ws-echo.socket", "crowd": "ws-echo-crowd.service"}  # by their short names in the page


def tables(text):
    """The tables of a part of the page, each as a list of rows of cells, without its first row."""
    lists = re.findall(r"^\.Bl -column.*\n((?:\.It .*\n)+)\.El", text, re.MULTILINE)
    return [[[cell.strip('"') for cell in line.removeprefix(".It ").split(" Ta ")] for line in table.splitlines()[1:]]
            for table in lists]


def measured(heading):
    """The rows below a heading of tests/bench/README.md that have figures."""
    part = BENCH.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return [row for row in rows if re.match(r"[\d,.]+\b", row[1])]


def number(cell):
    """The number of a cell such as 1,050 or 10.1 ms."""
    return float(cell.split()[0].replace(",", ""))


def costs(version):
    """The figures of one connection by launcher: a second, processor, accepting, memory."""
    (table,) = tables(manual.section(f"systemd {version}", PAGE))
    return {launcher: figures for launcher, *figures in table}


def costs_beside_others():
    """By unit, number of others and version: processor and accepting, in milliseconds."""
    (table,) = tables(manual.section("Many open connections", PAGE))
    return {(unit, others, version): (number(processor), number(accepting)) for unit, others, *both in table
            for version, processor, accepting in zip(VERSIONS, both[::2], both[1::2])}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_figures_of_a_connection_are_those_that_were_measured(version):
    rows = measured("Capacity")
    of_version = rows[:len(rows) // 2] if version == VERSIONS[0] else rows[len(rows) // 2:]
    expected = [[rate, processor, accepting, whole] for _, rate, processor, accepting, *_, whole in of_version]
    assert list(costs(version).values()) == expected
    assert list(costs(version))[0] == of_version[0][0]


def test_the_figures_beside_others_are_those_that_were_measured():
    (table,) = tables(manual.section("Many open connections", PAGE))
    assert table == measured("Capacity beside open connections")


def amounts(text):
    """The targets and the formulas of the page: (connections, new ones a second)."""
    found = re.search(r"For ([\d,]+) open connections and ([\d,]+) new ones a second", text)
    return number(found[1]), number(found[2])


def test_the_sums_are_right():
    """Recomputed from the tables that the reader has."""
    text = manual.section("A MILLION CONNECTIONS", PAGE)
    total, rate = amounts(" ".join(text.split()))
    (block,) = manual.blocks("A MILLION CONNECTIONS", PAGE)
    formulas = dict(re.split(r" += ", line) for line in block.splitlines())
    (table,) = tables(text)
    assert {(UNITS[unit], others, version) for unit, version, others, *_ in table} == costs_beside_others().keys()
    for name, version, others, *shown in table:
        unit = UNITS[name]
        processor, accepting = costs_beside_others()[unit, others, version]
        memory = number(costs(version)[unit][3])
        hosts = total / number(others)
        new = rate / hosts
        assert shown == [f"{hosts:,.0f}", f"{new:,.0f}", f"{new * processor / 1000:.1f}",
                         f"{new * accepting / 10:.0f} %", f"{number(others) * memory / 2 ** 20:.1f} GiB"], unit
    assert formulas == {
        "hosts": f"{total:,.0f} / open", "new": f"{rate:,.0f} / hosts", "processors": "new * processor time of a connection",
        "accepting": "new * time of the accepting process", "memory": "open * memory of a connection"}


def test_the_hosts_that_the_page_recommends_are_used_to_half():
    text = manual.section("A MILLION CONNECTIONS", PAGE)
    (table,) = tables(text)
    recommended = re.findall(r"([\d,]+) hosts of (\d+) processors and (\d+) GiB with \.Pa (\S+)", " ".join(text.split()))
    assert {unit for *_, unit in recommended} == {unit for unit, *_ in costs_beside_others()}
    for hosts, processors, memory, unit in recommended:
        rows = [row for row in table if UNITS[row[0]] == unit and row[3] == hosts]
        assert {row[1] for row in rows} == set(VERSIONS)
        for *_, used, accepting, taken in rows:
            assert (2 * number(used) <= number(processors) and 2 * number(accepting) <= 100
                    and 2 * number(taken) <= number(memory)), (unit, rows)


def test_the_sum_of_messages_is_right():
    (connections, each, sum_,) = re.search(r"([\d,]+) \* (\d+) microseconds = ([\d.]+) processors", PAGE).groups()
    assert number(connections) * float(each) / 1e6 == float(sum_)
    assert f"{each} microseconds of the processor for each" in " ".join(manual.section("Messages", PAGE).split())
