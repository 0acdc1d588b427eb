#!/usr/bin/env python3
"""Much of everything, in bounded memory: idle connections, large bodies, peers that are slow on purpose."""
import http.client
import socket

from balancer import BLOCK, PATIENCE_S, BalancerTest, main

GIB = 1 << 30
SLOW = 200
IDLE = 3000
ROOM_KIB = 24 << 10  # what a body of any length may cost; a gibibyte held would be 40 times as much


class Pressure(BalancerTest):
    def client(self):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        self.addCleanup(client.close)
        return client

    def get(self, client, path="/bytes/128"):
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, len(answer.read())

    def assert_in_room(self, before):
        self.assertLess(self.memory_kib("VmHWM") - before, ROOM_KIB)

    def read_all(self, path):
        before = self.memory_kib()
        client = self.client()
        client.request("GET", path)
        answer, buffer, got = client.getresponse(), bytearray(1 << 20), 0
        while length := answer.readinto(buffer):
            got += length
        self.assertEqual(got, GIB)
        self.assert_in_room(before)

    def test_a_gibibyte_down_with_a_length_stays_in_bounded_memory(self):
        self.read_all(f"/bytes/{GIB}")

    def test_a_gibibyte_down_chunked_stays_in_bounded_memory(self):
        self.read_all(f"/chunked/{GIB}")

    def write_all(self, **options):
        before = self.memory_kib()
        client = self.client()
        client.request("POST", "/upload", body=(BLOCK for _ in range(GIB // len(BLOCK))), **options)
        answer = client.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertIn(f'"length": {GIB}'.encode(), answer.read())
        self.assert_in_room(before)

    def test_a_gibibyte_up_with_a_length_stays_in_bounded_memory(self):
        self.write_all(headers={"Content-Length": str(GIB)})

    def test_a_gibibyte_up_chunked_stays_in_bounded_memory(self):
        self.write_all(headers={"Transfer-Encoding": "chunked"}, encode_chunked=True)

    def test_thousands_of_idle_connections_are_held_cheaply(self):
        before = self.memory_kib()
        clients = []
        for _ in range(IDLE):
            client = self.connect()
            client.sendall(b"GET /bytes/10 HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while not answer.endswith(b"x" * 10):
                part = client.recv(4096)
                self.assertTrue(part, answer)
                answer += part
            clients.append(client)
        self.assertLess(self.memory_kib() - before, IDLE * 4)  # 4 KiB each; the bench measures it finely
        clients[0].sendall(b"GET /bytes/10 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(clients[0].recv(4096).startswith(b"HTTP/1.1 200 "))

    def assert_others_are_served_beside(self, request):
        """So many clients send this and no more, and read nothing."""
        for _ in range(SLOW):
            client = self.connect()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(request)
        client = self.client()
        for i in range(300):
            self.assertEqual(self.get(client), (200, 128), f"request {i}")
        for i in range(50):
            self.assertEqual(self.get(self.client()), (200, 128), f"new connection {i}")

    def test_slow_heads_do_not_hold_off_others(self):
        self.assert_others_are_served_beside(b"GET /bytes/1 HTTP/1.1\r\nHost: a\r\nX-Slow")

    def test_slow_writers_do_not_hold_off_others(self):
        self.assert_others_are_served_beside(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nslow")

    def test_slow_readers_do_not_hold_off_others_nor_fill_memory(self):
        before = self.memory_kib()
        self.assert_others_are_served_beside(b"GET /bytes/100000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertLess(self.memory_kib() - before, SLOW * 256)  # of the 100 MB each that wait


if __name__ == "__main__":
    main()
