#!/usr/bin/env python3
"""Clients that others wrote, through the balancer: curl, wrk, h2load, and a WebSocket conversation."""
import hashlib
import json
import re
import socket
import subprocess

from balancer import PATIENCE_S, BalancerTest, main
from websocket import accept_of, read_frame, write_frame


class Clients(BalancerTest):
    def run_tool(self, *argv, stdin=None):
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0, f"{argv}: {done.stderr.decode()}\n{self.lb.tail()}")
        return done.stdout

    def curl(self, path, *options, stdin=None):
        return self.run_tool("curl", "-sS", "--max-time", str(PATIENCE_S), *options, self.url(path), stdin=stdin)

    def assert_arrived(self, answer, body):
        answer = json.loads(answer)
        self.assertEqual((answer["length"], answer["digest"]), (len(body), hashlib.blake2b(body).hexdigest()))
        return answer

    def test_curl_gets_two_answers_on_one_connection(self):
        said = self.run_tool("curl", "-sS", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n",
                             self.url("/bytes/128"), self.url("/bytes/70000")).decode()
        self.assertEqual(said.split(), ["200", "1", "200", "0"])

    def test_curl_posts_after_100_continue(self):
        body = bytes(range(256)) * 1000
        shown = self.curl("/upload", "-i", "-H", "Expect: 100-continue", "--expect100-timeout", str(PATIENCE_S),
                          "--data-binary", "@-", stdin=body)
        self.assertTrue(shown.startswith(b"HTTP/1.1 100 "), shown[:80])
        self.assert_arrived(shown.rpartition(b"\r\n\r\n")[2], body)

    def test_curl_uploads_chunked(self):
        body = bytes(range(256)) * 4000
        self.assert_arrived(self.curl("/upload", "-T", "-", "-H", "Transfer-Encoding: chunked", stdin=body), body)

    def test_curl_reads_a_chunked_answer(self):
        self.assertEqual(len(self.curl("/chunked/3000000")), 3000000)

    def test_curl_asks_head(self):
        shown = self.curl("/bytes/12345", "-I").decode().lower()
        self.assertIn("content-length: 12345", shown)

    def test_curl_speaks_http_1_0(self):
        shown = self.curl("/chunked/5000", "-0", "-i")
        head, _, body = shown.partition(b"\r\n\r\n")
        self.assertNotIn(b"chunked", head.lower())
        self.assertEqual(len(body), 5000)

    def test_curl_gets_a_range(self):
        shown = self.curl("/bytes/1000", "-i", "-r", "100-199")
        head, _, body = shown.partition(b"\r\n\r\n")
        self.assertIn(b" 206 ", head.splitlines()[0])
        self.assertEqual(len(body), 100)

    def test_wrk_sees_no_error(self):
        said = self.run_tool("wrk", "-t1", "-c32", "-d1s", self.url("/bytes/128")).decode()
        self.assertNotIn("Socket errors", said)
        self.assertNotIn("Non-2xx", said)
        self.assertGreater(int(re.search(r"(\d+) requests in", said)[1]), 0)

    def test_h2load_over_http_1_sees_no_error(self):
        said = self.run_tool("h2load", "--h1", "-n1000", "-c16", self.url("/bytes/128")).decode()
        self.assertIn("1000 succeeded, 0 failed, 0 errored, 0 timeout", said)

    def test_websocket_frames_pass_both_ways(self):
        client = self.connect()
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        client.sendall(f"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        stream = client.makefile("rb")
        head = b"".join(iter(stream.readline, b"\r\n")).decode()
        self.assertTrue(head.startswith("HTTP/1.1 101 "), head)
        self.assertIn(accept_of(key), head)
        for opcode, payload in ((1, b"hello"), (2, bytes(1 << 17)), (9, b"ping"), (8, b"\x03\xe8")):
            client.sendall(write_frame(opcode, payload, mask=b"\x01\x02\x03\x04"))
            self.assertEqual(read_frame(stream), (opcode, payload))
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(stream.read(), b"")  # the backend has closed, and so the balancer


if __name__ == "__main__":
    main()
