# SPDX-License-Identifier: MIT
"""The cost of a message: system calls, counted with strace, and memory."""

import re
import select
import signal
import socket

import framing
import heads
import launch
import pytest
from framing import BINARY, CLOSE, PING
from launch import PAIRS
from require import require
from rule import rule

MESSAGES = 5_000
MIB = 1 << 20
READS = {"read", "readv", "recvfrom", "recvmsg"}
WRITES = {"write", "writev", "sendto", "sendmsg"}


@pytest.fixture(name="counted")
def counted_by_strace(tmp_path, dumpable):
    """A function that runs an exchange under strace; it returns the number of reads and writes after the
    answer to the handshake, and the names of all other calls and signals."""
    strace = require("strace", "strace")
    trace = tmp_path / "trace"

    def run(exchange, pair, *options):
        wrapper = [strace, "-f", "-q", "-s", "12", "-o", str(trace)]
        with launch.Served(*options, pair=pair, wrapper=wrapper) as served:
            exchange(served.peer)
            served.peer.close()
            served.finish()
        calls = re.findall(r"^\d+ +(?:--- )?(\w+)[( ](.*)", trace.read_text(), re.MULTILINE)
        begun = next(at for at, (name, arguments) in enumerate(calls)
                     if name in WRITES and '"HTTP/1.1 101' in arguments)
        names = [name for name, _ in calls[begun:]]
        reads, writes = (sum(name in kind for name in names) for kind in (READS, WRITES))
        return reads, writes, [name for name in names if name not in READS | WRITES]

    return run


def one_at_a_time(peer):
    """Sends each message after the echo of the previous one; Pings may come in between."""
    peer.open()
    for number in range(MESSAGES):
        message = b"%05d" % number
        peer.send(framing.frame(BINARY, message))
        while (answer := peer.frame()) == (True, PING, b""):
            pass
        assert answer == (True, BINARY, message)
    peer.send(framing.close(1000))
    *pings, closing = framing.frames(peer.rest())
    assert closing == (True, CLOSE, framing.close_body(1000)), closing


@rule("ws-echo(8) SECURITY (6)", "A message costs one read and one write; all messages of one read are answered by one write.")
@pytest.mark.slow("strace stops the program at each of thousands of calls")
@pytest.mark.parametrize("pair", PAIRS)
def test_messages_sent_one_at_a_time_cost_one_read_and_one_write_each(counted, pair):
    reads, writes, others = counted(one_at_a_time, pair)
    assert MESSAGES <= reads <= MESSAGES + 10, reads
    assert MESSAGES <= writes <= MESSAGES + 10, writes
    assert len(others) <= 30, others[:100]
    assert not {"mmap", "mmap2", "brk"}.intersection(others), "what is not gathered takes no memory"


@rule("ws-echo(8) SECURITY (6)")
@pytest.mark.slow("strace stops the program at each of thousands of calls")
@pytest.mark.parametrize("pair", PAIRS)
def test_the_timer_is_set_anew_when_it_has_run_out_and_not_for_a_message(counted, pair):
    """Each message starts a new silence, but does not reset the timer. If the program sees in front of a write that the
    timer has expired, it sets it for the write, and again for the next read. On a busy machine the timer may expire
    once more before that."""
    reads, writes, others = counted(one_at_a_time, pair, "--ping-interval=0.05", "--timeout=0")
    timer = [event for event in others if event in ("SIGALRM", "setitimer")]
    expiries = timer.count("SIGALRM")
    repeated = sum(events == ("SIGALRM", "SIGALRM") for events in zip(timer, timer[1:]))
    assert 2 <= expiries < MESSAGES / 10, expiries
    assert expiries - repeated <= timer.count("setitimer") <= 2 * expiries + 5, others
    assert MESSAGES <= reads <= MESSAGES + expiries + 10, (reads, expiries)
    assert MESSAGES <= writes <= MESSAGES + expiries + 10, (writes, expiries)


@pytest.mark.parametrize("pair", PAIRS)
def test_in_silence_each_expiry_sets_the_timer_once(tmp_path, pair):
    """Otherwise the timer would expire again every few milliseconds."""
    trace = tmp_path / "trace"
    wrapper = [require("strace", "strace"), "-o", str(trace), "-e", "trace=read,setitimer"]
    with launch.Served("--handshake-timeout=0.2", "--ping-interval=0.3", pair=pair, wrapper=wrapper) as served:
        pings(served.peer.open(), 3)
        served.peer.close()
        served.finish()
    events = re.findall(r"^(?:--- )?(read\(0|setitimer|SIGALRM)", trace.read_text(), re.MULTILINE)
    assert events.count("SIGALRM") >= 3, events
    begun = [at for at, event in enumerate(events) if event == "SIGALRM"]
    assert not [at for at in begun if events[at + 1] == "read(0"], events


@rule("ws-echo(8) SECURITY (6)")
def test_messages_sent_in_one_burst_cost_as_few_as_the_buffers_allow(counted):
    """The whole burst arrives before the program starts, so that each read finds as much as it can."""
    message = b"12345"
    burst = heads.head() + framing.frame(BINARY, message) * MESSAGES + framing.close(1000)
    expected = (heads.switching() + framing.reply(BINARY, message) * MESSAGES
                + framing.reply(CLOSE, framing.close_body(1000)))

    def read(peer):
        framing.same(peer.receive(len(expected)), expected)

    reads, writes, others = counted(read, launch.holding(burst, launch.unix_pair))
    assert reads <= 3 + len(burst) // 4096, (reads, len(burst))
    assert writes <= 3 + len(expected) // 4096, (writes, len(expected))
    assert len(others) <= 30, others[:100]


@rule("ws-echo(8) SECURITY (6)")
def test_the_whole_answer_to_one_read_is_one_write(counted):
    """For all kinds of frames."""
    sent = b"".join([framing.text("a"), framing.frame(framing.PING, b"b"), framing.frame(BINARY, b"c"), framing.text("d", fin=False),
                     framing.frame(framing.CONTINUATION, b"e"), framing.close(1000)])
    answer = (framing.echo("a") + framing.reply(framing.PONG, b"b") + framing.reply(BINARY, b"c") + framing.echo("de")
              + framing.reply(CLOSE, framing.close_body(1000)))

    def once(peer):
        peer.open().send(sent)
        assert peer.rest() == answer

    reads, writes, others = counted(once, launch.unix_pair)
    assert writes == 3, f"the handshake's answer, the frames' and the record: {writes}"
    assert reads <= 3, reads
    assert others.count("madvise") <= 2, f"what was mapped has two kinds of pages, and nothing is given back: {others}"


@rule("ws-echo(8) SECURITY (6)")
def test_the_next_message_is_read_together_with_the_end_of_a_cut_one(counted):
    first, second = framing.text("cut"), framing.text("behind")

    def cut(peer):
        peer.open().send(framing.frame(PING) + first[:-1])
        assert peer.frame() == (True, framing.PONG, b"")
        peer.send(first[-1:] + second)
        expected = framing.echo("cut") + framing.echo("behind")
        assert peer.receive(len(expected)) == expected

    reads, writes, _ = counted(cut, launch.unix_pair)
    assert reads <= 3, reads
    assert writes == 4, f"the handshake's answer, the Pong, the echoes and the record: {writes}"


@pytest.mark.parametrize("pair", PAIRS)
def test_a_large_reply_leaves_in_one_write_with_what_was_gathered_before_it(counted, pair):
    """The large reply is not copied to the other output: writev writes both."""
    part = bytes(50_000)
    sent = heads.head() + framing.text("a") + framing.frame(BINARY, part, fin=False) + framing.frame(framing.CONTINUATION, part)
    expected = heads.switching() + framing.echo("a") + framing.reply(BINARY, part * 2)

    def read(peer):
        framing.same(peer.receive(len(expected)), expected)

    _, writes, _ = counted(read, launch.holding(sent, pair))
    assert writes == 2, f"the answers and the record: {writes}"


@rule("ws-echo(8) SECURITY (5)")
def test_a_large_message_is_read_256_kib_at_once_at_most(tmp_path):
    """Each part is unmasked while it is in the cache of the processor."""
    trace, message = tmp_path / "trace", bytes(4 * MIB)
    strace = [require("strace", "strace"), "-o", str(trace), "-e", "trace=read"]
    with launch.Served(pair=launch.unix_pair, wrapper=strace) as served:
        large_message_echoed(served.peer.open(), message)
        served.peer.close()
        served.finish()
    sizes = [int(size) for size in re.findall(r"^read\(0, .*, (\d+)\) += \d+$", trace.read_text(), re.MULTILINE)]
    assert len(sizes) >= len(message) // (MIB // 4) and max(sizes) == MIB // 4, sizes


def warmed_up(served):
    """The memory of the program after its first echo."""
    for _ in range(3):
        served.peer.send(framing.text("warm"))
        assert served.peer.receive(len(framing.echo("warm"))) == framing.echo("warm")
    return launch.resident(served.process)


@rule("ws-echo(8) SECURITY (5)")
@pytest.mark.parametrize("pair", launch.PAIRS)
@pytest.mark.parametrize("parts", [1, 16])
def test_memory_goes_back_after_a_large_message(pair, parts):
    payload = bytes(range(256)) * (16 * MIB // 256 // parts)
    with launch.Served(pair=pair) as served:
        served.peer.open()
        before = warmed_up(served)
        for number in range(parts):
            opcode = framing.CONTINUATION if number else BINARY
            served.peer.send(framing.frame(opcode, payload, fin=number == parts - 1))
        expected = framing.reply(BINARY, payload * parts)
        framing.same(served.peer.receive(len(expected)), expected)
        launch.wait_until(lambda: launch.resident(served.process) < before + MIB // 2, "the memory is given back")


@rule("ws-echo(8) SECURITY (5)")
def test_memory_of_the_buffers_goes_back_too():
    small, many = bytes(100), 20_000
    with launch.Served() as served:
        peer = served.peer.open()
        before = warmed_up(served)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MIB)
        served.stop(signal.SIGSTOP)  # so that the next read gets as much as it can
        peer.send(framing.frame(BINARY, small) * many)
        served.stop(signal.SIGCONT)
        framing.same(peer.receive(many * len(framing.reply(BINARY, small))), framing.reply(BINARY, small) * many)
        assert launch.resident(served.process) > before + MIB // 3
        large_message_echoed(peer, LARGE[: MIB])
        launch.wait_until(lambda: launch.resident(served.process) < before + MIB // 3, "the memory is given back")


LARGE = bytes(range(256)) * (16 * MIB // 256)


def large_message_echoed(peer, message=LARGE):
    peer.send(framing.frame(BINARY, message))
    while (answer := peer.frame())[1] == framing.PING:  # a slow machine may cause some
        pass
    assert answer[:2] == (True, BINARY)
    framing.same(answer[2], message)


def pings(peer, count):
    """Waits for so many Pings, which measure time by the program's own timer."""
    for _ in range(count):
        assert peer.frame() == (True, framing.PING, b"")


@rule("ws-echo(8) SECURITY (5)", "Memory grows with the received bytes, and is released after a large message.")
@pytest.mark.slow("memory goes back after a time of silence")
def test_memory_goes_back_also_where_a_message_was_unfinished_when_it_was_due():
    with launch.Served("--ping-interval=0.5", "--timeout=0") as served:
        peer = served.peer.open()
        before = warmed_up(served)
        large_message_echoed(peer)
        peer.send(framing.frame(BINARY, b"begun, ", fin=False))
        pings(peer, 3)
        peer.send(framing.frame(framing.CONTINUATION, b"and done"))
        expected = framing.reply(BINARY, b"begun, and done")
        assert peer.receive(len(expected)) == expected
        launch.wait_until(lambda: launch.resident(served.process) < before + MIB // 2, "the memory is given back",
                          process=served.process)


@rule("ws-echo(8) SECURITY (5)")
@pytest.mark.parametrize("sent, answer", [(framing.frame(framing.PONG), b""), (framing.text("on"), framing.echo("on"))],
                         ids=["pongs", "texts"])
def test_memory_goes_back_although_small_frames_keep_coming(sent, answer):
    with launch.Served() as served:
        peer = served.peer.open()
        before = warmed_up(served)
        large_message_echoed(peer)
        for _ in range(300):
            peer.send(sent)
            assert peer.receive(len(answer)) == answer
            select.select([], [], [], 0.01)  # less than any silence that the program acts on
            if launch.resident(served.process) < before + MIB // 2:
                return
        pytest.fail(f"{launch.resident(served.process) - before} bytes stay")


@rule("ws-echo(8) SECURITY (5)")
@pytest.mark.slow("memory goes back after a time of silence")
def test_the_memory_of_an_unfinished_message_stays_whatever_the_size_of_the_previous_message():
    begun, done = LARGE[: MIB], LARGE[1000 : MIB]
    with launch.Served("--ping-interval=0.5", "--timeout=0") as served:
        peer = served.peer.open()
        large_message_echoed(peer, LARGE[: 4 * MIB])
        peer.send(framing.frame(BINARY, begun, fin=False))
        pings(peer, 4)
        peer.send(framing.frame(framing.CONTINUATION, done))
        expected = framing.reply(BINARY, begun + done)
        framing.same(peer.receive(len(expected)), expected)


@rule("ws-echo(8) SECURITY (7)", "A client that sends a whole message before it reads receives its echo.")
@pytest.mark.parametrize("count", [1, 100])
def test_a_client_that_sends_a_whole_message_before_it_reads_gets_its_echo(count):
    """The largest message, in one frame or in many: the program sends nothing before it has read everything."""
    payload = bytes(range(256)) * (16 * MIB // 256)
    cuts = [len(payload) * number // count for number in range(count + 1)]
    with launch.Served(pair=launch.narrow_pair) as served:
        peer = served.peer.open()
        for number, (start, end) in enumerate(zip(cuts, cuts[1:])):
            opcode = framing.CONTINUATION if number else BINARY
            peer.send(framing.frame(opcode, payload[start:end], fin=number == count - 1))
        expected = framing.reply(BINARY, payload)
        framing.same(peer.receive(len(expected)), expected)


@rule("ws-echo(8) SECURITY (5)")
def test_memory_grows_with_the_bytes_that_have_arrived_and_not_with_the_length_announced():
    with launch.Served(watched=True) as served:
        peer = served.peer.open()
        before = warmed_up(served)
        peer.send(framing.frame(BINARY, bytes(16 * MIB))[:20])
        served.consumed()
        assert launch.resident(served.process) < before + MIB // 2
        peer.send(bytes(4 * MIB))
        served.consumed()
        assert before + 3 * MIB < launch.resident(served.process) < before + 13 * MIB
