# SPDX-License-Identifier: MIT
"""Hosts and balancers, each a booted systemd, that a bridge joins in a network namespace of its own.

    with Network() as network:
        with Host(network, "host1", "192.0.2.21") as host:
            connect to (host.address, 8888) in a thread that has called network.enter()

The addresses are those of the shipped examples, which the namespaces let a test use as they stand. No interface leads out of
the network.
"""

import collections
import contextlib
import csv
import ctypes
import socket
import subprocess
import threading

import framing
import heads
import launch
import machine as machines
import manual
import project

EXAMPLES = project.TOP / "packaging/examples"
CLIENTS = "192.0.2.100"
SHARED = "192.0.2.10"
PORT = 8888
PAUSE = 0.01  # seconds between two messages of a client, which leave the processors to the machines


class Network:
    """A network namespace with a bridge, whose address is that of the clients."""

    def __enter__(self):
        with open("/proc/thread-self/ns/net", "rb") as ours:
            if machines.LIBC.unshare(machines.CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            try:
                self.namespace = open("/proc/thread-self/ns/net", "rb")  # keeps it
                for command in ("link add name bridge type bridge", f"address add {CLIENTS}/24 dev bridge",
                                "link set bridge up", "link set lo up"):
                    subprocess.run(["ip", *command.split()], check=True)
            finally:
                machines.set_network(ours)
        return self

    def __exit__(self, *_):
        self.namespace.close()

    def enter(self):
        """Puts the calling thread into the network for good."""
        machines.set_network(self.namespace)

    def ip(self, *arguments):
        """Runs ip(8) in the network."""
        enter = ["nsenter", f"--net=/proc/self/fd/{self.namespace.fileno()}"]
        subprocess.run([*enter, "ip", *map(str, arguments)], check=True, pass_fds=[self.namespace.fileno()])


class Host(machines.Machine):
    """A machine with a name and an address in the network."""

    def __init__(self, network, name, address):
        super().__init__()
        self.network_of_all, self.name, self.address = network, name, address

    def start(self):
        super().start()
        self.run("hostname", self.name)
        # The same address of its interface at each start, as a real host has: others remember it.
        hardware = "02:00:" + ":".join(f"{int(number):02x}" for number in self.address.split("."))
        self.network_of_all.ip("link", "add", "name", self.name, "type", "veth",
                               "peer", "name", "eth0", "address", hardware, "netns", self.leader)
        self.network_of_all.ip("link", "set", self.name, "master", "bridge", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")

    def is_running(self):
        return not self.console.closed

    def __exit__(self, *_):
        if self.is_running():  # not if it has died in the body
            super().__exit__()

    def lose_power(self):
        """Ends it like a power failure: nothing that it sends while its processes die reaches the others."""
        self.network_of_all.ip("link", "delete", self.name)
        self.__exit__()

    def crash(self):
        """Ends its processes while its kernel still tells the peers, until the network disappears as well."""
        self.__exit__()

    def typed(self, block):
        """Runs the lines of an example without their prompts; returns the output."""
        return self.run("sh", "-euc", manual.script(block)).stdout


class Balancer(Host):
    """HAProxy as the example configures it, run by its own unit."""

    def start(self):
        super().start()
        self.path("/etc/haproxy/haproxy.cfg").write_bytes((EXAMPLES / "haproxy-fleet.cfg").read_bytes())
        self.run("systemd-tmpfiles", "--create", "haproxy.conf")
        # Services have more than this by default, but not where systemd runs in namespaces.
        limit = self.path("/run/systemd/system/haproxy.service.d/limit.conf")
        limit.parent.mkdir()
        limit.write_text("[Service]\nLimitNOFILE=16384\n", encoding="ascii")
        self.systemctl("daemon-reload")
        self.systemctl("start", "haproxy")

    def states(self):
        """The state of each host, as HAProxy sees it."""
        said = self.run("sh", "-c", "echo show stat | socat stdio /run/haproxy/admin.sock").stdout
        rows = csv.DictReader(said.removeprefix("# ").splitlines())
        return {row["svname"]: row["status"] for row in rows if row["pxname"] == "hosts"}

    def sees(self, name, state):
        """Waits until HAProxy sees a host in a state."""
        launch.wait_until(lambda: self.states()[name] == state, f"{self.name} sees {name} as {state}")


Life = collections.namedtuple("Life", "host echoes end")  # of a connection, after it


def shake_hands(address):
    """A connection through a balancer, after the handshake."""
    peer = launch.Peer(socket.create_connection((address, PORT), project.LIMIT))
    try:
        peer.send(heads.head())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            byte = peer.receive(1)
            assert byte, f"the answer ends after {answer!r}"
            answer += byte
        assert answer.startswith(b"HTTP/1.1 101 "), answer
    except BaseException:
        peer.close()
        raise
    return peer


def close_code(payload):
    return int.from_bytes(payload[:2], "big")


class Client(threading.Thread):
    """Sends one message after the other, and connects again if its connection ends or `most` messages have been echoed."""

    def __init__(self, network, address, most=None):
        super().__init__(daemon=True)
        self.network, self.address, self.most = network, address, most
        self.leaving = threading.Event()
        self.host, self.echoes, self.lives, self.refused = None, 0, [], []
        self.fault = None

    def run(self):
        try:
            self.network.enter()
            while not self.leaving.is_set():
                self.connect()
        except BaseException as fault:
            self.fault = fault
            raise

    def connect(self):
        try:
            peer = shake_hands(self.address)
        except (OSError, AssertionError) as refused:
            self.refused.append(refused)
            self.leaving.wait(0.1)
            return
        end = "lost"
        with contextlib.closing(peer):
            try:
                end = self.talk(peer)
            except TimeoutError:
                end = "silent"
            except (OSError, ValueError):
                pass  # reset, or the stream ends within a frame
        self.lives.append(Life(self.host, self.echoes, end))
        self.host, self.echoes = None, 0

    def talk(self, peer):
        """Sends messages until one side closes; returns "left", or the code of the host's Close."""
        while not self.leaving.is_set() and self.echoes != self.most:
            peer.send(framing.text("Hello"))
            _, opcode, payload = peer.frame()
            if opcode == framing.CLOSE:
                peer.send(framing.frame(framing.CLOSE, payload))
                return close_code(payload)
            name, _, echoed = payload.decode().partition(": ")
            assert echoed == "Hello" and self.host in (None, name), payload
            self.host, self.echoes = name, self.echoes + 1
            self.leaving.wait(PAUSE)
        peer.send(framing.close(1000))
        _, opcode, payload = peer.frame()
        assert opcode == framing.CLOSE, payload
        return "left" if payload == framing.close_body(1000) else close_code(payload)  # both sides closed


class Clients:
    """Clients that stay, and newcomers that connect, have a few messages echoed and leave, again and again."""

    def __init__(self, network, address, staying=12, newcomers=2):
        self.staying = [Client(network, address) for _ in range(staying)]
        self.newcomers = [Client(network, address, most=3) for _ in range(newcomers)]

    def __enter__(self):
        for client in self.all:
            client.start()
        self.echo_more()
        return self

    def __exit__(self, *_):
        for client in self.all:
            client.leaving.set()
        for client in self.all:
            client.join(project.LIMIT)

    @property
    def all(self):
        return [*self.staying, *self.newcomers]

    def hosts(self):
        """How many of the staying clients each host serves."""
        return collections.Counter(client.host for client in self.staying)

    def echoes(self):
        """How many messages the staying clients have had echoed."""
        return sum(client.echoes + sum(life.echoes for life in client.lives) for client in self.staying)

    def echo_more(self):
        """Waits until each of the staying clients has an echo more."""
        before = [(client, len(client.lives), client.echoes) for client in self.staying]
        launch.wait_until(lambda: all(client.fault or client.echoes > (echoes if len(client.lives) == lives else 0)
                                      for client, lives, echoes in before), "each client has an echo more")
        assert [client.fault for client in self.all if client.fault] == []

    def ends(self, host):
        """How connections of a host ended, other than by their client."""
        return [life.end for client in self.all for life in client.lives if life.host == host and life.end != "left"]
