# SPDX-License-Identifier: MIT
"""The PROXY protocol, versions 1 and 2: accepted headers, refused headers, and headers without --proxy-protocol."""

import socket
import struct

import framing
import heads
import launch
import pytest
from rule import rule

OPTION = "--proxy-protocol"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PROXY, LOCAL = 0x21, 0x20
TCP4, TCP6, UNIX, UNSPECIFIED = 0x11, 0x21, 0x31, 0x00


def version_1(line):
    return line.encode() + b"\r\n"


def version_2(command, family, block):
    return SIGNATURE + struct.pack(">BBH", command, family, len(block)) + block


def addresses(family, source, destination, port=56324):
    return (socket.inet_pton(family, source) + socket.inet_pton(family, destination)
            + struct.pack(">HH", port, 8888))


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


OVER_IPV4 = addresses(socket.AF_INET, "192.0.2.1", "198.51.100.1")
OVER_IPV6 = addresses(socket.AF_INET6, "2001:db8::1", "2001:db8::2")
MAPPED = addresses(socket.AF_INET6, "::ffff:192.0.2.1", "::ffff:198.51.100.1")
OVER_UNIX = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")
TLVS = tlv(0x01, b"http/1.1") + tlv(0x02, b"example.org") + tlv(0x04, bytes(300)) + tlv(0xEE, b"")

BELIEVED = {
    "version-1-tcp4": (version_1("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443"), "192.0.2.1:56324"),
    "version-1-tcp6": (version_1("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443"), "[2001:db8::1]:56324"),
    "version-1-tcp6-mapped": (version_1("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 5 443"),
                              "192.0.2.1:5"),
    "version-1-lowest": (version_1("PROXY TCP4 0.0.0.0 0.0.0.0 0 0"), "0.0.0.0:0"),
    "version-1-highest": (version_1("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535"),
                          "255.255.255.255:65535"),
    "version-1-longest-addresses": (
        version_1("PROXY TCP6 ffff:f:f:ffff:f:ffff:ffff:ffff ffff:f:f:ffff:ffff:ffff:ffff:ffff 65535 65535"),
        "[ffff:f:f:ffff:f:ffff:ffff:ffff]:65535"),
    "version-2-tcp4": (version_2(PROXY, TCP4, OVER_IPV4), "192.0.2.1:56324"),
    "version-2-tcp6": (version_2(PROXY, TCP6, OVER_IPV6), "[2001:db8::1]:56324"),
    "version-2-tcp6-mapped": (version_2(PROXY, TCP6, MAPPED), "192.0.2.1:56324"),
    "version-2-tcp4-with-tlvs": (version_2(PROXY, TCP4, OVER_IPV4 + TLVS), "192.0.2.1:56324"),
    "version-2-tcp6-with-tlvs": (version_2(PROXY, TCP6, OVER_IPV6 + TLVS), "[2001:db8::1]:56324"),
}

# Headers without an address: the record shows the address of the connection.
WITHOUT_ADDRESS = {
    "version-1-unknown": version_1("PROXY UNKNOWN"),
    "version-1-unknown-with-addresses": version_1("PROXY UNKNOWN ffff:f:f:f::1 ffff:f:f:f::2 65535 65535"),
    "version-1-unknown-with-anything": version_1("PROXY UNKNOWN whatever this may be"),
    "version-2-local": version_2(LOCAL, UNSPECIFIED, b""),
    "version-2-local-with-addresses": version_2(LOCAL, TCP4, OVER_IPV4),
    "version-2-local-with-tlvs": version_2(LOCAL, UNSPECIFIED, TLVS),
    "version-2-unspecified": version_2(PROXY, UNSPECIFIED, b""),
    "version-2-unspecified-with-more": version_2(PROXY, UNSPECIFIED, bytes(50)),
    "version-2-unix-without-a-name": version_2(PROXY, UNIX, bytes(216)),
    **{f"version-2-family-{family:02x}": version_2(PROXY, family, bytes(12))
       for family in (0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x32)},  # datagrams, or unknown kinds
}

MALFORMED = {
    "none": b"",
    "lower-case": version_1("proxy TCP4 192.0.2.1 198.51.100.1 56324 443"),
    "unknown-with-more-after": version_1("PROXY UNKNOWNX ::1 ::2 1 2"),
    "another-protocol": version_1("PROXY TCP5 192.0.2.1 198.51.100.1 56324 443"),
    "udp": version_1("PROXY UDP4 192.0.2.1 198.51.100.1 56324 443"),
    "lower-case-protocol": version_1("PROXY tcp4 192.0.2.1 198.51.100.1 56324 443"),
    "nothing-but-its-name": version_1("PROXY"),
    "no-addresses": version_1("PROXY TCP4"),
    "one-address": version_1("PROXY TCP4 192.0.2.1"),
    "no-ports": version_1("PROXY TCP4 192.0.2.1 198.51.100.1"),
    "one-port": version_1("PROXY TCP4 192.0.2.1 198.51.100.1 56324"),
    "three-ports": version_1("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1"),
    "two-spaces": version_1("PROXY TCP4  192.0.2.1 198.51.100.1 56324 443"),
    "space-after": version_1("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 "),
    "tabs": version_1("PROXY\tTCP4\t192.0.2.1\t198.51.100.1\t56324\t443"),
    "ipv6-as-tcp4": version_1("PROXY TCP4 2001:db8::1 2001:db8::2 56324 443"),
    "ipv4-as-tcp6": version_1("PROXY TCP6 192.0.2.1 198.51.100.1 56324 443"),
    "ipv6-source-as-tcp4": version_1("PROXY TCP4 2001:db8::1 198.51.100.1 56324 443"),
    "ipv4-source-as-tcp6": version_1("PROXY TCP6 192.0.2.1 2001:db8::2 56324 443"),
    "ipv6-destination-as-tcp4": version_1("PROXY TCP4 192.0.2.1 2001:db8::2 56324 443"),
    "a-name-for-an-address": version_1("PROXY TCP4 localhost 198.51.100.1 56324 443"),
    "a-name-for-the-destination": version_1("PROXY TCP4 192.0.2.1 localhost 56324 443"),
    "address-of-three-numbers": version_1("PROXY TCP4 192.0.2 198.51.100.1 56324 443"),
    "address-with-a-leading-zero": version_1("PROXY TCP4 192.0.02.1 198.51.100.1 56324 443"),
    "address-above-255": version_1("PROXY TCP4 192.0.2.256 198.51.100.1 56324 443"),
    "port-above-65535": version_1("PROXY TCP4 192.0.2.1 198.51.100.1 65536 443"),
    "destination-port-above-65535": version_1("PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536"),
    "negative-port": version_1("PROXY TCP4 192.0.2.1 198.51.100.1 -1 443"),
    "port-with-a-sign": version_1("PROXY TCP4 192.0.2.1 198.51.100.1 +1 443"),
    "port-with-a-leading-zero": version_1("PROXY TCP4 192.0.2.1 198.51.100.1 0443 443"),
    "port-that-is-no-number": version_1("PROXY TCP4 192.0.2.1 198.51.100.1 http 443"),
    "bare-lf": b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
    "bare-cr": b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r",
    "nul": b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\0\r\n",
    "longer-than-107-bytes": version_1("PROXY UNKNOWN " + "x" * 92),
    "endless": b"PROXY UNKNOWN " + b"x" * 5000,
    "crlf-in-front": b"\r\n" + version_1("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443"),
    "after-the-head": heads.head() + version_1("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443"),
    "signature-with-another-byte": SIGNATURE[:-1] + b"!" + version_2(PROXY, TCP4, OVER_IPV4)[12:],
    "version-1-in-the-form-of-2": version_2(0x11, TCP4, OVER_IPV4),
    "version-3": version_2(0x31, TCP4, OVER_IPV4),
    "command-2": version_2(0x22, TCP4, OVER_IPV4),
    "command-15": version_2(0x2F, TCP4, OVER_IPV4),
    "family-4": version_2(PROXY, 0x41, OVER_IPV4),
    "transport-3": version_2(PROXY, 0x13, OVER_IPV4),
    "tcp4-too-short": version_2(PROXY, TCP4, OVER_IPV4[:-1]),
    "tcp4-empty": version_2(PROXY, TCP4, b""),
    "tcp6-with-the-addresses-of-tcp4": version_2(PROXY, TCP6, OVER_IPV4),
    "unix-too-short": version_2(PROXY, UNIX, OVER_UNIX[:-1]),
}


def params(table):
    """The rows of a table as pytest parameters; a row is a value or a tuple."""
    rows = {name: row if isinstance(row, tuple) else (row,) for name, row in table.items()}
    return [pytest.param(*row, id=name) for name, row in rows.items()]


def served(data, *options, **more):
    """The answer and the record over TCP, and the address of the client's own end."""
    with launch.Served(OPTION, *options, **more) as program:
        own = "{}:{}".format(*program.peer.socket.getsockname())
        program.peer.send(data)
        program.peer.end()
        answer = program.peer.rest()
        program.peer.close()
        return answer, launch.record(program.finish()), own


@rule("PROXY protocol 2.1", "A version 1 header gives the peer's address, or none if it says UNKNOWN.", rows="version-1-*")
@rule("PROXY protocol 2.2", "A version 2 header gives the peer's address, or none for LOCAL and UNSPEC.", rows="version-2-*")
@pytest.mark.parametrize("header, peer", params(BELIEVED))
def test_the_header_gives_the_peers_address(header, peer):
    answer, record, _ = served(header + heads.head() + framing.text("hi"))
    assert answer == heads.switching() + framing.echo("hi")
    assert record["peer"] == peer


@rule("PROXY protocol 2.1", rows="version-1-*")
@rule("PROXY protocol 2.2", rows="version-2-*")
@pytest.mark.parametrize("header", params(WITHOUT_ADDRESS))
def test_a_header_without_an_address_leaves_the_connections_own(header):
    answer, record, own = served(header + heads.head() + framing.text("hi"))
    assert answer == heads.switching() + framing.echo("hi")
    assert record["peer"] == own


@rule("PROXY protocol 2.2")
@pytest.mark.parametrize("path", [b"/run/client", b"/" + b"p" * 106 + b"q"], ids=["short", "longest"])
def test_a_unix_address_is_shown_without_a_port(path):
    header = version_2(PROXY, UNIX, path.ljust(108, b"\0") + OVER_UNIX[108:])
    answer, record, _ = served(header + heads.head() + framing.text("hi"))
    assert answer == heads.switching() + framing.echo("hi")
    assert record["peer"] == path.decode()


@rule("PROXY protocol 2.2")
def test_a_unix_address_of_hostile_bytes_stays_one_printable_field():
    """The path may fill its field without a NUL, and may contain any bytes."""
    block = (b"/\"\\ \n\x1b[2J\xff status=9" * 10)[:108] + bytes(108)
    answer, record, _ = served(version_2(PROXY, UNIX, block) + heads.head())
    assert answer == heads.switching()
    assert record["status"] == "101" and all("!" <= character <= "~" for character in record["peer"]), record


@rule("ws-echo(8) OPTIONS (11)")
def test_the_header_overrules_the_launcher():
    header = BELIEVED["version-1-tcp4"][0]
    environment = {"REMOTE_ADDR": "203.0.113.9", "REMOTE_PORT": "9"}
    assert served(header + heads.head(), env=environment)[1]["peer"] == "192.0.2.1:56324"
    assert served(version_1("PROXY UNKNOWN") + heads.head(), env=environment)[1]["peer"] == "203.0.113.9:9"


@rule("PROXY protocol 2 (2)")
def test_the_bytes_of_the_header_are_counted():
    data = BELIEVED["version-2-tcp4-with-tlvs"][0] + heads.head()
    assert served(data)[1]["bytes_in"] == str(len(data))


@rule("PROXY protocol 2.1")
def test_a_line_of_107_bytes_is_the_longest():
    line = version_1("PROXY UNKNOWN " + "x" * (107 - 2 - len("PROXY UNKNOWN ")))
    assert len(line) == 107
    assert served(line + heads.head())[0] == heads.switching()


@rule("PROXY protocol 2 (2)")
def test_the_header_does_not_count_towards_the_limits_of_the_head():
    header = BELIEVED["version-2-tcp4-with-tlvs"][0]
    filler = "v" * (32768 - len(heads.head("X: ")))
    assert served(header + heads.head(f"X: {filler}"))[0] == heads.switching()
    heads.refused(served(header + heads.head(f"X: {filler}v"))[0], 431)


@rule("PROXY protocol 2 (2)")
def test_after_the_longest_header_and_head_the_buffer_has_room_for_a_whole_read():
    """A read adds to the part of a frame that the previous read left in the buffer."""
    header = version_2(PROXY, TCP4, OVER_IPV4.ljust(65535, b"\0"))
    head = heads.head("X: " + "v" * (32768 - len(heads.head("X: "))))
    payloads = [bytes([number % 251]) * 125 for number in range(6000)]
    data = header + head + b"".join(framing.frame(framing.PING, payload) for payload in payloads)
    with launch.Served(OPTION, pair=launch.holding(data, launch.pipe_pair)) as program:
        expected = heads.switching() + b"".join(framing.reply(framing.PONG, payload) for payload in payloads)
        framing.same(program.peer.receive(len(expected)), expected)


@rule("PROXY protocol 2 (2)")
def test_any_request_may_follow_the_header():
    header = BELIEVED["version-1-tcp4"][0]
    assert heads.Answer(served(header + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "--verbose")[0]).status == 200
    heads.refused(served(header + heads.head(path="/other"))[0], 404)
    assert served(header + b"\r\n" + heads.head())[0] == heads.switching(), "one leading CRLF is skipped"


@rule("PROXY protocol 2 (1)", "A malformed or missing header gets 400, and no address of it is used.")
@pytest.mark.parametrize("header", params(MALFORMED))
def test_a_malformed_or_missing_header_is_400_and_recorded_as_such(header):
    answer, record, own = served(header + heads.head())
    heads.refused(answer, 400)
    assert record["status"] == "400" and "PROXY" in record["end"], record
    assert record["peer"] == own, "no part of a wrong header is believed"


@rule("PROXY protocol 2 (1)")
def test_a_second_header_is_refused():
    header = BELIEVED["version-1-tcp4"][0]
    answer, record, _ = served(header + header + heads.head())
    heads.refused(answer, 400)
    assert "PROXY" in record["end"], record


@rule("PROXY protocol 2 (1)")
@pytest.mark.parametrize("data", [
    pytest.param(heads.head(), id="a-request"),
    pytest.param(bytes.fromhex("16030100f8010000f40303"), id="tls"),
    pytest.param(MALFORMED["another-protocol"], id="wrong-protocol"),
    pytest.param(b"PROXY TCP5", id="part-of-a-wrong-protocol"),
    pytest.param(b"POST", id="part-of-a-method"),
    pytest.param(SIGNATURE + b"\x31\x11\0\x0c", id="version-3"),
    pytest.param(SIGNATURE + b"\x31", id="part-of-version-3"),
    pytest.param(b"\r\n\r\nGET", id="no-signature"),
    pytest.param(version_1("PROXY UNKNOWN " + "x" * 200), id="too-long"),
    pytest.param(b"PROXY UNKNOWN".ljust(107, b" "), id="as-long-as-a-line-and-without-its-end"),
])
def test_an_invalid_header_is_refused_at_its_first_wrong_byte_while_the_connection_stays_open(data):
    with launch.Served(OPTION) as program:
        program.peer.send(data)
        heads.refused(program.peer.rest(), 400)


@rule("PROXY protocol 2 (1)")
@pytest.mark.parametrize("header", params(WITHOUT_ADDRESS))
def test_an_end_of_the_stream_in_a_header_is_400(header):
    for cut in (1, 5, len(header) - 1):
        received = launch.run(header[:cut], OPTION)
        assert received.returncode == 0, received
        heads.refused(received.stdout, 400)


@rule("PROXY protocol 2 (2)")
@pytest.mark.parametrize("header", params(WITHOUT_ADDRESS))
def test_an_end_of_the_stream_after_a_header_is_a_health_check(header):
    """A health check of a proxy: it connects, sends its header, and nothing more."""
    received = launch.run(header, OPTION)
    assert (received.returncode, received.stdout, received.stderr) == (0, b"", b""), received
    assert launch.record(launch.run(header, OPTION, "--verbose").stderr.decode())["end_id"] == "silence"


def stopped_after(data):
    """Sends `data`, then a signal to the program; returns the log."""
    with launch.Served(OPTION, watched=True) as program:
        program.peer.send(data)
        program.consumed()
        program.stop()
        assert program.peer.rest() == b""
        program.peer.close()
        return program.finish()


@rule("ws-echo(8) LOGGING (6)")
@pytest.mark.parametrize("header", [BELIEVED["version-1-tcp4"][0], BELIEVED["version-2-tcp4"][0]],
                         ids=["version-1", "version-2"])
def test_a_connection_in_which_the_proxy_alone_has_spoken_is_a_health_check(header):
    """The header must be complete."""
    assert stopped_after(header) == ""
    assert launch.record(stopped_after(header[:-1]))["end_id"] == "stopped-in-head"


@rule("PROXY protocol 2 (2)",
      "Reads may cut a header anywhere, any request may follow it, and it counts neither towards the head nor as silence.")
@pytest.mark.parametrize("header, peer", [BELIEVED["version-1-tcp4"], BELIEVED["version-2-tcp4-with-tlvs"]],
                         ids=["version-1", "version-2"])
def test_a_header_may_be_cut_anywhere(header, peer):
    data = header + heads.head() + framing.text("hi")
    for cut in range(1, len(header) + 30):
        with launch.Served(OPTION, watched=True) as program:
            program.peer.send(data[:cut])
            program.consumed()
            program.peer.send(data[cut:])
            program.peer.end()
            answer = program.peer.rest()
            program.peer.close()
            record = launch.record(program.finish())
        assert answer == heads.switching() + framing.echo("hi"), (cut, answer)
        assert record["peer"] == peer, (cut, record)


@rule("PROXY protocol 2 (1)")
def test_a_malformed_header_is_400_wherever_it_is_cut():
    data = MALFORMED["port-above-65535"] + heads.head()
    for cut in range(1, 60):
        heads.refused(launch.in_parts([data[:cut], data[cut:]], OPTION), 400)


# A header without --proxy-protocol, and TLS.

@rule("ws-echo(8) OPTIONS (11)",
      "--proxy-protocol requires a header; without the option a header is refused, and the record names it.")
@pytest.mark.parametrize("header", params({name: value[0] for name, value in BELIEVED.items()}))
def test_a_header_that_is_not_expected_is_400_and_the_record_names_it(header):
    result = launch.run(header + heads.head())
    assert result.returncode == 0
    heads.refused(result.stdout, 400)
    record = launch.record(result.stderr.decode())
    assert "PROXY" in record["end"] and "192.0.2.1" not in record["peer"], record


@rule("ws-echo(8) HTTP ANSWERS (4)")
@pytest.mark.parametrize("header, options", [
    pytest.param(b"", [], id="without-the-option"),
    pytest.param(b"", [OPTION], id="in-the-place-of-a-header"),
    pytest.param(BELIEVED["version-1-tcp4"][0], [OPTION], id="after-a-header"),
])
@pytest.mark.parametrize("hello", ["16030100f8010000f40303", "160301", "1603030200010001fc0303"])
def test_a_tls_client_hello_is_400_and_the_record_names_it(header, options, hello):
    result = launch.run(header + bytes.fromhex(hello) + bytes(200), *options)
    assert result.returncode == 0
    heads.refused(result.stdout, 400)
    assert "TLS" in launch.record(result.stderr.decode())["end"]
