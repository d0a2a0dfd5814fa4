# SPDX-License-Identifier: MIT
"""Runs real reverse proxies in the foreground, on loopback, with a configuration that the test writes.

    with Nginx(configuration, folder) as proxy:
        connect to ("127.0.0.1", proxy.port)

In the configuration, PORT is replaced by the port on which the proxy has to listen, and TLS_PORT by another one. To add a
proxy, write a class here, and add its package to `packaging/install-deps`. The classes at the end run the configurations
of packaging/examples.
"""

import contextlib
import os
import pathlib
import socket
import subprocess

import launch
import manual
import project
from require import require


class Proxy:
    """A proxy that accepts connections at `port` during the body of a `with`. It writes into `folder`, an empty folder
    of its own; `log` there contains its output."""

    program = package = None

    def __init__(self, configuration, folder):
        self.folder = pathlib.Path(folder)
        self.file, self.log = self.folder / "configuration", self.folder / "log"
        self.executable = require(self.program, self.package)
        self.reserved = [self.reserve(), self.reserve()]
        self.port, self.tls_port = (made.getsockname()[1] for made in self.reserved)
        self.file.write_text(configuration.replace("TLS_PORT", str(self.tls_port)).replace("PORT", str(self.port)))

    @staticmethod
    def reserve():
        """A bound socket, which reserves its port: only a proxy that sets SO_REUSEADDR can listen on it."""
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", 0))
        return made

    def command(self):
        """The command line that runs it in the foreground."""
        raise NotImplementedError

    def accepts(self):
        """Whether it accepts a connection, on which nothing is sent."""
        try:
            socket.create_connection(("127.0.0.1", self.port), project.LIMIT).close()
        except ConnectionRefusedError:
            return False
        return True

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen([self.executable, *map(str, self.command())], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, "HOME": str(self.folder)})
        try:
            launch.wait_until(lambda: self.process.poll() is not None or self.accepts(), f"{self.program} accepts")
            assert self.process.poll() is None, self.log.read_text()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(project.LIMIT)
        for reserved in self.reserved:
            reserved.close()


class Nginx(Proxy):
    program = package = "nginx"

    def command(self):
        return ["-p", self.folder, "-c", self.file, "-e", "stderr"]


class HAProxy(Proxy):
    program = package = "haproxy"

    def command(self):
        return ["-db", "-f", self.file]


# nginx in the foreground, writing to its folder only.
NGINX_AROUND = """
daemon off;
pid nginx.pid;
events { }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    EXAMPLE
}
"""

# Passes upgrades on.
NGINX = NGINX_AROUND.replace("EXAMPLE", """
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    server {
        listen 127.0.0.1:PORT;
        LOCATIONS
    }
""")

HAPROXY = """
defaults
    mode MODE
    timeout connect 60s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
listen ws-echo
    bind 127.0.0.1:PORT
    server ws-echo 127.0.0.1:SERVER
"""


def nginx(folder, locations):
    """nginx with these locations."""
    return Nginx(NGINX.replace("LOCATIONS", locations), folder)


def haproxy(folder, server, mode="http"):
    """HAProxy in front of the port `server`."""
    return HAProxy(HAPROXY.replace("MODE", mode).replace("SERVER", str(server)), folder)


# The configurations of packaging/examples.

EXAMPLES = project.TOP / "packaging/examples"
CERTIFICATE = "/etc/ssl/private/ws-echo.pem"  # the path in the examples


def certificate(folder):
    """A certificate for localhost and its key, in one file, made by the command of ws-echo-proxies(7)."""
    command = manual.script(*manual.blocks("A certificate", manual.page("ws-echo-proxies.7")))
    require("openssl", "openssl")
    file = pathlib.Path(folder) / "ws-echo.pem"
    subprocess.run(["sh", "-euc", command.replace(CERTIFICATE, str(file))], check=True, capture_output=True)
    return file


def answer_head(peer):
    """Receives the head of the answer, byte by byte, so that frames after it stay unread; less if the stream ends."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while not answer.endswith(b"\r\n\r\n") and (byte := peer.receive(1)):
            answer += byte
    return answer


class Example(Proxy):
    """A proxy with a file of packaging/examples as it stands, except for addresses, the path of the certificate, and
    the `changes` of the test: each replaces a text that must be in the file."""

    example = None
    addresses = {}
    # The configuration of the distribution around the file, as far as the proxy needs it.
    around = "EXAMPLE"
    tls_only = False
    # Whether the example is for `ws-echo --proxy-protocol`.
    proxy_protocol = False

    def __init__(self, folder, server, pem, changes=(), arguments=()):
        text = (EXAMPLES / self.example).read_text(encoding="utf-8")
        for old, new in [*self.addresses.items(), *dict(changes).items()]:
            assert old in text, f"{self.example} has no {old!r}"
            text = text.replace(old, new)
        text = text.replace("BACKEND", str(server)).replace(CERTIFICATE, str(pem))
        self.arguments = arguments
        super().__init__(self.around.replace("EXAMPLE", text).replace("FOLDER", str(folder)), folder)
        if self.tls_only:
            self.port = self.tls_port


class HAProxyExample(Example, HAProxy):
    example = "haproxy.cfg"
    addresses = {"bind :8080": "bind 127.0.0.1:PORT", "bind :8443": "bind 127.0.0.1:TLS_PORT",
                 "127.0.0.1:9000": "127.0.0.1:BACKEND"}


class HAProxyTcpExample(HAProxyExample):
    example = "haproxy-tcp.cfg"
    proxy_protocol = True


class NginxExample(Example, Nginx):
    example = "nginx.conf"
    addresses = {"listen 8080": "listen 127.0.0.1:PORT", "listen 8443": "listen 127.0.0.1:TLS_PORT",
                 "127.0.0.1:9000": "127.0.0.1:BACKEND"}
    around = NGINX_AROUND


class ApacheExample(Example):
    program = package = "apache2"
    example = "apache.conf"
    addresses = {"Listen 8080": "Listen 127.0.0.1:PORT", "*:8080": "127.0.0.1:PORT", "127.0.0.1:9000": "127.0.0.1:BACKEND"}
    around = """
ServerRoot FOLDER
DefaultRuntimeDir FOLDER
PidFile apache.pid
ServerName localhost
ErrorLog /dev/stderr
User nobody
Group nogroup
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule reqtimeout_module /usr/lib/apache2/modules/mod_reqtimeout.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
EXAMPLE
"""

    def command(self):
        return ["-D", "FOREGROUND", "-f", self.file]


class CaddyExample(Example):
    program = package = "caddy"
    example = "Caddyfile"
    addresses = {":8080 {": ":PORT {\n\tbind 127.0.0.1", "127.0.0.1:9000": "127.0.0.1:BACKEND"}
    around = "{\nadmin off\n}\nEXAMPLE"

    def command(self):
        return ["run", "--adapter", "caddyfile", "--config", self.file]


class VarnishExample(Example):
    program, package = "varnishd", "varnish"
    example = "varnish.vcl"
    addresses = {'.port = "9000"': '.port = "BACKEND"'}
    proxy_protocol = True

    def command(self):
        return ["-F", "-n", self.folder / "work", "-j", "none", "-s", "malloc,64m", "-a", f"127.0.0.1:{self.port}",
                "-f", self.file, *self.arguments]


class StunnelExample(Example):
    program, package = "stunnel", "stunnel4"
    example = "stunnel.conf"
    addresses = {":::8443": "127.0.0.1:TLS_PORT", "127.0.0.1:9000": "127.0.0.1:BACKEND"}
    tls_only = proxy_protocol = True

    def command(self):
        return [self.file]


class HitchExample(Example):
    program = package = "hitch"
    example = "hitch.conf"
    addresses = {"[*]:8443": "[127.0.0.1]:TLS_PORT", "[127.0.0.1]:9000": "[127.0.0.1]:BACKEND"}
    tls_only = proxy_protocol = True

    def command(self):
        return ["--user=nobody", "--config", self.file]


class LighttpdExample(Example):
    program = package = "lighttpd"
    example = "lighttpd.conf"
    addresses = {":8080": "127.0.0.1:PORT", '=> 9000': '=> BACKEND'}
    around = """
server.modules = ( )
server.document-root = "FOLDER"
server.bind = "127.0.0.1"
server.port = TLS_PORT
server.username = "nobody"
EXAMPLE
"""

    def command(self):
        return ["-D", "-f", self.file]
