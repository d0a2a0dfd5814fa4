#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Counts the instructions of ws-echo with callgrind, and compares them with instructions.txt.

    instructions.py                       fails where a count is more than 3 % above the committed one
    instructions.py --update=REASON       writes today's counts and REASON into instructions.txt

Unlike times, instructions hardly depend on the machine. This counts a whole connection from exec to exit, and
a message in each of pingpong, pipeline and big. The count of a message is the difference between two runs,
divided by the difference of their numbers of messages. The program has one end of a socket pair and always
receives the same portions of bytes, so counts are reproducible:

    pingpong    a message is sent when the echo of the one before it has arrived
    pipeline    all messages are sent before the program starts; it reads as many as fit at a time
    big         portions of 32 KiB, each sent when the program has read the one before

Every answer is compared with the expected one. Instructions of the kernel are not counted. The program runs
without its system call filter, which would also apply to callgrind: another filter, installed first, makes
the program's calls that install its filter return 0 without effect.

Counts depend on compiler, libraries and vector instructions, so instructions.txt names those it is for. With
others, nothing is compared, and the reason is printed; with CI=true on the same system this is an error.
"""

import argparse
import concurrent.futures
import ctypes
import datetime
import fcntl
import os
import pathlib
import platform
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import framing  # noqa: E402: found by the line above
import heads  # noqa: E402: found by the line above
import launch  # noqa: E402: found by the line above
import project  # noqa: E402: found by the line above

BASELINE = HERE / "instructions.txt"
ALLOWED_RISE = 0.03
ELF_32 = 1  # e_ident[EI_CLASS] in the ELF header
PORTION = 32 << 10  # bytes that a Unix socket transfers in one piece
KIB, MIB = 1 << 10, 1 << 20

# Numbers of messages of the shorter and the longer run.
PINGPONG = {16: (20, 120), 125: (20, 120), KIB: (20, 120), 16 * KIB: (5, 15)}
PIPELINE = {16: (1024, 4096), 125: (256, 1024), KIB: (32, 128), 16 * KIB: (3, 8)}
BIG = {64 * KIB: (2, 6), MIB: (1, 3)}


# ---- Running the program under callgrind --------------------------------------------------------------


def pretend_filters():
    """Install a system call filter for this process and its children: prctl(PR_SET_SECCOMP) and seccomp(2)
    return 0 without effect, so that the program believes that its own filter is installed."""
    prctl, seccomp, no_new_privileges, set_seccomp, mode_filter = 157, 317, 38, 22, 2
    load, jump_if_equal, answer, allow, done = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
    number, first_argument = 0, 16  # offsets in struct seccomp_data
    code = [
        (load, 0, 0, number),
        (jump_if_equal, 3, 0, seccomp),
        (jump_if_equal, 0, 3, prctl),
        (load, 0, 0, first_argument),
        (jump_if_equal, 0, 1, set_seccomp),
        (answer, 0, 0, done),
        (answer, 0, 0, allow),
    ]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in code))
    program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(set_seccomp, mode_filter, program, 0, 0):
        raise OSError(ctypes.get_errno(), "system call filter")


def prepare():
    """Run in the child process before it executes callgrind."""
    launch.become_nobody()  # otherwise the program would read /etc/passwd, which would be counted
    pretend_filters()


def take(connection, expected):
    """Take a socket and bytes; read as many bytes and assert that they are equal."""
    received = bytearray()
    while len(received) < len(expected):
        piece = connection.recv(MIB)
        if not piece:
            break
        received += piece
    framing.same(bytes(received), expected)


def wait_until_taken(connection):
    """Take a socket; wait until the other side has read all that was sent."""
    left = bytearray(4)
    while fcntl.ioctl(connection, termios.TIOCOUTQ, left) == 0 and any(left):
        time.sleep(0.0002)


def count(program, before, talk):
    """Take the program, bytes to send before it starts, and a function that communicates with it on a socket;
    return the number of instructions from exec to exit."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIB)
    ours.settimeout(project.LIMIT)
    if ours.send(before) != len(before):
        sys.exit("instructions: the socket pair does not hold what a pipeline sends: raise net.core.wmem_max")
    with tempfile.TemporaryFile() as log:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no"]
        process = subprocess.Popen(
            [*command, f"--log-fd={log.fileno()}", program], stdin=theirs, stdout=theirs,
            stderr=subprocess.DEVNULL, pass_fds=[log.fileno()], preexec_fn=prepare,
            env={"PATH": "/usr/bin:/bin", "TZ": "UTC0"})
        theirs.close()
        wrong = None
        try:
            talk(ours)
            ours.close()
            wrong = process.wait(project.LIMIT) or None
        except (OSError, AssertionError, subprocess.TimeoutExpired) as error:
            wrong = error
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        text = log.read().decode()
    collected = re.search(r"Collected : (\d+)", text)
    if wrong or not collected:
        sys.exit(f"instructions: {program} failed under callgrind: {wrong}\n{text}")
    return int(collected[1])


def calls(program, data):
    """Take the program and its standard input; return how often each function is called. A function without a
    name, such as those of musl in assembler, is listed by its address."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)  # the program does not run as root
        profile = pathlib.Path(folder, "profile")
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", "--vgdb=no",
             shutil.copy(program, folder)], input=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=prepare, check=True, env={"PATH": "/usr/bin:/bin", "TZ": "UTC0"})
        lines = profile.read_text().splitlines()
    names, numbers, called = {}, {}, ""
    for line in lines:
        if function := re.match(r"c?fn=\((\d+)\)(?: (.*))?", line):
            called = function[1]
            names.setdefault(called, function[2])  # callgrind writes the name only the first time
        elif times := re.match(r"calls=(\d+) ", line):
            numbers[names[called]] = numbers.get(names[called], 0) + int(times[1])
    return numbers


# ---- The scenarios -------------------------------------------------------------------------------------


def payload(kind, size):
    """Take a kind of message and a size in bytes; return the payload, always the same one."""
    numbers = random.Random(size)
    if kind == "binary":
        return numbers.randbytes(size)
    if kind == "text":
        return bytes(numbers.choices(range(0x20, 0x7F), k=size))
    ranges = (0x80, 0x7FF), (0x800, 0xD7FF), (0x10000, 0x10FFFF)
    text = "".join(chr(numbers.randint(*numbers.choice(ranges))) for _ in range(size // 3)).encode()
    text = text[:size].decode(errors="ignore").encode()
    return text + b"." * (size - len(text))


def message(kind, size):
    """Take a kind and a size; return the frame to send and the frame that has to come back."""
    data = payload(kind, size)
    if kind == "binary":
        return framing.frame(framing.BINARY, data), framing.reply(framing.BINARY, data)
    return framing.text(data), framing.echo(data)


HEAD, SWITCHING = heads.head(), heads.switching()
CLOSE, CLOSED = framing.close(1000), framing.reply(framing.CLOSE, framing.close_body(1000))


def pingpong(program, kind, size, messages):
    """Take the program, a kind, a size and a number of messages; return the instructions of the connection."""
    turns = [(HEAD, SWITCHING), *[message(kind, size)] * messages, (CLOSE, CLOSED)]

    def talk(connection):
        for sent, expected in turns:
            connection.sendall(sent)
            take(connection, expected)

    return count(program, b"", talk)


def pipeline(program, kind, size, messages):
    """The same with all messages sent before the program starts."""
    sent, expected = message(kind, size)

    def talk(connection):
        connection.shutdown(socket.SHUT_WR)
        take(connection, SWITCHING + expected * messages + CLOSED)

    return count(program, HEAD + sent * messages + CLOSE, talk)


def big(program, kind, size, messages):
    """The same with one message at a time, in portions."""
    sent, expected = message(kind, size)

    def talk(connection):
        connection.sendall(HEAD)
        take(connection, SWITCHING)
        for _ in range(messages):
            for at in range(0, len(sent), PORTION):
                connection.sendall(sent[at : at + PORTION])
                wait_until_taken(connection)
            take(connection, expected)
        connection.sendall(CLOSE)
        take(connection, CLOSED)

    return count(program, b"", talk)


def each_message(scenario, program, kind, size, runs):
    """Take a scenario, its arguments and the numbers of messages of two runs; return the instructions per message."""
    first, second = runs
    return (scenario(program, kind, size, second) - scenario(program, kind, size, first)) / (second - first)


def count_all(program):
    """Take the program; return {what: instructions}."""
    tasks = {"connection, one message of 16 B, exec to exit": (pingpong, program, "text", 16, 1)}
    for name, scenario, kinds, sizes in (
        ("pingpong", pingpong, ["text"], PINGPONG),
        ("pipeline", pipeline, ["text"], PIPELINE),
        ("big", big, ["binary", "text", "multi-byte text"], BIG),
    ):
        for kind in kinds:
            for size, runs in sizes.items():
                tasks[f"{name}, {kind}, {size} B"] = (each_message, scenario, program, kind, size, runs)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {name: pool.submit(*task) for name, task in tasks.items()}
        return {name: round(future.result(), 1) for name, future in futures.items()}


# ---- The baseline -------------------------------------------------------------------------------------


def conditions(program):
    """Take the program; return a line with the conditions of its counts, beginning with the system."""
    system = platform.freedesktop_os_release() if os.path.exists("/etc/os-release") else {}
    vectors = "AVX2" if re.search(r"\bavx2\b", pathlib.Path("/proc/cpuinfo").read_text()) else "no AVX2"
    contents = pathlib.Path(program).read_bytes()  # contains the names of the compilers
    clang, gcc = re.search(rb"clang version (\d+)", contents), re.search(rb"GCC: \([^)]*\) (\d+)", contents)
    compiler = f"clang {clang[1].decode()}" if clang else f"gcc {gcc[1].decode()}" if gcc else "?"
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True).stdout.strip()
    name = f"{system.get('ID')} {system.get('VERSION_ID')}" + (" of 32 bits" if contents[4] == ELF_32 else "")
    return f"{name}, {platform.machine()} with {vectors}, {compiler}, {valgrind}"


def read_baseline():
    """Return the conditions of instructions.txt, its history, and {what: instructions}."""
    lines = BASELINE.read_text().splitlines() if BASELINE.exists() else []
    history = [line for line in lines if re.match(r"# \d{4}-", line)]
    condition = next((line.removeprefix("# For: ") for line in lines if line.startswith("# For: ")), "")
    counts = [line.rsplit(None, 1) for line in lines if line and not line.startswith("#")]
    return condition, history, {name: float(number) for name, number in counts}


def write_baseline(condition, history, counts):
    """Take the values that read_baseline returns; write the file."""
    lines = ["# Instructions of ws-echo, per message unless a row says otherwise: see instructions.py.",
             f"# For: {condition}", "#", "# Why they are what they are:", *history, "",
             *(f"{name:<50}{number:>14.1f}" for name, number in counts.items())]
    BASELINE.write_text("\n".join(lines) + "\n")


def compare(counts, baseline):
    """Take the new counts and the committed ones; print both and return whether none rose too far."""
    good = True
    print(f"{'':<50}{'committed':>14}{'now':>14}")
    for name in dict.fromkeys([*baseline, *counts]):
        old, new = baseline.get(name), counts.get(name)
        if old is None or new is None:
            good, verdict = False, "counted only on one side: update"
        else:
            rise = new / old - 1
            good &= rise <= ALLOWED_RISE
            advice = " TOO MUCH" if rise > ALLOWED_RISE else " update" if rise < -ALLOWED_RISE else ""
            verdict = f"{rise:+.1%}{advice}"
        print(f"{name:<50}{old or '-':>14}{new or '-':>14}  {verdict}")
    return good


def main():
    """Count, then compare or update; the exit status is 1 if a count rose too far."""
    parser = argparse.ArgumentParser(description="Counts the instructions of ws-echo.")
    parser.add_argument("--program", default=launch.PROGRAM, help="the program to count")
    parser.add_argument("--update", metavar="REASON", help="take today's counts for the committed ones")
    options = parser.parse_args()
    if not os.access(options.program, os.X_OK):
        sys.exit(f"instructions: {options.program} is missing: build it with make")
    valgrind = shutil.which("valgrind")
    wanted, history, baseline = read_baseline()
    found = conditions(options.program) if valgrind else "valgrind is missing: install the package valgrind"
    if not options.update and found != wanted:
        print(f"instructions: not compared: the committed counts are for {wanted}; here: {found}")
        must = not valgrind or found.split(",")[0] == wanted.split(",")[0]
        sys.exit(1 if must and os.environ.get("CI") == "true" else 0)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # the program does not run as root
        counts = count_all(shutil.copy(options.program, folder))
    if options.update:
        write_baseline(found, [*history, f"# {datetime.date.today()} {options.update}"], counts)
        print(f"instructions: wrote {BASELINE}")
    elif not compare(counts, baseline):
        sys.exit("instructions: make it cheaper, or say why it costs more with --update=REASON and commit that")


if __name__ == "__main__":
    main()
