"""The pure functions, tested in C: unit.c and fuzz.c include the program to call them."""

import re
import shlex
import subprocess
import zlib

import pytest
import wire
from parts import require

BUILD = wire.TOP / "build"
SANITIZED = ["-O1", "-U_FORTIFY_SOURCE", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FORMATTER = 14  # Debian 12's
PLACE = b"\x00\x14"  # where fuzz.c cuts an input

HEAD = (b"GET /socket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: a, chat\r\nOrigin: null\r\n"
        b"Sec-WebSocket-Extensions: x;a=\"b\\c\", permessage-deflate; server_no_context_takeover; client_max_window_bits=9"
        b"\r\n\r\n\x81\x80\x01\x02\x03\x04")
PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

# By the letter that chooses what is fuzzed; fuzz.c makes more of them.
INPUTS = {
    b"h" + PLACE: [
        b"",
        HEAD,
        b"\r\nHEAD / HTTP/1.0\r\n\r\n",
        b"GET http://a.example:80/a?b HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 0\r\nX:\t y \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
        b"GET /" + b"a" * 5000,
        b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 101,
        b"GET / HTTP/1.1\r\na:" + b" " * 17000,
    ],
    b"p" + PLACE: [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET",
        b"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 1 2\r\n",
        b"PROXY UNKNOWN " + b"x" * 200,
        PROXY_SIGNATURE + b"\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb",
        PROXY_SIGNATURE + b"\x21\x21\0\x24" + b"\x20\x01" * 18,
        PROXY_SIGNATURE + b"\x21\x31\0\xd8" + b"/" * 216,
        PROXY_SIGNATURE + b"\x21\x11\xff\xff" + b"\x01" * 0xffff,
        PROXY_SIGNATURE + b"\x20\0\0\0",
    ],
    b"f\0\x04": [
        b"\x81\x85\x37\xfa\x21\x3dabcde",
        b"\x82\xfe\x01\x00abcd",
        b"\x02\xff\0\0\0\0\0\x01\0\0abcd",
        b"\x02\xff\x80\0\0\0\0\x01\0\0abcd",
        b"\x88\x82abcd\x03\xe8",
    ],
    b"u" + PLACE: [
        "aäß€😀 a text that fills a vector of 32 bytes, and more: 日本語 κόσμε".encode() * 3,
        b"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xe0\xa0\x80" * 8,
        b"a" * 70 + b"\xf0\x9f\x98\x80" + b"b" * 40,
        b"a" * 62 + b"\xf0\x9f\x98",
        b"a" * 40 + b"\xed\xa0\x80" + b"b" * 40,
        b"\xc3\xa4" * 40 + b"\xc0\x80",
    ],
    **{b"d\0" + bytes([place]): [
        b"",
        b"\0",
        bytes.fromhex("f248cdc9c90700"),
        bytes.fromhex("f348cdc9c90700" "f348cdc9c90700"),
        b"\x00\x13\x00\xec\xff" + ("x" * 14 + "ä€").encode() + b"\0",
        zlib.compress(b"a text that is longer, and has the words the and that, and the end. " * 9, wbits=-15) + b"\0",
        zlib.compress(bytes(range(256)) * 4, wbits=-15)[:-1],
        zlib.compress(bytes(5001), wbits=-15),
        bytes.fromhex("3208001c"),  # the header of a block that is no block in the last octet of one
    ] for place in (4, 5)},
    b"o": [
        b"",
        b"--path=/a\0-P\0>%20\0--timeout=5\0--ping-interval=0.5\0-m\x0064K\0-qsnone\0-ohttps://a.example",
        b"--help\0--version\0-v\0--no-page\0--proxy-protocol\0--user=x\0--handshake-timeout\x001",
        b"-\xc3\xb6\0-x",
        b"--path=" + b"/" * 600 + b"\0-P" + b"a" * 600,
    ],
}


def flags():
    """The flags that the program is compiled with."""
    command = ["make", "-s", "--no-print-directory", "--eval=print-flags: ; @: $(info $(OURS))",
               "print-flags"]
    made = subprocess.run(command, cwd=wire.TOP, capture_output=True, text=True, timeout=wire.LIMIT,
                          check=True)
    return shlex.split(made.stdout)


def compile_test(compiler, source, name, *more):
    """Compile a file of this folder into build/ and return the program."""
    program = BUILD / name
    subprocess.run(["make", "-s", "build/page.h"], cwd=wire.TOP, timeout=wire.LIMIT, check=True)
    command = [compiler, *flags(), *more, "-g", "-pie", "-o", program, f"tests/{source}", "-lnettle", "-lz"]
    made = subprocess.run(command, cwd=wire.TOP, capture_output=True, text=True, timeout=2 * wire.LIMIT,
                          check=False)
    if made.returncode and "libclang_rt" in made.stderr:
        require("libclang_rt", "libclang-rt-dev")  # no command, but what the sanitizers are linked with
    assert made.returncode == 0 and not made.stderr, made.stderr
    return program


def passes(program, *arguments):
    """Run a test program, which must not complain, and return what it says."""
    result = subprocess.run([program, *arguments], cwd=BUILD, capture_output=True, timeout=2 * wire.LIMIT,
                            check=False)
    said = (result.stdout + result.stderr).decode(errors="replace")
    assert result.returncode == 0, said
    return said


def written(folder):
    """The inputs as files of a folder."""
    for letter, group in INPUTS.items():
        for number, data in enumerate(group):
            (folder / f"{letter[:1].decode()}{letter[1:].hex()}-{number}").write_bytes(letter + data)
    return sorted(folder.iterdir())


@pytest.fixture
def inputs(tmp_path):
    return written(tmp_path)


@pytest.mark.slow("some functions are tested with all arguments there are")
def test_unit():
    assert passes(compile_test("cc", "unit.c", "unit", "-O2")).endswith(" passed, 0 failed\n")


@pytest.mark.slow("some functions are tested with all arguments there are")
def test_unit_with_sanitizers():
    clang = require("clang", "clang")
    program = compile_test(clang, "unit.c", "unit-sanitized", *SANITIZED)
    assert passes(program).endswith(" passed, 0 failed\n")


@pytest.mark.slow("every input is tried with thousands of changes")
def test_fuzzed_inputs(inputs):
    program = compile_test("cc", "fuzz.c", "fuzz-plain", "-O2", "-DSTANDALONE")
    assert f"{len(inputs)} inputs, " in passes(program, *inputs)


@pytest.mark.slow("every input is tried with thousands of changes")
def test_fuzzed_inputs_with_sanitizers(inputs):
    clang = require("clang", "clang")
    program = compile_test(clang, "fuzz.c", "fuzz-sanitized", *SANITIZED, "-DSTANDALONE")
    assert f"{len(inputs)} inputs, " in passes(program, *inputs)


@pytest.mark.slow("clang compiles the program with sanitizers")
def test_fuzzed_inputs_under_libfuzzer(inputs):
    """For as long as one likes: build/fuzz FOLDER."""
    clang = require("clang", "clang")
    program = compile_test(clang, "fuzz.c", "fuzz", *SANITIZED, "-fsanitize=fuzzer")
    assert f"Running: {inputs[-1]}" in passes(program, *inputs)


def test_clang_compiles_it_without_libsystemd_and_without_a_warning(tmp_path):
    """What test_build.py cannot build with clang, where musl's compiler is gcc."""
    path = require("clang", "clang")
    subprocess.run(["make", "-s", "build/page.h"], cwd=wire.TOP, timeout=wire.LIMIT, check=True)
    made = subprocess.run([path, *flags(), "-Werror", "-O2", "-DWITHOUT_LIBSYSTEMD", "-c", "-o", tmp_path / "ws-echo.o",
                           "ws-echo.c"], cwd=wire.TOP, capture_output=True, text=True, timeout=2 * wire.LIMIT,
                          check=False)
    assert made.returncode == 0 and not made.stderr, made.stderr


@pytest.mark.parametrize("source", ["ws-echo.c", "tests/unit.c", "tests/fuzz.c", "tests/sandbox.c"])
def test_no_string_fills_its_array_without_the_byte_that_ends_it(source):
    """gcc 15 and clang 21 warn of it unasked; older ones of gcc among what C++ does not allow."""
    subprocess.run(["make", "-s", "build/page.h"], cwd=wire.TOP, timeout=wire.LIMIT, check=True)
    made = subprocess.run([require("gcc", "gcc"), *flags(), "-Wc++-compat", "-fsyntax-only", source], cwd=wire.TOP,
                          capture_output=True, text=True, timeout=wire.LIMIT, check=False)
    assert not re.findall(r".*initializer-string.*", made.stderr), made.stderr


@pytest.mark.parametrize("source", ["ws-echo.c", *sorted(str(path.relative_to(wire.TOP))
                                                       for path in (wire.TOP / "tests").rglob("*.c"))])
def test_it_is_formatted(source):
    """By the opinion of one version, since each has its own."""
    formatter = require("clang-format", "clang-format")
    version = subprocess.run([formatter, "--version"], capture_output=True, text=True, check=True).stdout
    if f" version {FORMATTER}." not in version:
        pytest.skip(f"clang-format {FORMATTER} judges the format; here is {version.strip()}")
    result = subprocess.run([formatter, "--dry-run", "-Werror", source], cwd=wire.TOP, capture_output=True, text=True,
                            timeout=wire.LIMIT, check=False)
    assert result.returncode == 0, result.stderr
