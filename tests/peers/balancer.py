"""`fairlead lb` between real clients and a backend of our own, for the tests beside it.

Ports are 0 and then asked for: the balancer logs what it listens on. The program is that of build/release/bin, or of
FAIRLEAD_BIN. Nothing needs root; every wait is for a condition.
"""
import hashlib
import http.client
import http.server
import json
import os
import re
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, f"{HERE}/../engines")
from lab import FAIRLEAD, PATIENCE_S, Program, wait_for  # noqa: E402

BLOCK = b"x" * (1 << 20)


def free_port():
    """For a program that cannot be told to choose one. Somebody else may take it first: look whether it started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Handler(http.server.BaseHTTPRequestHandler):
    """GET /bytes/N and /chunked/N answer so many bytes; what has a body is told how long it was and its hash; an
    upgrade becomes an echo of bytes after a 101 with the key's answer (RFC 6455 §4.2.2)."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.headers.get("Upgrade"):
            return self.upgrade()
        kind, _, length = self.path.strip("/").partition("/")
        length = int(length) if length.isdigit() else 0
        if kind == "bytes":
            begin, end = 0, length
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if asked:
                begin, end = int(asked[1]), int(asked[2]) + 1
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{length}")
            self.send_header("Content-Length", str(end - begin))
            self.end_headers()
            if self.command != "HEAD":
                self.pour(end - begin, lambda block: block)
        elif kind == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.pour(length, lambda block: b"%x\r\n%b\r\n" % (len(block), block))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.answer({"method": self.command, "version": self.request_version, "headers": dict(self.headers.items())})

    do_HEAD = do_GET

    def do_POST(self):
        length, digest = 0, hashlib.blake2b()
        for block in self.body():
            length += len(block)
            digest.update(block)
        self.answer({"length": length, "digest": digest.hexdigest(), "headers": dict(self.headers.items())})

    do_PUT = do_POST

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield from self.blocks(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield from self.blocks(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def blocks(self, left):
        while left:
            block = self.rfile.read1(min(left, len(BLOCK)))
            if not block:
                raise ConnectionError("body ends early")
            left -= len(block)
            yield block

    def pour(self, left, framed):
        while left:
            block = BLOCK[:min(left, len(BLOCK))]
            self.wfile.write(framed(block))
            left -= len(block)

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def upgrade(self):
        from websocket import accept_of
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", accept_of(self.headers["Sec-WebSocket-Key"]))
        self.end_headers()
        from websocket import read_frame, write_frame
        while (frame := read_frame(self.rfile)) is not None:
            opcode, payload = frame
            self.wfile.write(write_frame(opcode, payload, mask=None))
            if opcode == 8:
                break
        self.close_connection = True

    def log_message(self, *_):
        pass


class Backend(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that goes is no news


class BalancerTest(unittest.TestCase):
    """One balancer per test class, between its clients and an HTTP backend of ours at listener web. A subclass adds to
    the configuration by config(), and starts there what its additions name; or gives a text of its own, and the names
    of its `listeners`."""
    listeners = None

    @classmethod
    def setUpClass(cls):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        cls.dir = tempfile.mkdtemp(prefix="fairlead-peers-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.backend = Backend()
        cls.addClassCleanup(cls.backend.server_close)
        cls.addClassCleanup(cls.backend.shutdown)
        config = cls.config()
        with open(f"{cls.dir}/fairlead.yaml", "w") as file:
            file.write(config if isinstance(config, str) else json.dumps(config))  # JSON is YAML
        cls.lb = Program(cls.dir, "lb", [FAIRLEAD, "lb", "-c", f"{cls.dir}/fairlead.yaml"]).start()
        cls.addClassCleanup(cls.lb.end, signal.SIGTERM)
        names = cls.listeners or [listener["name"] for listener in config["listeners"]]
        cls.ports = {name: cls.port_of(name) for name in names}
        cls.port = cls.ports["web"]

    @classmethod
    def start_peer(cls, name, argv, environment=None, **popen):
        """A program beside the balancer, until the class's end."""
        program = Program(cls.dir, name, argv, environment).start(**popen)
        cls.addClassCleanup(program.end, signal.SIGKILL)
        return program

    @classmethod
    def config(cls):
        return {
            "state_dir": f"{cls.dir}/state",
            "lb": {"agents": [], "workers": 1, "listen": "127.0.0.1:0", "admin_socket": f"{cls.dir}/lb.sock"},
            "listeners": [{"name": "web", "bind": "127.0.0.1:0"}],
            "services": {"backend": {"endpoints": [{"address": f"127.0.0.1:{cls.backend.server_address[1]}"}]}},
            "routes": [{"host": ["*"], "service": "backend"}],
        }

    @classmethod
    def port_of(cls, listener):
        def said():
            if not cls.lb.running():
                raise AssertionError(cls.lb.tail())
            found = re.search(rf"listening listener={listener} address=127\.0\.0\.1:(\d+)", cls.lb.log())
            return int(found[1]) if found else None
        return wait_for(cls.lb.tail, said)

    def connect(self, listener="web"):
        client = socket.create_connection(("127.0.0.1", self.ports[listener]), PATIENCE_S)
        self.addCleanup(client.close)
        return client

    def admin(self, method, path):
        """Status and body of an answer at the balancer's admin socket."""
        admin = http.client.HTTPConnection("lb")
        admin.sock = socket.socket(socket.AF_UNIX)
        try:
            admin.sock.connect(f"{self.dir}/lb.sock")
            admin.request(method, path)
            answer = admin.getresponse()
            return answer.status, answer.read().decode()
        finally:
            admin.close()

    def metrics(self):
        return self.admin("GET", "/metrics")[1]

    def memory_kib(self, name="VmRSS"):
        """Of the balancer; VmHWM is the most it ever had."""
        with open(f"/proc/{self.lb.pid}/status") as status:
            return int(re.search(rf"{name}:\s+(\d+)", status.read())[1])

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


def main():
    unittest.main(module="__main__", verbosity=2)
