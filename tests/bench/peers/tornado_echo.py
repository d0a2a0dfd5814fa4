# SPDX-License-Identifier: MIT
"""The echo server of Tornado's tutorial, at /socket: tornado_echo.py PORT PREFIX [deflate]."""

import sys

import tornado.ioloop
import tornado.web
import tornado.websocket

PORT, PREFIX = int(sys.argv[1]), sys.argv[2]


class Echo(tornado.websocket.WebSocketHandler):
    """Echoes text with the prefix in front, and binary messages unchanged."""

    def get_compression_options(self):
        """Return the compression parameters that all compared servers use; None for no compression."""
        return {"compression_level": 6, "mem_level": 8} if "deflate" in sys.argv[3:] else None

    def on_message(self, message):
        """Take a message; send its echo."""
        if isinstance(message, bytes):
            self.write_message(message, binary=True)
        else:
            self.write_message(PREFIX + message)


settings = {"websocket_max_message_size": 16 << 20}
tornado.web.Application([("/socket", Echo)], **settings).listen(PORT, "127.0.0.1")
tornado.ioloop.IOLoop.current().start()
