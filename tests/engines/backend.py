#!/usr/bin/env python3
"""A service for the labs, run inside containers: HTTP/1.1 with keep-alive on the port of its first argument.

Every answer is JSON: who answers (its host name), and what it saw of the client. `/slow` begins its answer only when a
file /tmp/go is there: a request that is in progress for as long as a test wants. `/healthz` answers 503 while a file
/tmp/ill is there, and from the start where ILL is in the environment. At SIGTERM it takes no more connections, finishes the requests that it
has and ends.
"""
import contextlib
import http.server
import json
import os
import signal
import socket
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        with self.server.counted():
            self.answer()

    def answer(self):
        while self.path == "/slow" and not os.path.exists("/tmp/go"):
            time.sleep(0.01)
        if self.path == "/healthz" and os.path.exists("/tmp/ill"):
            return self.send_error(503)
        body = json.dumps({"name": socket.gethostname(), "client": self.client_address[0], "path": self.path,
                           "forwarded_for": self.headers.get("X-Forwarded-For", "")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.changed, self.requests = threading.Condition(), 0

    @contextlib.contextmanager
    def counted(self):
        with self.changed:
            self.requests += 1
        try:
            yield
        finally:
            with self.changed:
                self.requests -= 1
                self.changed.notify_all()

    def serve(self):
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=self.shutdown).start())
        self.serve_forever()
        self.server_close()
        with self.changed:
            self.changed.wait_for(lambda: self.requests == 0)


if __name__ == "__main__":
    if "ILL" in os.environ:
        open("/tmp/ill", "w").close()
    Server(("", int(sys.argv[1])), Handler).serve()
