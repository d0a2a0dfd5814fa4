# SPDX-License-Identifier: MIT
"""The handshake of RFC 6455 section 4.2.2: accepted requests; test_head.py tests refusals."""

import base64
import hashlib
import random

import framing
import heads
import launch
import pytest
from rule import rule


def answer(data, *options):
    result = launch.run(data, *options)
    assert result.returncode == 0, result
    return result.stdout


@rule("RFC 6455 1.3", "The handshakes in the tutorial and in the RFC get exactly the answers shown there.")
def test_the_accept_value_is_the_rfcs_example():
    assert answer(heads.head(key="dGhlIHNhbXBsZSBub25jZQ==")) == heads.switching("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")


@rule("RFC 6455 1.3")
def test_the_accept_value_is_the_tutorials():
    assert answer(heads.head(key="PdspSkfns9qGxGTNajm+Tw==")) == heads.switching("eO+uwdEEfbO7q68DAzeDjM4Gs8c=")


@rule("RFC 6455 1.3")
def test_the_tutorials_hello_world_is_echoed_with_its_prefix():
    assert launch.exchange(framing.text("Hello world")) == b"\x81\x13server: Hello world"


@rule("RFC 6455 4.2.2 (1)",
      "The answer is 101 with Upgrade, Connection and the Accept value of the key, and nothing that the client did not offer.")
def test_the_accept_value_is_the_base64_of_the_sha_1_of_key_and_guid():
    numbers = random.Random(6455)
    for key in [bytes(16), b"\xff" * 16, *[numbers.randbytes(16) for _ in range(50)]]:
        key = base64.b64encode(key).decode()
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert answer(heads.head(key=key)) == heads.switching(base64.b64encode(digest).decode()), key


# Subprotocols.

@rule("RFC 6455 4.2.2 (4)", "The subprotocol is the first one in the client's list that the server knows, or none.")
@rule("ws-echo(8) OPTIONS (6)", "--subprotocol is any, none or names.")
@pytest.mark.parametrize("options, offers, chosen", [
    ([], [], None),
    ([], ["chat"], "chat"),
    ([], ["b, a"], "b"),
    ([], ["b", "a"], "b"),
    ([], [",, b ,a"], "b"),
    ([], ["", "b"], "b"),
    ([], ["b,a", "c"], "b"),
    ([], ["!#$%&'*+-.^_`|~09AZaz"], "!#$%&'*+-.^_`|~09AZaz"),
    ([], ["Chat, chat"], "Chat"),
    (["any"], ["b, a"], "b"),
    (["none"], ["b, a"], None),
    (["none"], [], None),
    (["a"], ["a"], "a"),
    (["a"], ["b, a"], "a"),
    (["a"], ["b", "a"], "a"),
    (["a"], ["b"], None),
    (["a"], [], None),
    (["a"], ["A"], None),
    (["a"], ["aa, xa, a.b"], None),
    (["a", "b"], ["b, a"], "b"),
    (["a", "b"], ["c, b, a"], "b"),
    (["a", "b"], ["a, b"], "a"),
    (["a", "b"], ["c", "x, b", "a"], "b"),
    (["a", "b"], ["c\t,\tb\t"], "b"),
    ([], ["chat2, chat, Chat"], "chat2"),
])
def test_the_first_subprotocol_in_the_clients_order_that_is_known_is_agreed_to(options, offers, chosen):
    request = heads.head(*[f"Sec-WebSocket-Protocol: {offer}" for offer in offers])
    received = answer(request, *[f"--subprotocol={name}" for name in options])
    assert received == heads.switching(subprotocol=chosen)


@rule("RFC 6455 4.2.2 (4)")
def test_the_name_of_the_subprotocol_field_is_of_any_case():
    request = heads.head("sec-websocket-protocol: b", "SEC-WEBSOCKET-PROTOCOL: a")
    assert answer(request) == heads.switching(subprotocol="b")


# Origins.

LISTED = ["--origin=https://example.org", "--origin=http://localhost:8000", "--origin=null"]


@rule("RFC 6455 4.2.2 (2)")
@rule("ws-echo(8) OPTIONS (5)")
@pytest.mark.parametrize("origin", ["https://example.org", "http://localhost:8000", "null"])
def test_an_origin_on_the_list_passes(origin):
    assert answer(heads.head(f"Origin: {origin}"), *LISTED) == heads.switching()


@rule("RFC 6455 4.2.1 (7)")
def test_a_request_without_origin_is_no_browser_and_passes():
    assert answer(heads.head(), *LISTED) == heads.switching()


@rule("RFC 6455 4.2.2 (2)")
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "chrome-extension://abc", "\xe4"])
def test_without_a_list_every_origin_passes(origin):
    assert answer(heads.head(f"Origin: {origin}")) == heads.switching()


# Extensions.

@rule("RFC 6455 4.2.2 (5)", "An extension is one that the client offered, or none.")
@rule("ws-echo(8) OPTIONS (13)", "Compression is accepted with --deflate only.")
@pytest.mark.parametrize("offer", [
    "permessage-deflate", "permessage-deflate; client_max_window_bits",
    'permessage-deflate; server_max_window_bits="10", x-webkit-deflate-frame', "permessage-bzip2",
])
def test_no_extension_is_agreed_to_unless_an_option_says_so(offer):
    received = answer(heads.head(f"Sec-WebSocket-Extensions: {offer}") + framing.text("hi"))
    assert received == heads.switching() + framing.echo("hi")


@rule("RFC 6455 4.2.2 (4)")
def test_of_64_subprotocols_any_may_be_agreed_to():
    names = [f"p{number}" for number in range(64)]
    received = answer(heads.head("Sec-WebSocket-Protocol: " + ",".join(names)), "--subprotocol=p63")
    assert received == heads.switching(subprotocol="p63")


@rule("RFC 6455 5.2 (1)")
def test_an_offered_extension_does_not_make_its_bit_legal():
    request = heads.head("Sec-WebSocket-Extensions: permessage-deflate")
    received = answer(request + framing.text("hi", rsv=4))
    assert received.startswith(heads.switching())
    assert framing.close_code(received[len(heads.switching()):]) == 1002


# Frames after the head.

@rule("RFC 6455 4.2.2 (6)", "After an accepted head, the following bytes are frames.")
@pytest.mark.parametrize("pair", launch.PAIRS)
def test_bytes_after_the_head_are_its_first_frames(pair):
    messages = [f"message {number}" for number in range(100)]
    with launch.Served(pair=pair) as served:
        served.peer.send(heads.head() + b"".join(map(framing.text, messages)))
        expected = heads.switching() + b"".join(map(framing.echo, messages))
        assert served.peer.receive(len(expected)) == expected


@rule("RFC 6455 4.2.2 (6)")
def test_a_second_head_after_the_first_is_no_frame():
    received = answer(heads.head() + heads.head())
    assert received.startswith(heads.switching())
    assert framing.close_code(received[len(heads.switching()):]) == 1002


@rule("RFC 6455 4.2.2 (1)")
def test_the_answer_comes_before_any_frame_is_sent():
    with launch.Served() as served:
        served.peer.open().send(framing.text("later"))
        assert served.peer.receive(len(framing.echo("later"))) == framing.echo("later")
