# SPDX-License-Identifier: MIT
"""Three hosts behind HAProxy, and two balancers with one address, as ws-echo-capacity(7) builds them.

While a host is drained, stopped or dies, clients send messages all the time, and others connect and leave.
"""

import collections
import contextlib
import random
import re

import fleet
import launch
import launchers
import manual
import pytest
from require import require

PAGE = manual.page("ws-echo-capacity.7")
ADDRESSES = {"host1": "192.0.2.21", "host2": "192.0.2.22", "host3": "192.0.2.23"}
DRAIN, READY = "state drain", "state ready"


def host(network, name):
    """Boots a host and sets it up as the page says."""
    made = fleet.Host(network, name, ADDRESSES[name])
    with contextlib.ExitStack() as undo:
        undo.enter_context(made)
        made.install()
        (block,) = manual.blocks("The hosts", PAGE)
        made.typed(block)
        undo.pop_all()
    return made


class Fleet:
    """The network, its hosts by name, and its balancers."""

    def __init__(self, network, undo):
        self.network, self.hosts = network, {}
        for name in ADDRESSES:
            self.boot(name)
        self.balancer = undo.enter_context(fleet.Balancer(network, "balancer1", "192.0.2.1"))

    def boot(self, name):
        self.hosts[name] = host(self.network, name)

    def shut_down(self):
        for machine in self.hosts.values():
            machine.__exit__()

    def clients(self):
        return fleet.Clients(self.network, self.balancer.address)

    def to_balancer(self, command, name):
        """Types the command of the page that sets the state of host1, for any host."""
        (block,) = [block for block in manual.blocks("To take a host out of service", PAGE) if command in block]
        self.balancer.typed(block.replace("host1", name))

    def stop_connections(self, name):
        """Types the page's commands for a drained host."""
        (block,) = [block for block in manual.blocks("To take a host out of service", PAGE) if "systemctl" in block]
        self.hosts[name].typed(block)

    def take_back(self, name):
        self.hosts[name].systemctl("start", "ws-echo.socket")
        self.to_balancer(READY, name)
        self.balancer.sees(name, "UP")


@pytest.fixture(name="three", scope="module")
def three_hosts():
    for command, package in ("haproxy", "haproxy"), ("socat", "socat"), ("ip", "iproute2"):
        require(command, package)
    with contextlib.ExitStack() as undo:
        made = Fleet(undo.enter_context(fleet.Network()), undo)
        undo.callback(made.shut_down)
        yield made


def newcomers(clients):
    """Waits until each of the newcomers has come three times more; returns how many connections each host then got."""
    before = {client: len(client.lives) for client in clients.newcomers}
    launch.wait_until(lambda: all(len(client.lives) >= count + 4 for client, count in before.items()), "newcomers come")
    # The first one may have begun earlier.
    return collections.Counter(life.host for client, count in before.items() for life in client.lives[count + 1:])


def comes_to(clients, name):
    """Waits until a host gets a newcomer."""
    launch.wait_until(lambda: newcomers(clients)[name], f"{name} gets connections")


def test_connections_spread_and_replies_name_their_host(three):
    with three.clients() as clients:
        assert clients.hosts().keys() == ADDRESSES.keys()
        assert min(clients.hosts().values()) >= 2
        (block,) = [block for block in manual.blocks("The balancer", PAGE) if "show stat" in block]
        shown = dict(line.split(",", 1) for line in three.balancer.typed(block).splitlines())
        assert all(int(shown[name].split(",")[0]) >= count for name, count in clients.hosts().items()), shown
    assert [client.refused for client in clients.all if client.refused] == []


def test_a_drained_host_gets_no_connections_and_keeps_those_that_it_has_until_they_are_stopped(three):
    with three.clients() as clients:
        before = [client for client in clients.staying if client.host == "host1"]
        three.to_balancer(DRAIN, "host1")
        three.balancer.sees("host1", "DRAIN")
        assert before and not newcomers(clients)["host1"]
        clients.echo_more()
        assert [client for client in clients.staying if client.host == "host1"] == before
        three.stop_connections("host1")
        launch.wait_until(lambda: not clients.hosts()["host1"], "all have gone to other hosts")
        clients.echo_more()
        assert clients.ends("host1") == [1001] * len(before)
        assert [client.refused for client in clients.all if client.refused] == []
        three.take_back("host1")
        comes_to(clients, "host1")
    assert clients.ends("host2") + clients.ends("host3") == []


def test_a_host_that_accepts_no_connections_costs_no_client_its_connection(three):
    """The balancer tries another host, before it knows as well as afterwards."""
    with three.clients() as clients:
        three.hosts["host1"].systemctl("stop", "ws-echo.socket")
        newcomers(clients)
        three.balancer.sees("host1", "DOWN")
        assert not newcomers(clients)["host1"]
        three.take_back("host1")
        comes_to(clients, "host1")
    assert [client.refused for client in clients.all if client.refused] == []
    assert clients.ends("host2") + clients.ends("host3") == []


@pytest.mark.parametrize("seed, die", [(1, fleet.Host.lose_power), (2, fleet.Host.crash), (3, fleet.Host.lose_power)])
def test_a_host_that_dies_while_another_one_is_drained_takes_only_its_own_connections_along(three, seed, die):
    """The seed chooses the hosts, and the number of messages after which one of them dies."""
    chosen = random.Random(seed)
    dying, drained, third = chosen.sample(sorted(ADDRESSES), 3)
    with three.clients() as clients:
        three.to_balancer(DRAIN, drained)
        moment = clients.echoes() + chosen.randrange(500)
        launch.wait_until(lambda: clients.echoes() >= moment, "the moment comes", pause=1e-3)
        die(three.hosts[dying])
        three.stop_connections(drained)
        three.balancer.sees(dying, "DOWN")
        launch.wait_until(lambda: clients.hosts()[third] == len(clients.staying), "all have gone to the third host")
        newcomers(clients)  # also those that were on their way to the dead host
        refused = [len(client.refused) for client in clients.all]
        assert max(refused) <= 1, "a client connects again but once"
        assert newcomers(clients).keys() == {third}
        clients.echo_more()
        assert [len(client.refused) for client in clients.all] == refused
        assert set(clients.ends(dying)) <= {"lost"} and set(clients.ends(drained)) <= {1001}
        three.boot(dying)
        three.balancer.sees(dying, "UP")
        comes_to(clients, dying)
        three.take_back(drained)
        comes_to(clients, drained)
    assert clients.ends(third) == []


def test_the_limits_of_the_crowd_unit_can_be_raised(machine):
    crowd = launchers.Crowd(machine)
    crowd.prepare()
    entry = machine.path(launchers.ENTRY)
    shipped = entry.read_bytes()
    try:
        (block,) = manual.blocks("Limits to raise", PAGE)
        machine.run("sh", "-euc", manual.script(block))
        assert machine.show(crowd.name, "TasksMax") == "5010"
        written = machine.path("/run/ws-echo-crowd/xinetd.conf").read_text(encoding="utf-8")
        assert [re.search(rf"\b{name} *= (.*)", written)[1] for name in ("instances", "per_source")] == ["5000"] * 2
        peer = launch.Peer(machine.connect()).open()
        launchers.leave(peer)
    finally:
        entry.write_bytes(shipped)
        machine.run("rm", "-r", f"/etc/systemd/system/{crowd.name}.d")
        crowd.stop()


# Two balancers with one address


def test_the_record_has_the_address_of_the_client_whatever_the_client_says(three):
    """The client is the balancer itself. A refusal has a record too."""
    ask = f"""from http.client import HTTPConnection
connection = HTTPConnection("{three.balancer.address}", 8888)
connection.request("GET", "/refused", headers={{"Forwarded": "for=192.0.2.66"}})
print(connection.getresponse().status)"""
    assert three.balancer.run("/usr/bin/python3", "-c", ask).stdout == "404\n"

    def records():
        return "".join(each.run("journalctl", "--quiet", "-t", "ws-echo", "-o", "cat").stdout for each in three.hosts.values())

    launch.wait_until(lambda: 'path="/refused"' in records(), "there is a record")
    (line,) = [line for line in records().splitlines() if 'path="/refused"' in line]
    assert line.endswith(f' forwarded="{three.balancer.address}"'), line


@contextlib.contextmanager
def keepalived(balancer, second=False):
    """Runs keepalived on a balancer as the page says."""
    _, lower, begin = manual.blocks("Two balancers with one address", PAGE)
    balancer.path("/etc/keepalived").mkdir(exist_ok=True)
    balancer.path("/etc/keepalived/keepalived.conf").write_bytes((fleet.EXAMPLES / "keepalived.conf").read_bytes())
    if second:
        balancer.typed(lower)
    balancer.typed(begin)
    try:
        yield
    finally:
        if balancer.is_running():
            balancer.systemctl("stop", "keepalived")


def has_the_address(balancer):
    """Waits until a balancer has the shared address."""
    launch.wait_until(lambda: f" {fleet.SHARED}/" in balancer.run("ip", "address", "show", "dev", "eth0").stdout,
                      f"{balancer.name} has the address")


def test_one_balancer_takes_the_address_of_the_other_one_if_haproxy_ends_or_the_power_fails(three):
    require("keepalived", "keepalived")
    require("pgrep", "procps")
    first = three.balancer
    with fleet.Balancer(three.network, "balancer2", "192.0.2.2") as second, keepalived(first), \
            keepalived(second, second=True):
        has_the_address(first)
        with fleet.Clients(three.network, fleet.SHARED) as clients:
            first.systemctl("stop", "haproxy")
            has_the_address(second)
            clients.echo_more()
            first.systemctl("start", "haproxy")
            second.lose_power()
            has_the_address(first)
            clients.echo_more()
        assert all({"lost"} >= set(clients.ends(name)) for name in ADDRESSES)
