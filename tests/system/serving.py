"""The program behind a port, as a super-server of the test's own starts it for each connection."""

import contextlib
import os
import signal
import socketserver
import subprocess
import tempfile
import threading

import wire


class Instance:
    """The program on one connection."""

    def __init__(self, command, connection):
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=connection, stdout=connection, stderr=self.output)

    def log(self):
        """What it has written on standard error so far."""
        return os.pread(self.output.fileno(), os.fstat(self.output.fileno()).st_size, 0).decode()


class Listener(socketserver.TCPServer):
    """Starts the program for each connection, with `options`, in which PORT is its own port, and by `wrapper`, a command
    that ends by executing its arguments. Both may be changed between two connections."""

    request_queue_size = 64

    def __init__(self, options):
        super().__init__(("127.0.0.1", 0), None)
        self.port = self.server_address[1]
        self.options, self.wrapper = options, ()
        self.instances = []

    def finish_request(self, request, _):
        options = [option.replace("PORT", str(self.port)) for option in self.options]
        self.instances.append(Instance([*self.wrapper, wire.PROGRAM, *options], request))

    def shutdown_request(self, request):
        self.close_request(request)  # the instance has it

    def end(self):
        """End what still runs; nothing of it may have failed."""
        for instance in self.instances:
            instance.process.terminate()
        for instance in self.instances:
            status = instance.process.wait(wire.LIMIT)
            assert status in (0, -signal.SIGTERM), (status, instance.log())  # which may come before the first line
            instance.output.close()
        self.instances.clear()


@contextlib.contextmanager
def listening(*options):
    """A Listener that accepts; no connection to it is left afterwards."""
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
