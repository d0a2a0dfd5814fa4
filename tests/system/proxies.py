"""Runs real reverse proxies in the foreground, on loopback, with a configuration that the test writes.

    with Nginx(configuration, folder) as proxy:
        connect to ("127.0.0.1", proxy.port)

In the configuration, PORT is replaced by the port on which the proxy has to listen. To add a proxy, write a class here,
and add its package to `packaging/install-deps`.
"""

import pathlib
import socket
import subprocess

import launch
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
        # A bound socket reserves the port: only a proxy that sets SO_REUSEADDR can listen on it.
        self.reserved = socket.socket()
        self.reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.reserved.bind(("127.0.0.1", 0))
        self.port = self.reserved.getsockname()[1]
        self.file.write_text(configuration.replace("PORT", str(self.port)))

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
                                            stdout=log, stderr=log)
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
        self.reserved.close()


class Nginx(Proxy):
    program = package = "nginx"

    def command(self):
        return ["-p", self.folder, "-c", self.file, "-e", "stderr"]


class HAProxy(Proxy):
    program = package = "haproxy"

    def command(self):
        return ["-db", "-f", self.file]


# nginx in the foreground, writing to its folder only, and passing upgrades on.
NGINX = """
daemon off;
pid nginx.pid;
events { }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    server {
        listen 127.0.0.1:PORT;
        LOCATIONS
    }
}
"""

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
