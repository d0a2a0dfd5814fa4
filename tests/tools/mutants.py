#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Mutation testing: changes the program in one place at a time, and reports whether a test fails.

    mutants.py                     about 400 mutants, spread over all rooms; `make mutants`
    mutants.py --number=2000       more mutants; includes the same 400
    mutants.py --only=utf8         the mutants of a room, or the mutant with an id
    mutants.py --list              prints the mutants and runs nothing
    mutants.py --changed=REV       for CI: mutants of lines that differ from REV; starts no more after --seconds, or
                                   after 400 mutants
    mutants.py --again             runs again those that no test noticed
    mutants.py --first             runs only the first tests (rooms.txt), and leaves the result of survivors open
    mutants.py --report            prints the results so far for each room, and the survivors
    mutants.py --units             mutates the settings of units and of the xinetd entry instead; with --system, tests
                                   them under a real systemd as well; as root, for hours

A mutant is a small change, like a mistake of a programmer: a comparison inverted, a number increased or decreased
by one, a statement removed, a condition negated or replaced by true or false, && and || exchanged, + and -
exchanged, a name replaced by another of its kind, a letter of a string changed, a row of a table or a system call
of the filter removed, a system call added. Comments and most preprocessor lines are left unchanged. Mutants are
found in the text, without parsing C: a mutant that does not compile is dropped, and one with the same object code
is equivalent.

A room is the header and the source of one name in src/, or ws-echo.c. Each mutant is compiled with all other rooms
unchanged. Tests run until one fails: first those of its room (rooms.txt), then all others of `make check` that
depend on the program's behaviour; as root also those of `make check-system` that need no booted system. A test that
fails, or takes longer than LIMIT, has noticed the mutant. mutants.txt lists mutants that no test can notice, each
with the reason.

The id of a mutant is a hash of the changed text and its room, so changes elsewhere in the room do not affect it.
Results are stored in build/mutants/results.jsonl. A mutant with a result is not run again, except with --again or
--fresh. The sample depends on --seed alone. Each of --jobs works on its own copy of the tree below build/.

The exit status is 1 if fewer than 97 % of the mutants that are not equivalent were noticed. If REV of --changed is
unknown, as in a shallow clone, or the program has not changed since, the sample is spread over all rooms.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import project
from project import TOP, ONE_SOURCE

HERE = pathlib.Path(__file__).resolve().parent
PLACE = TOP / "build/mutants"
RESULTS = PLACE / "results.jsonl"
EQUIVALENT = HERE / "mutants.txt"
LIMIT = 20  # seconds until a test gives up waiting; replaces project.LIMIT
STAGE_LIMIT = 600  # seconds for all tests of one stage
WANTED = 0.97

# For each room the tests that run first.
FIRST = dict(line.split(maxsplit=1) for line in (HERE / "rooms.txt").read_text("utf-8").splitlines()
             if line and not line.startswith("#"))
# Tests that hardly ever fail because the machine is busy.
STEADY = tuple(f"tests/{name}.py" for name in (
    "process/test_texts", "process/test_options", "protocol/test_head", "protocol/test_handshake", "protocol/test_frames",
    "protocol/test_page_served", "protocol/test_proxy_protocol"))
SLOW_IN_C = ("utf8_", "payload_", "masked_", "text_payload", "the_masking", "every_byte_of_a_masking")

# The other tests that depend on the program's behaviour; those in system/ need root only.
OTHERS = [*project.tests_in(project.OF_THE_PROGRAM), *project.AS_ROOT, "documents/test_completion.py",
          "documents/test_manual.py", "documents/test_readme.py", *project.tests_in(["unit"])]

UNITS = ["ws-echo.socket", "ws-echo@.service", *(f"packaging/ws-echo{name}" for name in (
    "-sandbox.service", "-crowd.service", ".xinetd", ".sysusers"))]

# Rooms in which a real systemd or launcher may notice mutants that the other tests do not.
SYSTEM = {"log", "start", "sandbox", "ws-echo", "outcome", "connection"}


# ---- Text -------------------------------------------------------------------------------------------------

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/ | //[^\n]*)
  | (?P<line>^[ \t]*\#(?:[^\n\\]|\\\n|\\.)*)
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<char>'(?:[^'\\]|\\.[0-9]*)+')
  | (?P<number>\b(?:0x[0-9A-Fa-f]+|[0-9]+)[uUlL]*\b)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<sign>\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\S)
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

# The replacement text of a #define is mutated like the rest of the program.
DEFINITION = re.compile(r"[ \t]*#[ \t]*define[ \t]+\w+(?:\([^)]*\))?")


@dataclasses.dataclass
class Token:
    kind: str
    text: str
    start: int
    end: int


def tokens_of(source, begin=0, end=None):
    """All tokens except comments; of preprocessor lines, only the replacement text of #define."""
    found = []
    for match in TOKEN.finditer(source, begin, len(source) if end is None else end):
        if match.lastgroup == "line":
            definition = DEFINITION.match(match.group())
            if definition:
                found.append(Token("sign", ";", match.start(), match.start()))
                found += tokens_of(source, match.start() + definition.end(), match.end())
                found.append(Token("sign", ";", match.end(), match.end()))
        elif match.lastgroup != "comment" and match.group() != "\\":
            found.append(Token(match.lastgroup, match.group(), *match.span()))
    return found


# ---- Mutants ----------------------------------------------------------------------------------------------

COMPARISONS = {"==": ["!="], "!=": ["=="], "<": ["<=", ">="], ">": [">=", "<="], "<=": ["<", ">"], ">=": [">", "<"]}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "|",
              "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "^=": "|=", "*=": "/=", "++": "--", "--": "++",
              "/=": "*=", "<<=": ">>=", ">>=": "<<="}

# Names that the system defines, by what they begin with: those of one kind that the program uses are swapped.
OF_THE_SYSTEM = re.compile(r"SIG_|SIG(?=[A-Z])|LOG_|EX(?:IT)?_|STD(?=[A-Z]+_FILENO)|F_(?=[GS]ETFL)|SHUT_|CLOCK_(?=[MR])|AF_|E(?=[A-Z]{4,}\b)|"
                           r"MADV_|RLIMIT_|Z_(?=NO_FLUSH|SYNC_FLUSH)|Z_(?=OK|STREAM_END|[A-Z]+_ERROR)")


def kinds(source):
    """Lists of names of one kind: enumerators of one enum, constants that are defined one after the other, rows of a table,
    members of a structure that are declared together, names of the system with the same beginning, and of the rest of ours
    those with the same last word."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", " ", source, flags=re.DOTALL)
    yield ["true", "false"]
    for body in re.findall(r"\benum\b[^;{}()]*\{(.*?)\}", code, re.DOTALL):
        yield re.findall(r"(?:^|,)\s*([A-Z][A-Z0-9_]*)\b(?=\s*(?:=[^,]*)?(?:,|$))", body)
    for lines in re.findall(r"(?:^#define [A-Z][A-Z0-9_]* +[^\s\\(].*(?<!\\)\n)+", code, re.MULTILINE):
        yield re.findall(r"^#define (\w+)", lines, re.MULTILINE)
    for table in re.findall(r"^#define \w+\(X\)(?:.*\\\n)+.*", code, re.MULTILINE):
        yield re.findall(r"\bX\(([A-Z]\w*)", table)
    for body in re.findall(r"\bstruct\b[^;{}()]*\{(.*?)\}", code, re.DOTALL):
        for names in re.findall(r"^\s*[a-z][\w ]*?\b((?:\w+, )+\w+)\s*$", body.replace(";", "\n"), re.MULTILINE):
            yield names.split(", ")
    ours = set(re.findall(r"^#define (\w+)|\b([A-Z][A-Z0-9_]+) = ", code, re.MULTILINE))
    ours = {name for pair in ours for name in pair if name}
    groups = collections.defaultdict(list)
    for name in dict.fromkeys(re.findall(r"\b[A-Z][A-Z0-9_]+\b", code)):
        if name in ours:  # such as LOG_TIME, of which no other is defined beside it
            groups[name.rpartition("_")[2]].append(name)
        elif match := OF_THE_SYSTEM.match(name):
            groups[match[0], name.endswith("_FLUSH")].append(name)
    yield from groups.values()


def next_names(source):
    """The name that each one is swapped for: the next one of its kind."""
    found = {}
    for names in kinds(source):
        for i, name in enumerate(names):
            if len(names) > 1 and names[(i + 1) % len(names)] != name:
                found.setdefault(name, names[(i + 1) % len(names)])
    return found


NEXT = next_names(project.source())

# System calls that an exploited process would want, added to the filter.
ADDED_CALLS = ["execve", "openat", "connect", "kill", "ptrace", "clone", "socket", "mprotect", "sendmsg", "dup",
               "ioctl", "prctl", "recvfrom", "accept4", "setuid"]

# A statement that begins with one of these is a declaration; without it, the room hardly ever compiles.
DECLARING = set("""const static struct enum union unsigned bool char int size_t ssize_t socklen_t uint8_t uint16_t uint32_t
    uint64_t int64_t va_list typedef sigset_t vector""".split())

OPEN, SHUT = {"(": ")", "{": "}", "[": "]"}, {")", "}", "]"}


@dataclasses.dataclass
class Mutant:
    """A change of [start:end] in the text of a file, from `old` to `new`."""
    operator: str
    start: int
    end: int
    new: str
    room: str = ""
    line: int = 0
    old: str = ""
    context: str = ""
    id: str = ""
    file: str = ""


def counterparts(tokens):
    """The index of the closing bracket for each opening bracket, and vice versa."""
    stack, found = [], {}
    for i, token in enumerate(tokens):
        if token.kind == "sign" and token.text in OPEN:
            stack.append(i)
        elif token.kind == "sign" and token.text in SHUT and stack:
            begin = stack.pop()
            found[begin], found[i] = i, begin
    return found


def changed_string(text):
    """The string with its middle letter or digit changed, skipping those of escape sequences and printf conversions."""
    inner = re.sub(r"\\(x[0-9A-Fa-f]+|.)|%[-+ 0-9.*]*(l|z|h)*[a-zA-Z%]", lambda match: "\0" * len(match.group()), text)
    places = [match.start() for match in re.finditer(r"[A-Za-z0-9]", inner)]
    if not places:
        places = [match.start() for match in re.finditer(r"[^\0\"]", inner)]
        if not places:
            return None
    at = places[len(places) // 2]
    return text[:at] + ("x" if text[at] not in "xX" else "y") + text[at + 1 :]


def neighbours(number):
    """The number plus one and minus one."""
    match = re.match(r"(0x)?([0-9A-Fa-f]+?)([uUlL]*)$", number)
    value, suffix = int(match.group(2), 16 if match.group(1) else 10), match.group(3)
    return [(hex(other) if match.group(1) else str(other)) + suffix for other in (value + 1, value - 1) if other >= 0]


def end_of_operand(tokens, pair, i, step):
    """Where the operand of && or || that begins beside token i ends, in the direction of `step`."""
    at = i + step
    while 0 <= at < len(tokens):
        token = tokens[at]
        if token.kind == "sign" and token.text in (OPEN if step > 0 else SHUT):
            if at not in pair:
                return None
            at = pair[at]
        elif token.text in {"&&", "||", "?", ":", ";", ",", "=", "return"} | set(OPEN) | SHUT:
            return at - step
        at += step
    return None


def of_tokens(tokens, pair):
    """Mutants of single tokens, and of the operands next to them."""
    for i, token in enumerate(tokens):
        before = tokens[i - 1].text if i else ""
        after = tokens[i + 1].text if i + 1 < len(tokens) else ""
        spaced = i and i + 1 < len(tokens) and tokens[i - 1].end < token.start and token.end < tokens[i + 1].start
        if token.kind == "number":
            for new in neighbours(token.text):
                yield Mutant("number", token.start, token.end, new)
        elif token.kind == "char" and len(token.text) == 3:
            yield Mutant("character", token.start, token.end, f"'{chr(ord(token.text[1]) + 1)}'".replace("'''", "'!'")
                         .replace("'\\'", "'!'"))
        elif token.kind == "string":
            new = changed_string(token.text)
            if new:
                yield Mutant("string", token.start, token.end, new)
        elif token.kind == "name" and token.text in NEXT and (
                before in (".", "->") or not token.text.islower() or token.text in ("true", "false")):
            yield Mutant("name", token.start, token.end, NEXT[token.text])
        elif token.text in COMPARISONS and spaced:
            for new in COMPARISONS[token.text]:
                yield Mutant("comparison", token.start, token.end, new)
        elif token.text in ("&&", "||"):
            yield Mutant("logic", token.start, token.end, "||" if token.text == "&&" else "&&")
            right, left = end_of_operand(tokens, pair, i, 1), end_of_operand(tokens, pair, i, -1)
            if right is not None and right > i:
                yield Mutant("operand", token.start, tokens[right].end, "")
            if left is not None and left < i:
                yield Mutant("operand", tokens[left].start, token.end, "")
        elif token.text == "!" and after != "=":
            yield Mutant("negation", token.start, token.end, "")
        elif token.text == "?" and spaced:
            yield Mutant("choice", token.start, token.end, "&& 0 ?")
            yield Mutant("choice", token.start, token.end, "|| 1 ?")
        elif token.text in ARITHMETIC and (spaced or (token.text in ("++", "--") and before != ")")):
            yield Mutant("arithmetic", token.start, token.end, ARITHMETIC[token.text])


def of_statements(tokens, pair):
    """Statements removed, conditions negated or replaced by true or false, labels removed."""
    blocks, controls = set(), {}
    depth = 0
    for i, token in enumerate(tokens):
        before = tokens[i - 1] if i else None
        if token.text == "{" and token.kind == "sign":
            opening = pair.get(i - 1) if before and before.text == ")" else None
            head = tokens[opening - 1].text if opening else ""
            if (head in ("if", "for", "while", "switch") or (before and before.text in ("else", "do"))
                    or (depth == 0 and before.text == ")") or (blocks and before.text in (";", "{", "}") and depth)):
                blocks.add(i)
            depth += 1
        elif token.text == "}" and token.kind == "sign":
            depth -= 1
        elif token.text in ("if", "while", "for", "switch") and i + 1 in pair:
            controls[pair[i + 1]] = i
            if token.text in ("if", "while"):
                start, end = tokens[i + 1].end, tokens[pair[i + 1]].start
                yield Mutant("condition", start, end, "!(%s)")
                yield Mutant("condition", start, end, "0")
                if token.text == "if":
                    yield Mutant("condition", start, end, "1")
    inside, labels = [], set()
    for i, token in enumerate(tokens):
        if token.kind == "sign" and token.text in OPEN:
            inside.append(i in blocks)
        elif token.kind == "sign" and token.text in SHUT:
            if inside:
                inside.pop()
        elif inside and inside[-1] and token.kind in ("name", "sign"):
            before = tokens[i - 1]
            begins = (before.text in (";", "{", "}", "else", "do") and before.kind in ("sign", "name")
                      or i - 1 in controls or i - 1 in labels)
            if not begins or token.text in ("if", "for", "while", "do", "switch", "else", ";", ":", "?"):
                continue
            if token.text in ("case", "default"):
                end = i
                while tokens[end].text != ":":
                    end += 1
                labels.add(end)
                if token.text == "case":
                    yield Mutant("label", token.start, tokens[end].end, "")
                continue
            if token.text in DECLARING:
                continue
            end = i
            while end < len(tokens) and tokens[end].text != ";":
                end = pair[end] + 1 if tokens[end].text in OPEN and end in pair else end + 1
                if end < len(tokens) and tokens[end].text == "}":
                    end = len(tokens)
            if end < len(tokens) and tokens[end].start < tokens[end].end:
                yield Mutant("statement", token.start, tokens[end].end, ";")


def of_tables(source, tokens, pair):
    """Elements of braces removed, system calls of the filter removed or added."""
    for i, token in enumerate(tokens):
        if token.text == "{" and token.kind == "sign" and i in pair:
            elements, begin, at = [], i + 1, i + 1
            while at < pair[i]:
                if tokens[at].text == ";":
                    elements = []
                    break
                if tokens[at].text == ",":
                    elements.append((begin, at))
                    begin = at + 1
                at = pair[at] + 1 if tokens[at].text in OPEN and at in pair else at + 1
            else:
                for first, last in elements:
                    yield Mutant("element", tokens[first].start, tokens[last].end, "")
        elif token.text in ("ALLOW", "ALLOW_IF", "ALLOW_IF_BOTH") and i + 1 in pair and tokens[i + 2].text != "call":
            end = pair[i + 1] + 1
            if tokens[end].text == ",":
                yield Mutant("call", token.start, tokens[end].end, "")
            elif tokens[i - 1].text == ",":
                yield Mutant("call", tokens[i - 1].start, tokens[end - 1].end, "")
            if token.text != "ALLOW":
                yield Mutant("call", token.start, tokens[end - 1].end, f"ALLOW({tokens[i + 2].text})")
    for match in re.finditer(r"^#define (?:ECHO|JOURNAL)_CALLS\s*\\\n\s*", source, re.MULTILINE):
        for name in ADDED_CALLS:
            yield Mutant("call", match.end(), match.end(), f"ALLOW({name}), ")


def changed_setting(line):
    """Mistakes in a setting: another number, the opposite, or a word missing."""
    name, separator, value = re.match(r"([^=]*?)(\s*=\s*)(.*)", line).groups()
    number = re.search(r"\d+", value)
    if number:
        yield name + separator + value[: number.start()] + str(int(number.group()) + 1) + value[number.end() :]
    if value in ("yes", "no"):
        yield name + separator + {"yes": "no", "no": "yes"}[value]
    words = value.split()
    for i in range(len(words) if len(words) > 1 else 0):
        yield name + separator + " ".join(words[:i] + words[i + 1 :])


def mutants_of_units():
    """Settings removed or changed, in the units and the xinetd entry."""
    found = []
    for name in UNITS:
        text = (TOP / name).read_text("utf-8")
        for match in re.finditer(r"^(?!#)[^\n=]+=.*$", text, re.MULTILINE):
            for operator, new in [("setting left out", ""), *[("setting", new) for new in changed_setting(match.group())]]:
                short = pathlib.Path(name).name
                mutant = Mutant(operator, *match.span(), new, short, text.count("\n", 0, match.start()) + 1, match.group(),
                                match.group(), file=name)
                mutant.id = hashlib.sha1(f"{short}|{operator}|{mutant.old}|{new}".encode()).hexdigest()[:8]
                found.append(mutant)
    return found


def mutants_of(path, seen):
    """The mutants of a file; `seen` counts equal changes of equal lines."""
    source = path.read_text("utf-8")
    tokens = tokens_of(source)
    pair = counterparts(tokens)
    debug = [match.span() for match in re.finditer(r"^#ifdef DEBUG\n.*?^#(?:else|endif)", source, re.M | re.S)]
    found = []
    for mutant in [*of_tokens(tokens, pair), *of_statements(tokens, pair), *of_tables(source, tokens, pair)]:
        if any(start <= mutant.start < end for start, end in debug):
            continue
        mutant.room, mutant.file = path.stem, str(path.relative_to(TOP))
        mutant.line = source.count("\n", 0, mutant.start) + 1
        mutant.old = source[mutant.start : mutant.end]
        mutant.new = mutant.new.replace("%s", mutant.old) if mutant.operator == "condition" else mutant.new
        begin = source.rfind("\n", 0, mutant.start) + 1
        context = source[begin : source.index("\n", mutant.end)]
        mutant.context = " ".join(context.replace("\\\n", " ").split())
        key = "|".join([mutant.room, mutant.operator, mutant.context, mutant.old, mutant.new])
        seen[key] += 1
        mutant.id = hashlib.sha1(f"{key}|{seen[key]}".encode()).hexdigest()[:8]
        # Keep the line numbers of the rest of the file.
        mutant.new += "\n" * (mutant.old.count("\n") - mutant.new.count("\n"))
        if "\\\n" in mutant.old:
            mutant.new = mutant.new.rstrip("\n") + " \\\n" * mutant.old.count("\n")
        found.append(mutant)
    return found


def spread(mutants, number, seed):
    """A sample of about `number` mutants: from each room its share and at least a few. A larger sample includes it."""
    def rank(mutant):
        return hashlib.sha1(f"{seed}{mutant.id}".encode()).digest()

    groups = collections.defaultdict(list)
    for mutant in mutants:
        groups[mutant.room].append(mutant)
    ranked = []
    for group in groups.values():
        group.sort(key=rank)
        ranked += [((i + 0.5) / len(group) if i >= 4 else 0, rank(mutant), mutant) for i, mutant in enumerate(group)]
    ranked.sort(key=lambda entry: entry[:2])
    return [mutant for _, _, mutant in ranked[:number]]


def lines_changed(revision):
    """The lines of the program that differ from a revision, as (file, number); None if the revision is unknown."""
    result = subprocess.run(["git", "diff", "-U0", "--no-prefix", revision, "--", "ws-echo.c", "src"], cwd=TOP,
                            capture_output=True, text=True, check=False)
    if result.returncode:
        return None
    found, file = set(), None
    for line in result.stdout.splitlines():
        if line.startswith("+++ "):
            file = line.removeprefix("+++ ")
        elif place := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            begin = int(place[1])
            found |= {(file, number) for number in range(begin, begin + int(place[2] or 1))}
    return found


# ---- Running ----------------------------------------------------------------------------------------------

class Tree:
    """A copy of the files under version control, in which one mutant at a time is compiled and tested."""

    def __init__(self, number):
        self.path = PLACE / f"tree-{number}"
        shutil.rmtree(self.path, ignore_errors=True)
        names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=TOP, capture_output=True,
                               text=True, check=True).stdout.split("\0")
        for name in filter(None, names):
            if (TOP / name).is_file():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(TOP / name, self.path / name)
        (self.path / "build/dumpable").mkdir(parents=True, exist_ok=True)
        if (TOP / "build/launchers").is_dir():
            (self.path / "build/launchers").symlink_to(TOP / "build/launchers")
        self.run(["make", "-s", ONE_SOURCE])
        self.commands = {program: self.command(program) for program in ("ws-echo", "ws-echo-static")}
        self.dumpable = {program: self.command(f"build/dumpable/{program}") for program in self.commands}
        self.objects = {program: self.compiled(program) for program in self.commands}
        self.optimised = {}
        self.original = ""  # text of the mutated file without the mutant

    def command(self, program):
        """The command with which the Makefile compiles a program, without slow optimisations."""
        made = re.sub(r"\\\n\s*", "", self.run(["make", "-nB", program, "CFLAGS=-O0"])[1])
        line = next(line for line in made.splitlines() if f" -o {program} " in line)
        return [word for word in shlex.split(line) if not word.startswith(("-W", "-D_FORTIFY")) or word.startswith("-Wl")]

    def run(self, command, limit=STAGE_LIMIT, **environment):
        """Runs a command in the tree: (exit status, output); the status is None if it takes too long."""
        with subprocess.Popen(command, cwd=self.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, start_new_session=True,
                              env={**os.environ, **environment}) as process:
            try:
                said = process.communicate(timeout=limit)[0]
                status = process.returncode
            except subprocess.TimeoutExpired:
                status = None
                self.end(process)
                said = process.communicate()[0]
            finally:
                self.end(process)
        return status, said.decode(errors="replace")

    @staticmethod
    def end(process):
        """Kills the test with its children: a mutant in an endless loop would outlive its test."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def compiled(self, program, *more):
        """Compiles a program and returns its object code; None if it does not compile."""
        command = self.commands[program]
        output = self.path / "build/mutant.o"
        words = command[: command.index("-o")] + list(more) + ["-g0", "-c", "-o", str(output), ONE_SOURCE]
        words = [word for word in words if not word.endswith(".o") or word == str(output)]
        return output.read_bytes() if self.run(words)[0] == 0 else None

    def linked(self, program):
        """Links the object that was compiled last."""
        return self.run(["build/mutant.o" if word == ONE_SOURCE else word for word in self.commands[program]])[0] == 0

    def tests_in_c(self, mutated=None):
        """Compiles and runs the tests in C with the mutant of a room; returns the first test that fails, or None."""
        command = self.commands["ws-echo"]
        compiler = [word for word in command[: command.index("-o")] if word != "-fwhole-program"]
        rooms = self.run(["tests/unit/build.py"])[1].split()
        for room in sorted(rooms, key=lambda room: room != mutated):
            file = f"unit/test_{room}.c"
            if self.run(["tests/unit/build.py", "build/unit", room, *compiler, "-O1"])[0] != 0:
                return f"{file} does not compile"
            names = re.findall(r"^TEST\((\w+)\)", (self.path / "tests" / file).read_text("utf-8"), re.M)
            chosen = [name for name in names if room == mutated or not name.startswith(SLOW_IN_C)]
            status, said = self.run([f"build/unit/{room}", *chosen], 60) if chosen else (0, "")
            failed = re.search(r"^tests/\S+:\d+: (\w+)", said, re.M)
            if status != 0:
                return f"{file}: {failed.group(1) if failed else f'status {status}'}"
        return None

    def pytest(self, files, program, *more):
        """Runs test files; returns the first test that fails twice, or None.

        A failing test is run again, because on a busy machine it may fail by taking too long.
        """
        names = [name for name in map(self.file_of, files) if os.geteuid() == 0 or not name.startswith("tests/system/")]
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
        self.run(self.dumpable[program])
        environment = {"WS_ECHO": str(self.path / program), "PYTHONDONTWRITEBYTECODE": "1",
                       "WS_ECHO_DUMPABLE": str(self.path / "build/dumpable" / program), "WAIT_LIMIT": str(LIMIT)}
        passed = []
        while True:
            status, said = self.run([*command, *more, *passed, *names], **environment)
            if status == 0:
                return None
            found = re.search(r"^(?:FAILED|ERROR) (\S+?::.*?)(?: - .*)?$", said, re.M)
            if not found:
                return f"{names[0]}: status {status}: {said[-200:]}"
            if len(passed) == 5 or found.group(1).startswith(STEADY) or self.run([*command, found.group(1)], **environment)[0] != 0:
                return found.group(1).removeprefix("tests/")
            passed.append(f"--deselect={found.group(1)}")

    @staticmethod
    def file_of(name):
        """Turns frames into tests/protocol/test_frames.py; a path below tests/ gets this folder in front."""
        if name.endswith(".py"):
            return f"tests/{name}"
        found = [file for file in OTHERS if file.endswith(f"/test_{name}.py")]
        assert len(found) == 1, f"rooms.txt: there is no test_{name}.py"
        return f"tests/{found[0]}"

    def noticed(self, mutant, program, system, only_first):
        """The test that notices the compiled mutant, or None; True if the mutant is equivalent."""
        first = FIRST[mutant.room].split()
        for is_unit, names in itertools.groupby(first, lambda name: name == "unit"):
            failed = self.tests_in_c(mutant.room) if is_unit else self.pytest(names, program, "-p", "no:xdist")
            if failed:
                return failed
        # If the optimised code is the same too, the mutant is equivalent, and no test need run.
        if program not in self.optimised:
            self.optimised[program] = self.reference(mutant, program)
        if self.compiled(program, "-O2") == self.optimised[program]:
            return True
        if only_first:
            return None
        tried = {self.file_of(name) for name in first if not name.endswith("unit")}
        others = [name for name in OTHERS if self.file_of(name) not in tried]
        failed = self.pytest(others, program, "-n4")
        if not failed and program == "ws-echo":
            made = self.run(["make", "-B", "ws-echo", "ws-echo-static", "CFLAGS=-O2 -g -Werror"])[0]
            failed = "a warning of the compiler" if made else self.pytest(["process/test_instruction_counts.py"], program)
        if not failed and system and mutant.room in SYSTEM:
            failed = self.pytest(["system/test_sandbox.py", "system/test_systemd.py",
                                  "system/test_crowd.py", "system/test_launchers.py", "system/test_xinetd.py"], program)
        return failed

    def reference(self, mutant, program):
        """The optimised object code of the program without the mutant."""
        path = self.path / mutant.file
        mutated = path.read_text("utf-8")
        path.write_text(self.original, "utf-8")
        reference = self.compiled(program, "-O2")
        path.write_text(mutated, "utf-8")
        return reference

    def judge(self, mutant, system, only_first):
        """Tests a mutant; returns (result, the test that noticed it)."""
        path = self.path / mutant.file
        self.original = path.read_text("utf-8")
        path.write_text(self.original[: mutant.start] + mutant.new + self.original[mutant.end :], "utf-8")
        try:
            return self.judge_setting(system) if mutant.file in UNITS else self.judge_room(mutant, system, only_first)
        finally:
            path.write_text(self.original, "utf-8")

    def judge_room(self, mutant, system, only_first):
        differs = {}
        for program, reference in self.objects.items():
            made = self.compiled(program)
            if made is None:
                return "invalid", "it does not compile"
            differs[program] = made != reference
            if differs["ws-echo"]:
                break
        program = next((program for program, different in differs.items() if different), None)
        if not program:
            return "equivalent", "the object code is the same"
        if not self.linked(program):
            return "invalid", "it does not link"
        failed = self.noticed(mutant, program, system, only_first)
        if failed is True:
            return "equivalent", "the optimised object code is the same"
        return ("killed", failed) if failed else ("open" if only_first else "survived", "")

    def judge_setting(self, system):
        self.run(["make", "-s", "ws-echo", "ws-echo-static"])
        failed = self.pytest(["manual", "readme", "documents/test_build.py"], "ws-echo", "-p", "no:xdist")
        if not failed and system:
            failed = self.pytest(project.tests_in(["system"]), "ws-echo")
        return ("killed", failed) if failed else ("survived", "")


def known_equivalents():
    """The ids in mutants.txt: the first word of each line that does not begin with white space or #."""
    if not EQUIVALENT.exists():
        return set()
    return set(re.findall(r"^([0-9a-f]{8})\b", EQUIVALENT.read_text("utf-8"), re.MULTILINE))


def results_so_far():
    if not RESULTS.exists():
        return {}
    lines = RESULTS.read_text("utf-8").splitlines()
    return {result["id"]: result for result in map(json.loads, lines)}


def run_all(mutants, jobs, seconds, **how):
    """Runs mutants until the time is over, and stores each result."""
    PLACE.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds if seconds else None
    trees, lock = queue.Queue(), threading.Lock()
    for number in range(jobs):
        tree = Tree(number)
        if number == 0 and (failed := tree.tests_in_c()):
            sys.exit(f"mutants.py: fails without a mutant: {failed}")
        trees.put(tree)

    def run(mutant):
        if deadline and time.monotonic() > deadline:
            return
        tree, began = trees.get(), time.monotonic()
        try:
            result, by = tree.judge(mutant, **how)
        finally:
            trees.put(tree)
        entry = {"id": mutant.id, "result": result, "by": by, "seconds": round(time.monotonic() - began, 1)}
        with lock, RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            print(f"{result:10} {shown(mutant)}  {by}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, mutant) for mutant in mutants]):
            done.result()


def shown(mutant):
    old, new = " ".join(mutant.old.split()), " ".join(mutant.new.split())
    return f"{mutant.id} {mutant.file}:{mutant.line}, {mutant.operator}: `{old}` -> `{new}`"


def report(mutants):
    """Prints the figures for each room, and the survivors; returns whether enough mutants were noticed."""
    results, equivalents = results_so_far(), known_equivalents()
    table, survivors = collections.defaultdict(collections.Counter), []
    for mutant in mutants:
        result = results.get(mutant.id, {}).get("result")
        if result in ("survived", "open") and mutant.id in equivalents:
            result = "equivalent"
        elif result in ("survived", "open"):
            survivors.append(mutant)
            result = "survived"
        if result in ("killed", "survived", "equivalent"):
            table[mutant.room][result] += 1
            table["all"][result] += 1
    print(f"{'room':18} mutants  equivalent  noticed  survived")
    for room in sorted(table, key=lambda name: (name == "all", name)):
        row = table[room]
        judged = row["killed"] + row["survived"]
        share = f"{100 * row['killed'] / judged:6.1f} %" if judged else ""
        print(f"{room:18} {row.total():7}  {row['equivalent']:10}  {row['killed']:7}  {row['survived']:8}  {share}")
    for mutant in survivors:
        print(f"survived   {shown(mutant)}\n           {mutant.context[:150]}")
    row = table["all"]
    return row["killed"] >= WANTED * (row["killed"] + row["survived"])


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--number", type=int, default=400)
    parser.add_argument("--only", action="append", help="a room or an id; repeatable")
    parser.add_argument("--operator", action="append", help="of this operator; repeatable")
    parser.add_argument("--lines", type=int, nargs=2, help="on these lines of the files that --only names, from and to")
    parser.add_argument("--changed", metavar="REV")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--system", action="store_true", help="a real systemd may notice a survivor; as root")
    parser.add_argument("--units", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()

    seen = collections.Counter()
    mutants = mutants_of_units() if options.units else [
        mutant for path in project.files_of_the_program() for mutant in mutants_of(path, seen)]
    if options.only:
        if unknown := set(options.only) - {name for mutant in mutants for name in (mutant.room, mutant.id)}:
            sys.exit(f"mutants.py: neither a room nor an id: {', '.join(sorted(unknown))}")
        mutants = [mutant for mutant in mutants if mutant.room in options.only or mutant.id in options.only]
    if options.operator:
        mutants = [mutant for mutant in mutants if mutant.operator in options.operator]
    if options.lines:
        mutants = [mutant for mutant in mutants if options.lines[0] <= mutant.line <= options.lines[1]]
    if options.report:
        sys.exit(0 if report(mutants) else 1)
    if options.changed:
        lines = lines_changed(options.changed) or set()
        mutants = [mutant for mutant in mutants if (mutant.file, mutant.line) in lines] or mutants
        options.seconds = options.seconds or 400
    undecided = {None, *(["open"] if not options.first else []), *(["open", "survived"] if options.again else [])}
    known, results = known_equivalents(), results_so_far()
    sample = spread(mutants, options.number, options.seed)
    chosen = [mutant for mutant in sample if mutant.id not in known and
              (options.fresh or results.get(mutant.id, {}).get("result") in undecided)]
    if options.list:
        for mutant in chosen:
            print(shown(mutant))
        print(len(chosen), "of", len(mutants))
        return
    run_all(chosen, options.jobs, options.seconds, system=options.system, only_first=options.first)
    sys.exit(0 if report(sample) else 1)


if __name__ == "__main__":
    main()
