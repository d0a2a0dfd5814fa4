"""Reverse proxies: real ones, each in the foreground, on loopback, with a configuration that the test writes.

    with Nginx(configuration, folder) as proxy:
        connect to ("127.0.0.1", proxy.port)

In the configuration PORT stands for the port on which the proxy has to listen. A further proxy is a class here, and its
package one more in `packaging/install-deps`.
"""

import pathlib
import socket
import subprocess

import parts
import wire


class Proxy:
    """A proxy that accepts connections at `port` while the body of a `with` runs. It writes into `folder`, which has to be
    its own and empty; `log` there is what it said."""

    program = package = None

    def __init__(self, configuration, folder):
        self.folder = pathlib.Path(folder)
        self.file, self.log = self.folder / "configuration", self.folder / "log"
        self.executable = parts.require(self.program, self.package)
        # Bound, and not listening, it keeps the port from everybody but a proxy that listens there by SO_REUSEADDR.
        self.reserved = socket.socket()
        self.reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.reserved.bind(("127.0.0.1", 0))
        self.port = self.reserved.getsockname()[1]
        self.file.write_text(configuration.replace("PORT", str(self.port)))

    def command(self):
        """What starts it in the foreground."""
        raise NotImplementedError

    def accepts(self):
        """Whether a connection is accepted; nothing is sent on it."""
        try:
            socket.create_connection(("127.0.0.1", self.port), wire.LIMIT).close()
        except ConnectionRefusedError:
            return False
        return True

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen([self.executable, *map(str, self.command())], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        try:
            wire.wait_until(lambda: self.process.poll() is not None or self.accepts(), f"{self.program} accepts")
            assert self.process.poll() is None, self.log.read_text()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(wire.LIMIT)
        self.reserved.close()


class Nginx(Proxy):
    program = package = "nginx"

    def command(self):
        return ["-p", self.folder, "-c", self.file, "-e", "stderr"]


class HAProxy(Proxy):
    program = package = "haproxy"

    def command(self):
        return ["-db", "-f", self.file]


# nginx stays in the foreground, writes below its folder, and passes an upgrade on.
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
