# SPDX-License-Identifier: MIT
"""The manual agrees with the program: what the source can do stands in ws-echo(8), and nothing else."""

import os
import re
import subprocess

import framing
import heads
import launch
import project
import pytest
from outcomes import OUTCOMES
from require import require
from rule import rule

PAGES = sorted((project.TOP / "man").glob("*.[1-8]"))
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
MANUAL = (project.TOP / "man" / "ws-echo.8").read_text()
LAUNCHERS = (project.TOP / "man" / "ws-echo-launchers.7").read_text()
SOURCE = project.source()


def section(name):
    """The lines of a section of the page."""
    assert f"\n.Sh {name}\n" in MANUAL, f"the page has no section {name}"
    return MANUAL.split(f"\n.Sh {name}\n")[1].split("\n.Sh ")[0]


def items(name):
    """The terms of the lists in a section."""
    return re.findall(r"^\.It (.+)", section(name), re.M)


def macro(name):
    """The rows of a table of the source: #define NAME(X)."""
    return re.search(rf"^#define {name}\(X\)(?:.*\\\n)+.*", SOURCE, re.M)[0]


def constant(name):
    """The value of a named constant of the source."""
    value = re.search(rf"(?:#define {name}|\b{name} =) ([0-9]+)\b", SOURCE)
    assert value, f"{name} is no plain number"
    return int(value[1])


def amount(name):
    """The value of a named expression of the source; that of a duration is in seconds."""
    found = re.search(rf"(?:#define {name} |\b{name} = )([^,\n]*?)(?:,| +/\*|$)", SOURCE, re.M)
    assert found, f"{name} is not defined"
    expression = found[1].replace("SECOND", "1")
    assert re.fullmatch(r"[0-9 ()*+/]+", expression), f"{name} is {found[1]!r}"
    return eval(expression)  # only numbers and operators


def size(name):
    """The value of a named size of the source, as the page writes it."""
    shift, unit = (20, "MiB") if amount(name) >= 1 << 20 else (10, "KiB")
    assert amount(name) % (1 << shift) == 0
    return f"{amount(name) >> shift} {unit}"


def seconds(name):
    return {0.1: "tenth of a second", 1: "second"}.get(amount(name)) or f"{amount(name)} seconds"


def rendered(page, *options):
    """A page as plain text."""
    result = subprocess.run([require("mandoc", "mandoc"), "-Tascii", *options, str(page)],
                            capture_output=True, check=True, timeout=project.LIMIT)
    return re.sub(".\b", "", result.stdout.decode())


def literal_blocks(text):
    """The examples, as a reader copies them from the page."""
    blocks = re.findall(r"^(?:\.Bd -literal.*\n([^.](?:.*\n)*?)\.Ed|\.Dl (.*\n))", text, re.M)
    return [(block or line).replace("\\e", "\\") for block, line in blocks]


def help_options():
    """The options of --help, in its order: (short, long, argument, default)."""
    lines = launch.run(b"", "--help").stdout.decode()
    found = re.findall(r"^ +(?:-(\w), )?--([a-z-]+)(?:=(\w+))? .*?(?:\((\S+)\))?$", lines, re.M)
    assert len(found) == lines.count("--"), lines
    return found


def manual_options():
    """The same for the page."""
    found = []
    for entry in section("OPTIONS").split("\n.It ")[1:]:
        head, _, text = entry.partition("\n")
        option = re.fullmatch(r"(?:Fl (\w) , )?Fl -([a-z-]+)(?: Ns = Ns Ar (\w+))?", head)
        assert option, f"not an option: {head!r}"
        default = re.search(r"^The default is ([^\s.,]+)", text, re.M)
        found.append((*(part or "" for part in option.groups()), default[1] if default else ""))
    return found


@EVERY_PAGE
def test_mandoc_has_nothing_to_say_against_the_page(page):
    result = subprocess.run([require("mandoc", "mandoc"), "-Tlint", "-Wstyle", str(page)],
                            capture_output=True, check=False, timeout=project.LIMIT)
    found = [line for line in result.stdout.decode().splitlines()
             if "referenced manual not found" not in line]  # the pages of xinetd and inetd may not be installed
    assert found == []


@EVERY_PAGE
def test_the_page_fits_a_terminal_of_80_columns(page):
    assert [line for line in rendered(page, "-Owidth=80").splitlines() if len(line) > 80] == []


@EVERY_PAGE
def test_the_lines_of_the_source_of_the_page_fit_80_columns(page):
    assert [line for line in page.read_text().splitlines() if len(line) > 80] == []


@EVERY_PAGE
def test_a_page_refers_to_sections_and_pages_that_there_are(page):
    text = page.read_text()
    sections = set(re.findall(r"^\.S[hs] (.+)$", text, re.M))
    assert set(re.findall(r"^\.Sx (.+?)(?: [.,;:])?$", text, re.M)) <= sections
    ours = re.findall(r"\bXr (ws-echo\S*) (\d)", text)
    assert ours and {f"{name}.{number}" for name, number in ours} <= {other.name for other in PAGES}


@EVERY_PAGE
def test_the_rendering_for_web_forges_is_that_of_the_page(page):
    require("mandoc", "mandoc")
    result = subprocess.run([project.TOP / "packaging/render-page", page], capture_output=True, check=True,
                            timeout=project.LIMIT)
    assert page.with_name(f"{page.name}.md").read_bytes() == result.stdout, "make manual-md writes it anew"


@rule("ws-echo(8) OPTIONS (2)")
def test_the_options_are_those_of_help_in_its_order():
    assert [option[:3] for option in manual_options()] == [option[:3] for option in help_options()]


@rule("ws-echo(8) OPTIONS (2)")
def test_the_defaults_are_those_of_help():
    assert [option[1::2] for option in manual_options()] == [option[1::2] for option in help_options()]


def test_the_synopsis_has_every_short_option():
    synopsis = section("SYNOPSIS")
    for short, _, argument, _ in help_options():
        if short and argument:
            assert f".Op Fl {short} Ar {argument}\n" in synopsis
        elif short:
            assert re.search(rf"^\.Op Fl \w*{short}\w*$", synopsis, re.M), short


@rule("ws-echo(8) HTTP ANSWERS (1)")
def test_every_http_status_stands_in_the_table_and_no_other():
    statuses = {outcome.code for outcome in OUTCOMES.values() if 0 < outcome.code < 1000} | {101}
    assert {int(item) for item in items("HTTP ANSWERS") if item.isdigit()} == statuses


def test_the_page_lists_the_known_methods():
    (known,) = re.findall(r"known\[\]\[.*?\] = \{(.*?)\};", SOURCE, re.S)
    methods = re.findall(r'"([A-Z]+)"', known)
    sentence = f"it is none of {', '.join(methods[:-1])} and {methods[-1]}, in capitals."
    assert sentence in " ".join(section("HTTP ANSWERS").split())


def test_every_close_code_stands_in_the_table_and_no_other():
    codes = {outcome.code for outcome in OUTCOMES.values() if outcome.code >= 1000} | {constant("NO_STATUS"), constant("ABNORMAL")}
    assert {int(item) for item in items("CLOSE CODES") if item.isdigit()} == codes


@rule("ws-echo(8) EXIT STATUS (2)")
def test_every_exit_status_stands_in_the_table_and_no_other():
    statuses = {getattr(os, name) for name in re.findall(r"\bEX_[A-Z]+\b", SOURCE)} | {os.EX_OK}
    assert {int(item) for item in items("EXIT STATUS")} == statuses


def test_every_variable_that_is_read_stands_under_environment():
    variables = set(re.findall(r'getenv\("(\w+)"\)', SOURCE))
    pairs = re.search(r"const variables\[\]\[2\] = \{\n(.*?)\};", SOURCE, re.S)[1]
    addresses = re.findall(r'\{"(\w+)", "(\w+)"\}', pairs)
    assert variables and addresses
    missing = [name for name in sorted(variables) if not re.search(rf"\b{name}\b", section("ENVIRONMENT"))]
    assert missing == []
    order = re.findall(r"^\.Ev (\w+) , (\w+)\n\(", section("ENVIRONMENT"), re.M)
    assert order == addresses, "the order in which the peer's address is looked for"


def test_every_part_of_the_record_stands_there_with_its_journal_field():
    both = dict(re.findall(r'record_(?:text|word|number)\(&record, "(\w+)", "([A-Z_]+)"', SOURCE))
    fields = set(both.values()) | set(re.findall(r'add_field\(record, "([A-Z_]+)"', SOURCE))
    assert both and fields > set(both.values())
    table = items("LOGGING")
    for part, field in both.items():
        assert f"Cm {part} , Ev {field}" in table
    missing = [field for field in sorted(fields) if not re.search(rf"\bEv {field}\b", section("LOGGING"))]
    assert missing == []


def test_a_real_record_has_the_parts_of_the_page_in_its_order():
    request = heads.head("Origin: null", "Sec-WebSocket-Protocol: chat", "User-Agent: me", "Forwarded: for=me",
                        "Sec-WebSocket-Extensions: permessage-deflate", path="/lab?mute=pong")
    log = launch.run(request + framing.close(1000, b"bye"), "--deflate", "--lab=/lab",
                   env={"REMOTE_ADDR": "::1", "REMOTE_PORT": "1"}).stderr
    parts_of_the_page = re.findall(r"^\.It Cm (\w+)", section("LOGGING"), re.M)
    assert list(launch.record(log.decode()) | {"sandbox": "partial"}) == parts_of_the_page


def test_the_record_of_the_page_has_the_parts_of_a_real_one():
    (block,) = [block for block in literal_blocks(section("LOGGING")) if " peer=" in block]
    log = launch.run(heads.head("User-Agent: client.py") + framing.close(1000, b"bye"),
                   env={"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "53220"}).stderr.decode()
    shown, real = launch.record(" ".join(block.split())), launch.record(log)
    assert list(shown) == [part for part in real if part != "sandbox"]
    same = ["peer", "path", "status", "close", "reason", "end", "end_id", "agent"]
    assert [shown[part] for part in same] == [real[part] for part in same]


def test_commands_are_neither_stretched_nor_broken_at_a_blank():
    """Only running text may be."""
    for literal in re.findall(r"^\.Ql (.*?)(?: [,.:;])*$", MANUAL + LAUNCHERS, re.M):
        assert " " not in literal.replace("\\ ", "") or literal in SOURCE, literal
    assert ".Ql server:\\ Hello ;\n" in MANUAL


def typed():
    """The lines of all examples."""
    return [line for page in PAGES for block in literal_blocks(page.read_text()) for line in block.splitlines()]


def commands():
    """The lines of examples that begin with a prompt, including the prompt."""
    return [line for line in typed() if re.match("[#$] ", line)]


def test_no_example_needs_a_right_that_its_prompt_does_not_have():
    """No example needs a terminal either, as `systemctl edit` does."""
    root = re.compile(r"\b(journalctl|tee|mkdir|apt-get)\b|\bsystemctl (?!status\b)")
    assert [line for line in commands() if line.startswith("$ ") and root.search(line)] == []
    assert [line for line in commands() if "systemctl edit" in line] == []


def test_examples_call_the_program_by_its_path():
    """Its folder is not in every user's PATH."""
    assert [line for line in typed() if re.search(r"(^[#$] |[|;&] *)ws-echo\b", line)] == []


def test_every_local_fault_stands_under_diagnostics():
    messages = re.findall(r'\bfail\([^,;]+, EX_[A-Z]+,\s*"([^";]+)', SOURCE)
    for outcome in OUTCOMES.values():
        assert not outcome.is_local_fault or f'"{outcome.sentence}: reason"' in items("DIAGNOSTICS")
    assert len(messages) == len(re.findall(r"\bfail\([^,;]+, EX_", SOURCE)) > 0
    for message in set(messages) - {"%s"}:  # the format for wrong options
        assert any(re.fullmatch(re.sub("%[.0-9]*[a-z]+", r"(\\w+)", message), item.strip('"'))
                   for item in items("DIAGNOSTICS")), message


def test_every_end_stands_in_the_page_of_launchers_by_its_kind():
    """Ends of the lab stand in its own page."""
    subsection = LAUNCHERS.split("\n.Ss Why a connection failed\n")[1].split("\n.Ss ")[0]
    lists = [block for block in literal_blocks(subsection) if not block.startswith("#")]
    listed = [re.split(r",\s", names.strip().removesuffix(".")) for names in lists]
    rows = re.findall(r"X\((\w+), (\w+), \w+,", macro("OUTCOMES"))
    kinds = [], [], []
    for name, code in rows:
        kind = 0 if code.isdigit() and int(code) else 2 if code in ("0", "NO_STATUS") else 1
        if not name.startswith("LAB"):
            kinds[kind].append(name.lower().replace("_", "-"))
    assert listed == list(kinds)


@pytest.mark.parametrize("name", ["REQUEST_LINE_MAX", "HEAD_MAX", "FIELDS_MAX", "PREFIX_MAX", "CHOICES_MAX",
                                  "LOGGED_MAX", "CONTROL_PAYLOAD_MAX", "PROXY_LINE_MAX", "ORIGIN_MAX", "SERVED_PATH_MAX",
                                  "CONTENT_DIGITS_MAX"])
def test_every_limit_in_the_page_is_that_of_the_source(name):
    assert re.search(rf"\b{constant(name)}\b", MANUAL), name


@pytest.mark.parametrize("name, sentence", [
    ("DESCRIPTION", "a frame that is partly written, for which it has {seconds STOP_TIME},"),
    ("DESCRIPTION", "until nothing has come for a {seconds CLOSING_QUIET}."),
    ("DESCRIPTION", "All of this takes at most {seconds CLOSING_TIME} and {size CLOSING_MAX} from that answer or Close on."),
    ("LOGGING", "after {amount LOGGED_MAX} bytes a value is cut"),
    ("LOGGING", "A line of the log never blocks for more than {seconds LOG_TIME};"),
    ("OPTIONS", "has at most {amount SERVED_PATH_MAX} bytes. The target of the request"),
    ("HTTP ANSWERS", "The request line is longer than {amount REQUEST_LINE_MAX} bytes."),
    ("HTTP ANSWERS", "The head is larger than {amount HEAD_MAX} bytes or has more than {amount FIELDS_MAX} fields."),
    ("HTTP ANSWERS", "one plain number of at most {amount CONTENT_DIGITS_MAX} digits"),
    ("HTTP ANSWERS", "more than {amount SUBPROTOCOLS_MAX} names."),
    ("SECURITY", "the request line ({amount REQUEST_LINE_MAX} bytes), the head ({amount HEAD_MAX} bytes, "
                 "{amount FIELDS_MAX} fields), the PROXY header ({amount PROXY_LINE_MAX} bytes in version 1, "
                 "{amount PROXY_BINARY_MAX} in version 2)"),
    ("SECURITY", "the buffers ({size INPUT_SIZE} of input, {size OUTPUT_SIZE} of output)"),
    *[("SECURITY", f"and every wait, by the options or by {{seconds {time}}}.")
      for time in ("STOP_TIME", "CLOSING_TIME", "LOG_TIME")],
    ("SECURITY", "only for bytes that have arrived, never for a length that the peer has announced, in steps of "
                 "{size HUGE_PAGE} at most."),
    ("SECURITY", "A {seconds QUIET_TIME} after the last message of more than {size RESIDENT_MAX}, all but {size RESIDENT_MAX} "
                 "of its memory is released."),
])
def test_every_number_in_these_sentences_is_that_of_the_source(name, sentence):
    kinds = {"amount": amount, "size": size, "seconds": seconds}
    expected = re.sub(r"\{(\w+) (\w+)\}", lambda found: str(kinds[found[1]](found[2])), sentence)
    assert expected in " ".join(section(name).split())


@pytest.mark.parametrize("unit, limit", [
    ("ws-echo.socket", "ListenStream="),
    ("ws-echo.socket", "MaxConnections="),
    ("ws-echo.socket", "MaxConnectionsPerSource="),
    ("ws-echo@.service", "MemoryMax="),
    ("packaging/ws-echo.xinetd", "port ="),
    ("packaging/ws-echo.xinetd", "instances ="),
    ("packaging/ws-echo.xinetd", "per_source ="),
    ("packaging/ws-echo.xinetd", "rlimit_as ="),
])
def test_every_limit_of_the_shipped_units_stands_in_the_page_of_launchers(unit, limit):
    lines = re.sub(" += +", " =", (project.TOP / unit).read_text())
    (value,) = re.findall(rf"^\s*{limit}(\w+)$", lines, re.M)
    assert re.search(rf"\b{value}\b", LAUNCHERS), f"{limit}{value}"


def test_the_example_of_a_launcher_is_that_of_the_page_of_launchers():
    *examples, by_hand = literal_blocks(section("RUNNING"))
    assert len(examples) == 9
    assert [block for block in examples if block not in "".join(literal_blocks(LAUNCHERS))] == []
    command = by_hand.removeprefix("$ ").replace("/usr/sbin/ws-echo", launch.PROGRAM)
    result = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=project.LIMIT)
    assert result.stdout.startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_handshake_by_hand_prints_what_the_page_says(tmp_path):
    script, output = literal_blocks(LAUNCHERS.split("\n.Sh BY HAND\n")[1].split("\n.Sh ")[0])
    assert " /usr/sbin/ws-echo " in script
    result = subprocess.run(["sh", "-c", script.replace("/usr/sbin/ws-echo", launch.PROGRAM)], cwd=tmp_path,
                            capture_output=True, check=True, timeout=project.LIMIT)
    assert result.stdout.decode().splitlines() == output.splitlines()
    assert launch.record(result.stderr.decode())["messages"] == "1"
