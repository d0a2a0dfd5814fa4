# SPDX-License-Identifier: MIT
"""A super-server in the test process: it listens on a port and starts the program for each connection."""

import contextlib
import os
import signal
import socketserver
import subprocess
import tempfile
import threading

import launch
import project


class Instance:
    """The program on one connection."""

    def __init__(self, command, connection):
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=connection, stdout=connection, stderr=self.output)

    def log(self):
        """Its standard error so far."""
        return os.pread(self.output.fileno(), os.fstat(self.output.fileno()).st_size, 0).decode()


class Listener(socketserver.TCPServer):
    """Starts the program for each connection, with `options`, in which PORT is replaced by its port, and with
    `wrapper`, a command that finally executes its arguments. Both may be changed between two connections."""

    request_queue_size = 64

    def __init__(self, options):
        super().__init__(("127.0.0.1", 0), None)
        self.port = self.server_address[1]
        self.options, self.wrapper = options, ()
        self.instances = []

    def finish_request(self, request, _):
        options = [option.replace("PORT", str(self.port)) for option in self.options]
        self.instances.append(Instance([*self.wrapper, launch.PROGRAM, *options], request))

    def shutdown_request(self, request):
        self.close_request(request)  # closes this process's copy

    def end(self):
        """Ends the running instances; asserts that no instance failed."""
        for instance in self.instances:
            instance.process.terminate()
        for instance in self.instances:
            status = instance.process.wait(project.LIMIT)
            assert status in (0, -signal.SIGTERM), (status, instance.log())  # before it has a handler
            instance.output.close()
        self.instances.clear()


@contextlib.contextmanager
def listening(*options):
    """A Listener that accepts connections in a thread; at the end, all its instances are ended."""
    with Listener(options) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        try:
            yield listener
        finally:
            listener.shutdown()
            listener.end()


@contextlib.contextmanager
def serving(*options):
    """The address of a server with these options."""
    with listening(*options) as listener:
        yield f"http://localhost:{listener.port}/"
