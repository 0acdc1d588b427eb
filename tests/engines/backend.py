#!/usr/bin/env python3
"""A service for the labs, run inside containers: HTTP/1.1 with keep-alive on the port of its first argument.

Every answer is JSON: who answers (its host name), and what it saw of the client. `/slow` begins its answer only when a
file /tmp/go is there: a request that is in progress for as long as a test wants.
"""
import http.server
import json
import os
import socket
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        while self.path == "/slow" and not os.path.exists("/tmp/go"):
            time.sleep(0.01)
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


if __name__ == "__main__":
    Server(("", int(sys.argv[1])), Handler).serve_forever()
