# SPDX-License-Identifier: MIT
"""The commands of ws-echo-proxies(7), typed in a machine with Debian's units and configurations of the proxies."""

import contextlib
import re
import shutil
import ssl

import framing
import heads
import launch
import manual
import proxies
import pytest
from launch import Peer
from require import require, require_module
from rule import rule

pytestmark = rule("ws-echo-proxies(7) BEFORE YOU BEGIN", "After the commands of the page, each proxy forwards a WebSocket.")

PAGE = manual.page("ws-echo-proxies.7")
CLIENT = "127.0.0.2"
FOLDER = "/root/examples"
SETTINGS = "/etc/default/ws-echo"

# A section of the page, its file, the command that must be installed, its package, and the port.
TYPED = [
    ("HAPROXY", "haproxy.cfg", "haproxy", "haproxy", 8080),
    ("HAPROXY", "haproxy-tcp.cfg", "haproxy", "haproxy", 8443),
    ("NGINX", "nginx.conf", "nginx", "nginx", 8443),
    ("APACHE HTTPD", "apache.conf", "a2ensite", "apache2", 8080),
    ("CADDY", "Caddyfile", "caddy", "caddy", 8080),
    ("VARNISH", "varnish.vcl", "varnishd", "varnish", 6081),
    ("STUNNEL", "stunnel.conf", "stunnel", "stunnel4", 8443),
    ("HITCH", "hitch.conf", "hitch", "hitch", 8443),
    ("LIGHTTPD", "lighttpd.conf", "lighttpd", "lighttpd", 8080),
]
WITH_HEADER = {example.example for example in vars(proxies).values()
               if isinstance(example, type) and issubclass(example, proxies.Example) and example.proxy_protocol}


def blocks(heading):
    """The commands of a section or subsection, one text for each example."""
    return [block for block in manual.blocks(heading, PAGE) if block.startswith("# ")]


def typed(machine, block):
    """Types an example, except that the packages are installed already."""
    commands = manual.script(re.sub("(?m)^# apt-get install .*\n", "", block))
    return machine.run("sh", "-euc", f"cd {FOLDER}\n{commands}")


@contextlib.contextmanager
def undone(machine):
    """After the body, the folders to which the commands write have the same files with the same content."""
    folders = "/etc /var/lib/apache2"  # a2ensite notes in the second one what it did
    kept = machine.run("mktemp", "-d").stdout.strip()
    machine.run("sh", "-euc", f"cp -a --parents {folders} {kept}")
    try:
        yield
    finally:
        machine.run("sh", "-euc", f"cp -a {kept}/* /; find {folders} -depth | while read -r path; do "
                    f'[ -e "{kept}$path" ] || [ -L "{kept}$path" ] || rm -d "$path"; done; rm -r {kept}')
        machine.systemctl("daemon-reload")


@pytest.fixture(scope="module")
def prepared(machine):
    """The machine, with the socket on port 9000, a certificate, and the folder of the examples."""
    shutil.copytree(proxies.EXAMPLES, machine.path(FOLDER))
    machine.systemctl("start", "ws-echo.socket")  # creates the user ws-echo, which other tests need as well
    with undone(machine):
        (drop_in, *_), (certificate,) = blocks("The socket of ws-echo"), blocks("A certificate")
        typed(machine, certificate)
        typed(machine, drop_in)
        yield machine
        machine.systemctl("stop", "ws-echo.socket")
    shutil.rmtree(machine.path(FOLDER))


def connect(machine, port):
    made = machine.connect(port=port, source=CLIENT)
    if port != 8443:
        return Peer(made)
    context = ssl.create_default_context(cafile=machine.path(proxies.CERTIFICATE))
    return Peer(context.wrap_socket(made, server_hostname="localhost"))


@pytest.mark.parametrize("heading, name, command, package, port", TYPED, ids=[row[1] for row in TYPED])
def test_after_the_commands_of_the_page_a_proxy_forwards_a_websocket(prepared, heading, name, command, package, port):
    require(command, package)
    require_module("websocket", "python3-websocket")
    (block, *_) = blocks(heading)
    unit = block.split()[-1]
    if name in WITH_HEADER:
        typed(prepared, blocks("The socket of ws-echo")[1])
    cursor = prepared.cursor()
    with undone(prepared):
        try:
            typed(prepared, block.replace("cat haproxy.cfg", f"cat {name}"))
            launch.wait_until(lambda: port in prepared.listening(), f"{unit} listens")
            for example in blocks("How to try a proxy"):
                if f"localhost:{port}" in example:
                    assert typed(prepared, example).stdout == "server: Hello\n"
            peer = connect(prepared, port)
            peer.send(heads.head(f"User-Agent: {name}"))
            assert proxies.answer_head(peer).startswith(b"HTTP/1.1 101 ")
            peer.send(framing.text("Hello") + framing.close(1000))
            assert peer.rest() == framing.echo("Hello") + framing.reply(framing.CLOSE, framing.close_body(1000))
            peer.close()
        finally:
            prepared.systemctl("stop", unit)
    prepared.path(SETTINGS).unlink(missing_ok=True)
    field = "REMOTE_ADDR" if name in WITH_HEADER else "WS_FORWARDED"
    launch.wait_until(lambda: prepared.journal(cursor, SYSLOG_IDENTIFIER="ws-echo", WS_USER_AGENT=name, **{field: CLIENT}),
                      "the record is in the journal")
