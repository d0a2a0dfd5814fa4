# SPDX-License-Identifier: MIT
"""permessage-deflate (RFC 7692): which offers are accepted, and how compressed messages are answered."""

import random
import re
import resource
import zlib

import framing
import heads
import launch
import project
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from require import require
from rule import rule

MIB = 1 << 20
DEFLATE = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"  # the end of a compressed message that the sender removes: section 7.2.1
RSV1 = 4

WORDS = b"the message that is being gathered and the one that was sent before it in the same window ".split()


def words(count, seed=7692):
    """Text that compresses well."""
    chosen = random.Random(seed)
    return b" ".join(chosen.choice(WORDS) for _ in range(count))


def noise(size, seed=7692):
    """Random bytes, which do not compress."""
    return random.Random(seed).randbytes(size)


class Deflater:
    """A client's compressor, and the frames of its messages."""

    def __init__(self, bits=15, takeover=True, level=6, strategy=zlib.Z_DEFAULT_STRATEGY):
        self.begin = lambda: zlib.compressobj(level, zlib.DEFLATED, -bits, 8, strategy)
        self.takeover, self.stream = takeover, self.begin()

    def payload(self, message):
        if not self.takeover:
            self.stream = self.begin()
        data = self.stream.compress(message) + self.stream.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(TAIL) or b"\0"

    def frame(self, opcode, message):
        return framing.frame(opcode, self.payload(message), rsv=RSV1)

    def text(self, message):
        return self.frame(TEXT, message)


def compressed(payload, opcode=TEXT, fin=True):
    """The first frame of a compressed message whose payload is compressed already."""
    return framing.frame(opcode, payload, fin=fin, rsv=RSV1)


def fragments(opcode, *parts, between=b""):
    """A compressed message in one fragment for each part."""
    last = len(parts) - 1
    return between.join(framing.frame(CONTINUATION if number else opcode, part, fin=number == last,
                                   rsv=0 if number else RSV1) for number, part in enumerate(parts))


def frames(data):
    """A server's frames as (first byte, payload); each is unfragmented and unmasked."""
    found = []
    while data:
        first, length, at = data[0], data[1], 2
        assert first & 0x80 and not first & 0x30 and not length & 0x80, data[:10]
        if length >= 126:
            at = 4 if length == 126 else 10
            length = int.from_bytes(data[2:at], "big")
        assert len(data) >= at + length, "a frame is cut off"
        found.append((first, data[at : at + length]))
        data = data[at + length :]
    return found


def lengths(data):
    """The payload lengths of a server's frames, compressed as they are."""
    return [len(payload) for _, payload in frames(data)]


def replies(data, bits=15, takeover=True):
    """A server's frames as (whether RSV1 is set, opcode, inflated payload)."""
    found, stream = [], zlib.decompressobj(-bits)
    for first, payload in frames(data):
        if first & 0x40:
            assert first & 0x0F in (TEXT, BINARY), first
            if not takeover:
                stream = zlib.decompressobj(-bits)
            payload = stream.decompress(payload + TAIL)
            assert stream.unused_data == b"" and not stream.eof
        found.append((bool(first & 0x40), first & 0x0F, payload))
    return found


def received(data, *options, offer=DEFLATE, agreed=None):
    """The answer to frames after a handshake with this offer; asserts exit status 0."""
    result = launch.run(heads.head(f"Sec-WebSocket-Extensions: {offer}") + data, "--deflate", *options)
    assert result.returncode == 0, result
    expected = heads.switching(extension=offer if agreed is None else agreed)
    assert result.stdout.startswith(expected), result.stdout[:400]
    return result.stdout[len(expected) :]


def echoed(data, expected, *options, bits=15, takeover=True, **more):
    """Asserts the replies: triples as `replies` returns them, or messages, each of which stands for its compressed
    text echo."""
    expected = [one if isinstance(one, tuple) else (True, TEXT, framing.PREFIX + one) for one in expected]
    found = replies(received(data, *options, **more), bits, takeover)
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    for one, other in zip(found, expected):
        framing.same(one[2], other[2])


def refused(data, code, *options, before=(), reason=None, **more):
    """Asserts that the expected replies are followed by a Close with this code, and nothing more."""
    *found, last = replies(received(data, *options, **more))
    assert found == [(True, TEXT, framing.PREFIX + one) for one in before]
    assert last[1] == CLOSE and int.from_bytes(last[2][:2], "big") == code, last
    assert reason is None or reason in last[2][2:], last


def served_with_deflate(*options, **more):
    """The program with --deflate; `opened` does the handshake."""
    return launch.Served("--deflate", *options, **more)


def opened(served, offer=DEFLATE):
    """Does a handshake in which the program accepts this offer unchanged; returns the peer."""
    return served.peer.open(f"Sec-WebSocket-Extensions: {offer}", extension=offer)


# Accepted offers; unit/test_extension.c tests every rule of an offer.

@rule("RFC 7692 5.1 (1)", "The first acceptable offer of permessage-deflate is accepted, in any spelling of its parameters.")
@pytest.mark.parametrize("offer, agreed", [
    ("permessage-deflate", "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"),
    ('permessage-deflate; server_max_window_bits="9"', "permessage-deflate; server_max_window_bits=9"),
    ("permessage-deflate; server_max_window_bits=8, permessage-deflate; server_no_context_takeover",
     "permessage-deflate; server_no_context_takeover"),
    ("x-webkit-deflate-frame, permessage-deflate; client_no_context_takeover",
     "permessage-deflate; client_no_context_takeover"),
])
def test_the_first_acceptable_offer_is_agreed_to(offer, agreed):
    echoed(Deflater(8 + 1).text(b"hi"), [b"hi"], offer=offer, agreed=agreed)


@rule("RFC 6455 9.1 (3)", "Several fields are one list.")
def test_several_fields_are_one_list():
    offers = ["Sec-WebSocket-Extensions: permessage-deflate; x", "sec-websocket-extensions:",
              "SEC-WEBSOCKET-EXTENSIONS: permessage-deflate; client_no_context_takeover"]
    result = launch.run(heads.head(*offers), "--deflate")
    assert result.stdout == heads.switching(extension="permessage-deflate; client_no_context_takeover")


@rule("RFC 7692 5.1 (2)", "Without an acceptable offer, the connection is opened without compression.")
@pytest.mark.parametrize("offer", ["permessage-deflate; x", "permessage-deflate; server_max_window_bits=8", "x"])
def test_without_an_acceptable_offer_the_handshake_succeeds_and_rsv1_is_1002(offer):
    request = heads.head(f"Sec-WebSocket-Extensions: {offer}")
    answer = launch.run(request + framing.text("hi") + Deflater().text(b"hi"), "--deflate").stdout
    assert answer.startswith(heads.switching() + framing.echo("hi"))
    assert framing.close_code(answer.removeprefix(heads.switching() + framing.echo("hi"))) == 1002


@rule("RFC 6455 4.2.2 (5)")
@rule("RFC 6455 9.1 (2)")
@pytest.mark.parametrize("offers", [[], [""], [" "], [","], [" , ,"], ["", ","]])
def test_nothing_is_agreed_to_where_nothing_is_offered(offers):
    request = heads.head(*[f"Sec-WebSocket-Extensions: {offer}" for offer in offers])
    assert launch.run(request + framing.text("hi"), "--deflate").stdout == heads.switching() + framing.echo("hi")


@rule("RFC 6455 9.1 (2)")
def test_an_empty_field_beside_an_offer_is_no_fault():
    request = heads.head("Sec-WebSocket-Extensions:", "Sec-WebSocket-Extensions: permessage-deflate")
    assert launch.run(request, "--deflate").stdout == heads.switching(extension="permessage-deflate")


@rule("RFC 6455 9.1 (1)")
@pytest.mark.parametrize("options", [[], ["--deflate"]], ids=["without-the-option", "with-it"])
@pytest.mark.parametrize("offer", [";", ",;", "permessage-deflate;", "a b", 'permessage-deflate; a="b', "permessage-deflate, ;"])
def test_a_malformed_list_of_extensions_is_400(offer, options):
    heads.refused(launch.run(heads.head(f"Sec-WebSocket-Extensions: {offer}"), *options).stdout, 400)


@rule("RFC 6455 9.1 (1)")
@rule("ws-echo(8) HTTP ANSWERS (1)")
def test_a_malformed_list_is_answered_before_the_origin_and_after_the_version():
    wrong = ["Sec-WebSocket-Extensions: ;", "Origin: http://a.example"]
    options = ["--origin=http://b.example"]
    heads.refused(launch.run(heads.head(*wrong, sec_websocket_version="12"), *options).stdout, 426)
    heads.refused(launch.run(heads.head(*wrong), *options).stdout, 400)
    heads.refused(launch.run(heads.head(*wrong[1:]), *options).stdout, 403)


# Compressed messages get compressed replies, plain messages plain ones.

@rule("RFC 7692 6 (1)", "Compressed messages get compressed replies, plain messages plain ones.")
def test_a_compressed_message_is_answered_compressed_and_a_plain_one_plain():
    client = Deflater()
    data = client.text(b"one") + framing.text("two") + client.frame(BINARY, b"\0\xff") + framing.frame(BINARY, b"\xfe")
    echoed(data + client.text(b"three"), [b"one", (False, TEXT, framing.PREFIX + b"two"), (True, BINARY, b"\0\xff"),
                                          (False, BINARY, b"\xfe"), b"three"])


@rule("RFC 7692 6 (1)")
@pytest.mark.parametrize("options, prefix", [([], b"server: "), (["--prefix="], b""), (["--prefix=%C3%A4"], "ä".encode())])
def test_the_prefix_of_a_text_is_inside_the_compressed_reply(options, prefix):
    client = Deflater()
    data = client.text(b"hi") + client.frame(BINARY, b"hi") + client.text(b"")
    echoed(data, [(True, TEXT, prefix + b"hi"), (True, BINARY, b"hi"), (True, TEXT, prefix)], *options)


@rule("RFC 7692 7.2.1", "A compressed reply lacks the last four bytes of its flush (00 00 ff ff), for messages of any length.")
@pytest.mark.parametrize("length", [0, 1, 2, 100, 125, 126, 1000, 65535, 65536, 200_000, MIB])
@pytest.mark.parametrize("kind", ["words", "noise"])
def test_a_message_of_any_length_is_echoed(length, kind):
    message = words(length // 4 + 1)[:length] if kind == "words" else noise(length)
    client = Deflater()
    opcode, expected = (TEXT, framing.PREFIX + message) if kind == "words" else (BINARY, message)
    echoed(client.frame(opcode, message) + client.frame(opcode, message), [(True, opcode, expected)] * 2)


@rule("RFC 7692 7.2.1")
@pytest.mark.parametrize("message", [words(1000), bytes(5 * MIB)], ids=["words", "zeros"])
def test_a_reply_is_as_short_as_zlib_makes_it_of_the_whole_message(message):
    """deflate gets prefix and message in pieces, but must not end a block between them."""
    (length,) = lengths(received(Deflater().text(message)))
    assert length <= len(Deflater().payload(framing.PREFIX + message))


@rule("RFC 7692 7.2.1")
@pytest.mark.parametrize("payload", [b"\0", b"\2\0", b""], ids=["header", "empty-block", "nothing"])
def test_an_empty_message_is_answered_with_an_empty_one(payload):
    """A sender that flushes twice in a row sends an empty payload. The reply is the single byte of section 7.2.3.6."""
    assert received(compressed(payload, BINARY) * 3) == framing.reply(BINARY, b"\0", rsv=RSV1) * 3
    assert received(compressed(payload), "--prefix=") == framing.reply(TEXT, b"\0", rsv=RSV1)
    client = Deflater()
    echoed(client.text(b"a") + compressed(payload) + client.text(b"a"), [b"a", b"", b"a"])


@rule("RFC 7692 7.1.1")
def test_messages_share_a_window_unless_it_was_agreed_otherwise():
    message = noise(400).hex().encode()
    client = Deflater()
    first, second = lengths(received(client.text(message) + client.text(message)))
    assert second < first // 10
    first, second = lengths(received(Deflater().text(message) * 2, offer=f"{DEFLATE}; server_no_context_takeover"))
    assert second == first


@rule("RFC 7692 7.1.1", "Without context takeover, each message is compressed independently; with it, the window continues.")
def test_without_context_takeover_of_the_server_each_reply_inflates_alone():
    client, messages = Deflater(), [words(50, seed % 3) for seed in range(20)]
    echoed(b"".join(map(client.text, messages)), messages, takeover=False, offer=f"{DEFLATE}; server_no_context_takeover")


@rule("RFC 7692 7.1.1")
def test_without_context_takeover_of_the_client_a_message_that_needs_the_one_before_is_1007():
    client, message = Deflater(), words(50)
    data = client.text(message) + client.text(message)
    echoed(data, [message] * 2)
    refused(data, 1007, before=[message], offer=f"{DEFLATE}; client_no_context_takeover")
    alone = Deflater(takeover=False)
    echoed(alone.text(message) * 2, [message] * 2, offer=f"{DEFLATE}; client_no_context_takeover")


@rule("RFC 7692 7.1.2", "A window is as large as negotiated.")
@pytest.mark.parametrize("bits", range(9, 16))
def test_the_window_of_replies_is_as_large_as_agreed(bits):
    """zlib with a window of that size fails if a distance is larger."""
    client, message = Deflater(), noise(40_000).hex().encode()
    echoed(client.text(message) + client.text(message), [message] * 2, bits=bits,
           offer=f"{DEFLATE}; server_max_window_bits={bits}")


@rule("RFC 7692 7.1.2")
@pytest.mark.parametrize("bits", range(9, 16))
def test_a_client_may_have_any_window(bits):
    client, message = Deflater(bits), words(20_000)
    echoed(client.text(message) + client.text(message), [message] * 2, offer=f"{DEFLATE}; client_max_window_bits={bits}")


# RSV1.

@rule("RFC 7692 6 (2)", "RSV1 is set on the first frame of a compressed message, and nowhere else.")
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in {
    "ping": framing.frame(PING, b"x", rsv=RSV1),
    "pong": framing.frame(PONG, rsv=RSV1),
    "close": framing.frame(CLOSE, framing.close_body(1000), rsv=RSV1),
    "continuation-of-a-plain-message": framing.text("a", fin=False) + framing.frame(CONTINUATION, b"b", rsv=RSV1),
    "continuation-of-a-compressed-message": compressed(b"\xf2\x48", fin=False)
    + framing.frame(CONTINUATION, b"\xcd\xc9\xc9\x07\0", rsv=RSV1),
    "reserved-opcode": framing.frame(3, b"x", rsv=RSV1),
    "rsv2": framing.text("x", rsv=2),
    "rsv3": framing.text("x", rsv=1),
    **{f"rsv-{rsv:03b}": framing.text("x", rsv=rsv) for rsv in (3, 5, 6, 7)},
    "compressed-inside-a-message": compressed(b"\xf2\x48", fin=False) + compressed(b"\xf2"),
}.items()])
def test_rsv1_anywhere_but_on_the_first_frame_of_a_message_is_1002(data):
    refused(Deflater().text(b"before") + data, 1002, before=[b"before"])


@rule("RFC 7692 6 (2)")
def test_rsv1_is_judged_before_the_rest_of_the_frame_has_come():
    with served_with_deflate() as served:
        opened(served).send(b"\xc9")
        assert framing.close_code(served.peer.rest()) == 1002


# Fragments.

@rule("RFC 7692 7.2.2 (1)", "Fragments and reads may cut a compressed message anywhere.")
def test_a_message_may_be_cut_into_fragments_anywhere():
    message = words(30)
    payload = Deflater().payload(message)
    ping = framing.frame(PING, b"p")
    for cut in range(len(payload) + 1):
        parts = payload[:cut], payload[cut:]
        echoed(fragments(TEXT, *parts) + fragments(TEXT, parts[0], b"", parts[1], b""), [message] * 2,
               offer=f"{DEFLATE}; client_no_context_takeover")
        echoed(fragments(TEXT, b"", *parts, between=ping), [(False, PONG, b"p")] * 2 + [message])
    echoed(fragments(TEXT, *(payload[at : at + 1] for at in range(len(payload)))), [message])


@rule("RFC 7692 7.2.2 (1)")
def test_a_message_may_be_cut_by_reads_anywhere():
    message, client = words(10) + "ä€😀".encode(), Deflater()
    data = client.text(message)
    head = heads.head(f"Sec-WebSocket-Extensions: {DEFLATE}")
    expected = launch.run(head + data, "--deflate").stdout
    assert replies(expected.removeprefix(heads.switching(extension=DEFLATE))) == [(True, TEXT, framing.PREFIX + message)]
    for cut in range(1, len(data)):
        answer = launch.in_parts([head + data[:cut], data[cut:]], "--deflate")
        assert answer == expected, cut


@rule("RFC 7692 6 (1)")
def test_compressed_and_plain_fragmented_messages_may_follow_each_other():
    client = Deflater()
    first, last = client.payload(b"first"), client.payload(b"last")
    plain = framing.text("pl", fin=False) + framing.frame(CONTINUATION, b"ain")
    echoed(fragments(TEXT, first[:3], first[3:]) + plain + fragments(TEXT, last, b""),
           [b"first", (False, TEXT, framing.PREFIX + b"plain"), b"last"])


@rule("RFC 7692 7.2.1")
def test_a_large_message_is_taken_as_it_comes():
    """The message is larger than one read, whether it compresses well or not."""
    for message in (noise(3 * MIB), bytes(3 * MIB)):
        client = Deflater(level=1)
        echoed(client.frame(BINARY, message) + client.frame(BINARY, message), [(True, BINARY, message)] * 2)


# Blocks that DEFLATE allows.

@rule("RFC 7692 7.2.3")
@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
def test_blocks_of_any_kind_are_inflated(level, strategy):
    client = Deflater(level=level, strategy=strategy)
    messages = [b"hello", words(20_000), b"", bytes(100_000), noise(70_000).hex().encode()]
    echoed(b"".join(map(client.text, messages)), messages)


@rule("RFC 7692 7.2.3")
@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_BLOCK])
def test_a_message_may_have_several_blocks(flush):
    stream, parts = zlib.compressobj(wbits=-15), [words(50, seed) for seed in range(20)]
    payload = b"".join(stream.compress(part) + stream.flush(flush) for part in parts)
    payload = (payload + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
    echoed(compressed(payload) + fragments(TEXT, payload[:100], payload[100:]), [b"".join(parts)] * 2)


@rule("RFC 7692 7.2.3", "Blocks of every kind are inflated, also after a block with BFINAL.")
@pytest.mark.parametrize("payload", ["f248cdc9c90700", "f348cdc9c90700", "000500faff48656c6c6f00",
                                     "f24805000000ffffcac9c90700"])
def test_the_examples_of_the_rfc_are_inflated(payload):
    """Section 7.2.3: one block, a block with BFINAL, a stored block, two blocks."""
    payload = bytes.fromhex(payload)
    echoed(compressed(payload) * 2, [b"Hello"] * 2)
    echoed(fragments(TEXT, payload[:3], payload[3:]), [b"Hello"])


@rule("RFC 7692 7.2.3")
def test_the_example_of_a_shared_window_is_inflated():
    """Section 7.2.3.2."""
    echoed(compressed(bytes.fromhex("f248cdc9c90700")) + compressed(bytes.fromhex("f200110000")), [b"Hello"] * 2)


def final(message, window=b"", end=b"\0"):
    """A message that ends with a BFINAL block, which may refer to earlier bytes in the window."""
    stream = zlib.compressobj(wbits=-15, zdict=window) if window else zlib.compressobj(wbits=-15)
    return stream.compress(message) + stream.flush(zlib.Z_FINISH) + end


@rule("RFC 7692 7.2.3")
def test_the_window_goes_on_after_a_block_with_bfinal():
    """Section 7.2.3.5: inside a message, and across messages."""
    one, other = words(2000, 1), words(2000, 2)
    assert len(final(one, one)) < len(final(one)) // 5, "it points into the window"
    inside = final(one, end=b"") + final(other + one, one)
    echoed(compressed(final(one)) + compressed(final(one, one)) + compressed(final(other, one + one)),
           [one, one, other])
    echoed(compressed(inside) + compressed(final(one, one + other + one)), [one + other + one, one])
    echoed(fragments(TEXT, *(inside[at : at + 1] for at in range(len(inside)))), [one + other + one])
    blocks = b"".join([final(b"", end=b"")] * 1000)
    echoed(compressed(final(one)) + compressed(blocks + final(one, one)), [one, one])
    client = Deflater()
    echoed(compressed(final(one)) + client.text(one), [one, one])


@rule("RFC 7692 7.2.3")
def test_without_context_takeover_nothing_goes_on_after_a_block_with_bfinal():
    one = words(2000)
    refused(compressed(final(one)) + compressed(final(one, one)), 1007, before=[one],
            offer=f"{DEFLATE}; client_no_context_takeover")


@rule("RFC 7692 7.2.3")
def test_a_message_may_end_with_the_octet_that_ends_its_last_block():
    """Some senders do this if they have nothing more to flush, for example in an empty last fragment. The four appended
    bytes then form no block."""
    client = zlib.compressobj(wbits=-15)
    first = client.compress(b"one, ") + client.flush(zlib.Z_SYNC_FLUSH)
    assert client.flush(zlib.Z_SYNC_FLUSH) == b"", "a second flush has nothing"
    second = (client.compress(b"two") + client.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
    echoed(fragments(TEXT, first, b"") + compressed(second), [b"one, ", b"two"])
    echoed(compressed(final(b"final", end=b"")) * 2, [b"final"] * 2)


@rule("RFC 7692 7.2.3")
@pytest.mark.parametrize("payload", ["f248cdc9c90704", "f348cdc9c9070001"])
def test_the_empty_block_at_the_end_may_have_bfinal_too(payload):
    """Section 7.2.1 requires zeros in BTYPE only."""
    payload = bytes.fromhex(payload)
    echoed(compressed(payload) * 2, [b"Hello"] * 2)
    echoed(fragments(TEXT, *(payload[at : at + 1] for at in range(len(payload)))), [b"Hello"])


# Invalid or incomplete DEFLATE.

def bits(*fields):
    """Packs fields (value, number of bits) into bytes, lowest bit first."""
    number = length = 0
    for value, size in fields:
        number |= value << length
        length += size
    return number.to_bytes((length + 7) // 8, "little")


def wrong_cuts():
    """Messages that end inside a block. With the four appended bytes, zlib accepts many of them."""
    hello = bytes.fromhex("f248cdc9c90700")  # its last block ends with the second bit of the last byte
    dynamic, huffman = (Deflater(strategy=strategy).payload(words(1000))
                        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY))
    for name, whole in {"fixed": hello, "dynamic": dynamic, "huffman": huffman}.items():
        for cut in range(1, len(whole) - 1):
            if cut < 60 or cut > len(whole) - 15:
                yield f"{name}-{cut}", whole[:cut]
    for cut in range(2, 25):
        yield f"stored-{cut}", (b"\x00\x14\x00\xeb\xff" + b"x" * 20)[:cut]
    yield "two-bits-after-a-block", hello[:-1]
    yield "one-bit-left-after-a-block", bytes.fromhex("9a3071d2e429894900")
    yield "two-bits-left-after-a-block", bytes.fromhex("9a3071d2e4c42400")
    yield "header-after-a-final-block", final(b"x", end=b"\x02")
    yield "header-of-another-block", bits((0b010, 3), (0, 7), (0b010, 3))
    yield "two-octets-after-a-block", hello + b"\0"


@rule("RFC 7692 7.2.2 (2)", "A message that ends inside a block is answered with Close 1007.")
@pytest.mark.parametrize("payload", [pytest.param(payload, id=name) for name, payload in wrong_cuts()])
def test_a_message_that_ends_inside_a_block_is_1007(payload):
    data = Deflater().frame(TEXT, b"before") + compressed(payload, BINARY)
    refused(data, 1007, before=[b"before"], reason=b"inside a block")
    refused(fragments(BINARY, payload, b""), 1007, reason=b"inside a block")


@rule("RFC 7692 7.2.2 (2)")
@pytest.mark.parametrize("left", range(1, 30))
def test_the_appended_octets_are_no_part_of_a_block_without_compression(left):
    """If four bytes of the stored block are missing, the appended bytes would complete it."""
    block = b"\x00\x40\x00\xbf\xff" + b"x" * 64
    refused(compressed(block[:-left], BINARY), 1007, reason=b"inside a block")


@rule("RFC 7692 7.2.2 (2)")
def test_the_appended_octets_do_not_belong_to_a_length_that_has_begun_before_them():
    """Three literals of nine bits make the header of the last block end at a byte boundary; its length follows."""
    ended = bits((0b010, 3), *[(0b000010011, 9)] * 3, (0, 7), (0, 3))
    assert zlib.decompressobj(-15).decompress(ended + TAIL) == b"\x90" * 3
    assert zlib.decompressobj(-15).decompress(ended + b"\xff" + TAIL) == b"\x90" * 3 + b"\xff", "255 octets, and one of them"
    refused(compressed(ended + b"\xff", BINARY), 1007, reason=b"inside a block")


@rule("RFC 7692 7.2.2 (2)")
def test_the_appended_octets_are_no_part_of_a_header_that_they_would_complete():
    """The code for code lengths has two symbols: bit 0 is a length of 4, bit 1 begins a run of zeros. The first 241
    symbols have length 0. Of the appended bytes, the sixteen zero bits give lengths to sixteen symbols, with the end of
    the block among them. Twelve one bits are three runs of ten zeros, for thirty distances. The last four one bits are
    the end of the block."""
    order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14]
    begin = [(0, 1), (2, 2), (257 - 257, 5), (30 - 1, 5), (len(order) - 4, 4),
             *((symbol in (4, 17), 3) for symbol in order)]
    runs = [field for run in [10] * 23 + [8, 3] for field in ((1, 1), (run - 3, 3))]
    assert sum(size for _, size in begin + runs) % 8 == 0, "the header goes on where the octets begin"
    payload, stream = bits(*begin, *runs), zlib.decompressobj(-15)
    assert stream.decompress(payload + TAIL) == b"" and stream.decompress(b"\x00\x01\x00\xfe\xffx") == b"x"
    refused(compressed(payload), 1007, reason=b"inside a block")


@rule("RFC 7692 7.2.2 (3)", "Invalid DEFLATE, and inflated text that is not UTF-8, are answered with Close 1007.")
@pytest.mark.parametrize("payload", [pytest.param(payload, id=name) for name, payload in {
    "plain-text": b"Hello, this is no DEFLATE",
    "reserved-block-type": b"\x06\0",
    "lengths-that-differ": b"\x00\x05\x00\xfa\xfeHello\x00",
    "distance-beyond-the-window": bits((0b010, 3), (0b1000000, 7), (0b10111, 5), (0, 11), (0, 7)),
    "zlib-header": zlib.compress(b"Hello"),
    "gzip-header": b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xf3H\xcd\xc9\xc9\x07\0\x82\x89\xd1\xf7\x05\0\0\0",
    "too-many-lengths": b"\xfc\xff\xff\xff\xff",
    "after-a-final-block": final(b"x", end=b"") + b"\x06",
    "padding-that-is-no-block": b"\xf2\x48\xcd\xc9\xc9\x07\xff\xff\xff",
}.items()])
def test_invalid_deflate_is_1007_and_the_reason_says_so(payload):
    refused(Deflater().text(b"before") + compressed(payload, BINARY), 1007, before=[b"before"], reason=b"DEFLATE")


@rule("RFC 7692 7.2.2 (3)")
@pytest.mark.parametrize("data, code", [
    pytest.param(b"\x06", 1007, id="reserved-block-type"),
    pytest.param(b"\x00\x05\x00\xfa\xfe", 1007, id="lengths-that-differ"),
    pytest.param(Deflater(level=0).payload(b"ok \xff more")[:12], 1007, id="not-utf-8"),
    pytest.param(Deflater().payload(bytes(101)), 1009, id="too-large"),
])
def test_what_is_wrong_is_answered_while_the_message_is_unfinished(data, code):
    with served_with_deflate("--max-message=100") as served:
        opened(served).send(compressed(data, fin=False))
        assert framing.close_code(served.peer.answer_close()) == code
    with served_with_deflate("--max-message=100") as served:
        opened(served).send(compressed(data + bytes(70_000), fin=False)[: len(data) + 20])
        assert framing.close_code(served.peer.end_at_close()) == code


# UTF-8.

@rule("RFC 7692 7.2.2 (3)")
@pytest.mark.parametrize("text", [b"\xff", b"ok\xed\xa0\x80", b"\xc3", "€".encode()[:2], b"x" * 70_000 + b"\x80", b"\xf5" * 9])
def test_an_inflated_text_that_is_not_utf_8_is_1007(text):
    client = Deflater()
    refused(client.text(b"before") + client.text(text), 1007, before=[b"before"], reason=b"UTF-8")
    echoed(Deflater().frame(BINARY, text), [(True, BINARY, text)])


@rule("RFC 7692 7.2.2 (1)")
def test_a_character_may_be_cut_by_blocks_fragments_and_the_buffers():
    message = "ä€😀".encode() * 50_000
    for level in (0, 6):
        client = Deflater(level=level)
        payload = client.payload(message)
        echoed(fragments(TEXT, *(payload[at : at + 997] for at in range(0, len(payload), 997))), [message])


# The largest message.

@rule("RFC 7692 8")
def test_the_largest_message_is_that_of_the_inflated_bytes():
    for size in (1, 99, 100):
        echoed(Deflater().text(b"x" * size) + Deflater(level=0).text(b"x" * size), [b"x" * size] * 2, "--max-message=100")
    client = Deflater()
    refused(client.text(b"x" * 100) + client.text(b"x" * 101), 1009, "--max-message=100", before=[b"x" * 100])
    refused(compressed(Deflater(level=0).payload(b"x" * 101)), 1009, "--max-message=100")


@rule("RFC 7692 8")
def test_a_plain_message_is_judged_by_its_length_also_after_a_compressed_one():
    for data in framing.text("x" * 101), framing.text("x", fin=False) + framing.frame(CONTINUATION, b"x" * 100):
        refused(Deflater().text(b"before") + data, 1009, "--max-message=100", before=[b"before"])


@rule("RFC 7692 8")
@pytest.mark.parametrize("level", [0, 6])
def test_a_message_that_is_too_large_and_not_utf_8_is_refused_for_what_comes_first(level):
    for text, code in [(b"\xff" + b"x" * 150, 1007), (b"x" * 99 + b"\xff" + b"x", 1007), (b"x" * 101 + b"\xff", 1009)]:
        refused(Deflater(level=level).text(text), code, "--max-message=100")


@rule("RFC 7692 8")
def test_fragments_and_blocks_of_one_message_count_together_and_not_for_the_next():
    client = Deflater()
    parts = [client.stream.compress(b"x" * 50) + client.stream.flush(zlib.Z_SYNC_FLUSH) for _ in range(3)]
    refused(fragments(TEXT, *parts), 1009, "--max-message=149")
    echoed(fragments(TEXT, *parts), [b"x" * 150], "--max-message=150")
    client = Deflater()
    echoed(b"".join(client.text(b"y" * 150) for _ in range(5)), [b"y" * 150] * 5, "--max-message=150")


@rule("RFC 7692 8")
def test_a_message_longer_compressed_than_the_limit_is_judged_by_its_inflated_length():
    empty = b"\x00\x00\x00\xff\xff"  # an empty stored block
    echoed(compressed(empty * 500 + Deflater().payload(b"x")) + fragments(TEXT, empty * 300, empty * 300 + b"\0"),
           [b"x", b""], "--max-message=1")


def memory(served, field="VmRSS"):
    """Memory of the program in bytes; VmHWM is its peak."""
    with open(f"/proc/{served.process.pid}/status", encoding="ascii") as status:
        return 1024 * int(re.search(rf"^{field}:\s*(\d+) kB", status.read(), re.MULTILINE)[1])


@rule("RFC 7692 8")
@pytest.mark.parametrize("excess", [0, 1])
def test_a_bomb_costs_no_more_than_the_limit(excess):
    """16 KiB inflate to 16 MiB, or to one byte more."""
    bomb = Deflater(level=9).payload(bytes(16 * MIB + excess))
    assert len(bomb) < 17_000
    with served_with_deflate() as served:
        opened(served).send(compressed(bomb, BINARY))
        if excess:
            assert served.peer.frame()[1:] == (CLOSE, framing.close_body(1009, b"message is larger than the limit"))
        else:
            header = served.peer.receive(4)
            assert header[:2] == b"\xc2\x7e", header
            payload = served.peer.receive(int.from_bytes(header[2:], "big"))
            assert zlib.decompressobj(-15).decompress(payload + TAIL) == bytes(16 * MIB)
        assert memory(served, "VmHWM") < 20 * MIB


@rule("RFC 7692 8", "The limit applies to the inflated message, and a decompression bomb costs no more memory than the limit.")
@rule("ws-echo(8) SECURITY (10)")
@pytest.mark.slow("16 MiB of noise are compressed")
def test_the_largest_message_fits_the_memory_of_the_shipped_unit_also_where_it_does_not_compress():
    """MemoryMax=32M."""
    assert re.search(r"^MemoryMax=32M$", (project.TOP / "ws-echo@.service").read_text(), re.MULTILINE)
    message = noise(16 * MIB)
    with served_with_deflate() as served:
        peer = opened(served)
        client = Deflater(level=1)
        for _ in range(2):
            peer.send(client.frame(BINARY, message))
            header = peer.receive(10)
            assert header[:2] == b"\xc2\x7f", header
            peer.receive(int.from_bytes(header[2:], "big"))
        assert memory(served, "VmHWM") < 28 * MIB


@rule("RFC 7692 8")
@rule("ws-echo(8) SECURITY (10)")
@pytest.mark.slow("16 MiB of noise are compressed")
def test_the_largest_message_fits_the_address_space_of_the_shipped_entry_for_xinetd():
    limit = int(re.search(r"^\s*rlimit_as\s*= (\d+)M$", (project.TOP / "packaging/ws-echo.xinetd").read_text(), re.MULTILINE)[1]) * MIB
    message = noise(16 * MIB)
    with served_with_deflate(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) as served:
        peer = opened(served)
        peer.send(Deflater(level=1).frame(BINARY, message))
        header = peer.receive(10)
        assert header[:2] == b"\xc2\x7f", header
        payload = peer.receive(int.from_bytes(header[2:], "big"))
        framing.same(zlib.decompressobj(-15).decompress(payload + TAIL), message)


# Memory.

def own(served):
    """Private memory of the program in bytes, without pages of files (which are dirty if the program has just been
    built), but including MADV_FREE pages."""
    with open(f"/proc/{served.process.pid}/smaps_rollup", encoding="ascii") as rollup:
        return 1024 * int(re.search(r"^Anonymous:\s*(\d+) kB", rollup.read(), re.MULTILINE)[1])


def echo_in(peer, client, message):
    """Sends one message and reads its reply."""
    peer.send(client.text(message))
    first, length = peer.receive(2)
    assert first == 0xC1, first
    if length >= 126:
        length = int.from_bytes(peer.receive(2 if length == 126 else 8), "big")
    return peer.receive(length)


@rule("ws-echo(8) SECURITY (5)")
@pytest.mark.usefixtures("dumpable")
def test_memory_is_taken_at_the_first_compressed_message_and_not_at_the_handshake():
    with served_with_deflate() as served, launch.Served() as other:
        peer = opened(served)
        other.peer.open()
        for one in (served, other):
            one.peer.send(framing.text("plain") + framing.text("pl", fin=False) + framing.frame(CONTINUATION, b"ain"))
            assert one.peer.receive(len(framing.echo("plain")) * 2) == framing.echo("plain") * 2
        assert memory(served, "VmSize") < memory(other, "VmSize") + MIB
        assert own(served) < own(other) + 40_000  # page boundaries vary by chance
        echo_in(peer, Deflater(), b"compressed")
        assert memory(served, "VmSize") > memory(other, "VmSize") + 16 * MIB
        assert own(served) > own(other) + 60_000


@rule("ws-echo(8) SECURITY (5)")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.slow("memory goes back after a time of silence")
@pytest.mark.parametrize("size", [20, 60_000, 4 * MIB])
def test_without_context_takeover_a_quiet_connection_gives_back_what_compression_took(size):
    offer = f"{DEFLATE}; server_no_context_takeover; client_no_context_takeover"
    with served_with_deflate() as served, launch.Served() as other:
        peer, client, message = opened(served, offer), Deflater(takeover=False), words(size // 4 + 1)[:size]
        other.peer.open()
        for _ in range(3):
            echo_in(peer, client, message)
            other.peer.send(framing.text(message[:1], fin=False) + framing.frame(CONTINUATION, message[1:]))
            other.peer.frame()
        launch.wait_until(lambda: own(served) < own(other) + 30_000, "the memory has gone back")
        echo_in(peer, client, message)
        peer.send(framing.close(1000))
        assert peer.rest() == framing.reply(CLOSE, framing.close_body(1000))


@rule("ws-echo(8) SECURITY (5)")
@pytest.mark.usefixtures("dumpable")
def test_a_quiet_connection_gives_back_all_but_the_windows_that_are_taken_over():
    message = words(200_000)[:MIB]
    with served_with_deflate() as served:
        peer, client = opened(served), Deflater()
        before = own(served)
        echo_in(peer, client, message)
        launch.wait_until(lambda: own(served) < before + 512 * 1024, "the memory has gone back")
        assert len(echo_in(peer, client, message[-1000:])) < 50, "the windows are still there"


@rule("ws-echo(8) SECURITY (5)")
def test_an_unfinished_message_keeps_its_window_while_the_connection_is_quiet():
    """The connection is quiet for the interval of the program's own timer."""
    offer = f"{DEFLATE}; server_no_context_takeover; client_no_context_takeover"
    message = words(3000)
    payload = Deflater().payload(message)
    with served_with_deflate("--ping-interval=0.3", "--timeout=0") as served:
        peer = opened(served, offer)
        echo_in(peer, Deflater(), message)
        peer.send(compressed(payload[:-100], fin=False))
        for _ in range(3):
            assert peer.frame() == (True, PING, b"")
        peer.send(framing.frame(CONTINUATION, payload[-100:]))
        while (data := peer.receive(2))[0] == 0x89:
            pass
        length = int.from_bytes(peer.receive(2), "big")
        assert data == b"\xc1\x7e"
        assert zlib.decompressobj(-15).decompress(peer.receive(length) + TAIL) == framing.PREFIX + message


@rule("ws-echo(8) SECURITY (6)")
@pytest.mark.usefixtures("dumpable")
def test_compressed_messages_cost_one_read_and_one_write_each(tmp_path):
    strace, trace = require("strace", "strace"), tmp_path / "trace"
    count = 300
    with served_with_deflate(wrapper=[strace, "-f", "-q", "-s", "12", "-o", str(trace)]) as served:
        peer, client = opened(served), Deflater()
        for number in range(count):
            echo_in(peer, client, b"%05d" % number)
        peer.close()
        served.finish()
    calls = re.findall(r"^\d+ +(\w+)\((.*)", trace.read_text(), re.MULTILINE)
    begun = next(at for at, (name, arguments) in enumerate(calls) if '"HTTP/1.1 101' in arguments)
    names = [name for name, _ in calls[begun:]]
    reads, writes = names.count("read"), names.count("write")
    others = [name for name in names if name not in ("read", "write")]
    assert count <= reads <= count + 5 + others.count("setitimer") and count <= writes <= count + 5, (reads, writes)
    assert set(others) <= {"mmap", "mmap2", "madvise", "setitimer", "rt_sigreturn", "sigreturn", "shutdown",
                           "exit_group", "getpid", "---"}, others
