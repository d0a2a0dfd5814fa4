# SPDX-License-Identifier: MIT
"""Independent implementations check every frame of random conversations; conversations.py says how to repeat one or run more.

Each implementation is the client: it makes the request and reads the answer, in pieces of random size.
"""

import os
import pathlib
import subprocess
from unittest import mock

import conversations
import framing
import heads
import project
import pytest
from conversations import Close, Fragment, Ping, Conversation, Wrong
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from launch import listening
from require import require, require_file, require_module
from rule import rule

BLOCKS, USUAL = range(4), 75  # conversations of each implementation


# Python's wsproto, which also does the handshake.

class Wsproto:
    def __init__(self, conversation):
        from wsproto import ConnectionType, WSConnection, events
        from wsproto.extensions import PerMessageDeflate
        from wsproto.frame_protocol import CloseReason

        self.without_code = CloseReason.NO_STATUS_RCVD
        self.conversation, self.events, self.received, self.parts = conversation, events, [], []
        self.extensions = [] if conversation.parameters is None else [PerMessageDeflate(**conversation.parameters)]
        self.client = WSConnection(ConnectionType.CLIENT)

    def request(self):
        return self.client.send(self.events.Request(host="localhost:8888", target=self.conversation.target,
                                                    extensions=self.extensions,
                                                    subprotocols=["chat", "superchat"]))

    def send(self, step):
        if isinstance(step, Wrong):
            return step.data
        if isinstance(step, Fragment):
            kind = self.events.TextMessage if isinstance(step.part, str) else self.events.BytesMessage
            return self.client.send(kind(step.part, message_finished=step.fin))
        if isinstance(step, Close):
            return self.client.send(self.events.CloseConnection(step.code or self.without_code, step.reason or None))
        return self.client.send((self.events.Ping if isinstance(step, Ping) else self.events.Pong)(step.payload))

    def feed(self, data):
        self.client.receive_data(data)
        for event in self.client.events():
            self.note(event)

    def note(self, event):
        if isinstance(event, self.events.Message):
            self.parts.append(event.data)
            if event.message_finished:
                is_text = isinstance(event, self.events.TextMessage)
                self.received.append((TEXT, "".join(self.parts)) if is_text else (BINARY, b"".join(self.parts)))
                self.parts = []
        elif isinstance(event, self.events.Pong):
            self.received.append((PONG, bytes(event.payload)))
        elif isinstance(event, self.events.CloseConnection):
            self.received.append((CLOSE, (int(event.code), event.reason or "")))
        else:
            assert isinstance(event, self.events.AcceptConnection), f"seed {self.conversation.seed}: {event}"
            assert (event.subprotocol, event.extensions) == ("chat", self.extensions), f"seed {self.conversation.seed}: {event}"


@rule("RFC 6455 4.2.1 (8)")
@rule("RFC 6455 4.2.2 (1)")
@rule("RFC 6455 5.1 (2)", "Our own frames are not masked.")
@rule("RFC 6455 5.4 (1)")
@rule("RFC 7692 7.1.1")
@pytest.mark.slow("a process for each of many connections")
@pytest.mark.parametrize("block", BLOCKS)
def test_random_conversations_as_wsproto_sees_them(block):
    require_module("wsproto", "python3-wsproto")
    for seed in conversations.seeds(block, USUAL):
        conversation = Conversation(seed)
        with mock.patch("os.urandom", conversation.chosen.randbytes):  # the Sec-WebSocket-Key and the masking keys
            conversation.hold(Wsproto(conversation))


# Python's websockets: its frames and its extension, without its connection, so that the test decides what to compress.

class Websockets:
    def __init__(self, conversation):
        from websockets import frames
        from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
        from websockets.streams import StreamReader

        self.conversation, self.frames, self.received, self.compressed = conversation, frames, [], []
        self.parts = []  # frames of the reply that is coming
        self.factory = conversation.parameters and ClientPerMessageDeflateFactory(**conversation.parameters)
        self.extension = self.parser = None
        self.reader = StreamReader()

    def request(self):
        from websockets.headers import build_extension

        if not self.factory:
            return heads.head(path=self.conversation.target)
        offer = build_extension([(self.factory.name, self.factory.get_request_params())])
        return heads.head(f"Sec-WebSocket-Extensions: {offer}", path=self.conversation.target)

    def open(self, answer):
        from websockets.headers import parse_extension

        agreed = heads.Answer(answer).fields.get("sec-websocket-extensions")
        if self.factory:
            ((name, parameters),) = parse_extension(agreed)
            assert name == self.factory.name
            self.extension = self.factory.process_response_params(parameters, [])
        else:
            assert agreed is None
        self.parser = self.parse()
        next(self.parser)

    def send(self, step):
        opcode, data, fin, rsv = PONG, b"", True, 0
        if isinstance(step, Wrong):
            return step.data
        if isinstance(step, Close):
            opcode, data = CLOSE, framing.close_body(step.code, step.reason.encode()) if step.code else b""
        elif isinstance(step, Fragment):
            is_text = isinstance(step.part, str)
            data, fin = step.part.encode() if is_text else step.part, step.fin
            opcode = (TEXT if is_text else BINARY) if step.first else CONTINUATION
            if step.compress:
                frame = self.extension.encode(self.frames.Frame(self.frames.Opcode(opcode), data, fin))
                data, rsv = bytes(frame.data), frame.rsv1 << 2
        else:
            opcode, data = PING if isinstance(step, Ping) else PONG, step.payload
        return framing.frame(opcode, data, fin=fin, rsv=rsv, key=self.conversation.chosen.randbytes(4))

    def decode(self, frame, **limits):
        """Replaces the extension's decode, to note which frames are compressed."""
        if frame.opcode in (TEXT, BINARY):
            self.compressed.append(frame.rsv1)
        return self.extension.decode(frame, **limits) if self.extension else frame

    def parse(self):
        while True:
            frame = yield from self.frames.Frame.parse(self.reader.read_exact, mask=False, extensions=[self])
            assert frame.fin or "fragment" in self.conversation.words, f"seed {self.conversation.seed}: a reply in fragments"
            data = bytes(frame.data)
            if frame.opcode == CLOSE:
                close = self.frames.Close.parse(data)
                self.received.append((CLOSE, (int(close.code), close.reason)))
                continue
            self.parts.append(frame)
            if frame.fin:
                opcode, data = int(self.parts[0].opcode), b"".join(part.data for part in self.parts)
                self.received.append((opcode, data.decode() if opcode == TEXT else data))
                self.parts = []

    def feed(self, data):
        if not self.parser:
            self.open(data)
            return
        self.reader.feed_data(data)
        next(self.parser)


@rule("RFC 6455 4.2.1 (8)")
@rule("RFC 6455 4.2.2 (5)")
@rule("RFC 6455 5.1 (2)")
@rule("RFC 6455 5.4 (1)")
@rule("RFC 7692 6 (1)")
@rule("RFC 7692 7.1.1")
@pytest.mark.slow("a process for each of many connections")
@pytest.mark.parametrize("block", BLOCKS)
def test_random_conversations_as_python3_websockets_sees_them(block):
    require_module("websockets", "python3-websockets")
    for seed in conversations.seeds(block, USUAL):
        conversation = Conversation(seed)
        client = Websockets(conversation)
        conversation.hold(client)
        compress = [step.compress for step in conversation.steps if isinstance(step, Fragment) and step.fin]
        replies = client.compressed[len(client.compressed) - conversation.echoed :]  # the lab's messages come before
        others = client.compressed[: -conversation.echoed or None]
        assert replies == compress[: conversation.echoed] and not any(others), (
            f"seed {seed}: a reply is not compressed as its message was")


# Node's ws.

@rule("RFC 6455 4.2.1 (8)")
@rule("RFC 6455 5.1 (2)")
@rule("RFC 6455 5.4 (1)")
@pytest.mark.slow("a process for each of many connections")
@pytest.mark.parametrize("options", [[], ["--deflate"]], ids=["plain", "deflate"])
@pytest.mark.parametrize("block", BLOCKS)
def test_random_conversations_of_ws_of_node(program, block, options):
    node = require("node", "nodejs")
    folder = "/usr/share/nodejs"  # the folder of Debian's packages; another node does not search it
    require_file(f"{folder}/ws", "node-ws")
    script = pathlib.Path(__file__).with_name("random_conversations.js")
    chosen = conversations.seeds(block, USUAL)
    with listening(program, *options) as url:
        result = subprocess.run([node, script, url, str(chosen[0]), str(len(chosen)), *options], capture_output=True,
                                text=True, check=False, env={**os.environ, "NODE_PATH": folder},
                                timeout=None if conversations.COUNT else 4 * project.LIMIT)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", f"{len(chosen)} conversations\n"), result
