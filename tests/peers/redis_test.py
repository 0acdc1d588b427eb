#!/usr/bin/env python3
"""A real Redis behind `protocol: tcp`: its own tools, bytes in bulk, connections that are held, and its end."""
import os
import re
import signal
import socket
import subprocess

from balancer import PATIENCE_S, BalancerTest, Program, free_port, main, wait_for

LARGE = 100 << 20
ROOM_KIB = 24 << 10  # of the balancer, whatever passes


def command(*words):
    """A command in Redis's protocol."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class Redis:
    """A redis-server on a port that was free: it cannot be told to choose one."""

    def __init__(self, folder, name):
        self.folder, self.name, self.port = folder, name, None
        self.start()

    def start(self):
        """Again on the same port, once it has one."""
        for _ in range(10):
            port = self.port or free_port()
            self.program = Program(self.folder, self.name, [
                "redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no",
                "--dir", self.folder, "--daemonize", "no"]).start()
            wait_for(self.program.tail, lambda: self.answers(port) or not self.program.running())
            if self.program.running():
                self.port = port
                return
        raise AssertionError(self.program.tail())

    def answers(self, port):
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
                client.sendall(command("INFO", "server"))
                return f"process_id:{self.program.pid}\r".encode() in client.recv(65536)
        except OSError:
            return False


class ThroughTheBalancer(BalancerTest):
    @classmethod
    def config(cls):
        config = super().config()
        cls.redis = Redis(cls.dir, "redis")
        cls.addClassCleanup(lambda: cls.redis.program.end(signal.SIGKILL))
        endpoints = [{"address": f"127.0.0.1:{cls.redis.port}"}]
        config["listeners"] += [{"name": name, "bind": "127.0.0.1:0", "protocol": "tcp", "service": name}
                                for name in ("redis", "hasty")]
        config["services"]["redis"] = {"protocol": "tcp", "endpoints": endpoints}
        config["services"]["hasty"] = {"protocol": "tcp", "endpoints": endpoints, "timeouts": {"tunnel": "500ms"}}
        return config

    def tool(self, *argv, check=True, **options):
        done = subprocess.run([argv[0], "-p", str(self.ports["redis"]), *argv[1:]], capture_output=True,
                              timeout=PATIENCE_S, **options)
        if check:
            self.assertEqual(done.returncode, 0, f"{argv}: {done}\n{self.lb.tail()}")
        return done

    def cli(self, *words):
        return self.tool("redis-cli", *words).stdout.decode().strip()

    def ask(self, client, *words):
        """Sends a command; a stream to read its answer from."""
        client.sendall(command(*words))
        return client.makefile("rb")

    def calls(self, name):
        found = re.search(rf"cmdstat_{name}:calls=(\d+),.*failed_calls=0", self.cli("INFO", "commandstats"))
        return int(found[1]) if found else 0

    def read_bulk(self, stream):
        self.assertEqual(stream.read(1), b"$")
        length = int(stream.readline())
        value = stream.read(length)
        self.assertEqual(stream.read(2), b"\r\n")
        return value


class Tools(ThroughTheBalancer):
    def test_redis_cli_gets_its_answers(self):
        self.assertEqual(self.cli("SET", "name", "value with spaces"), "OK")
        self.assertEqual(self.cli("GET", "name"), "value with spaces")
        self.assertEqual(self.cli("RPUSH", "list", "a", "b", "c"), "3")
        self.assertEqual(self.cli("LRANGE", "list", "0", "-1").split(), ["a", "b", "c"])
        self.assertIn("unknown command", self.cli("NOSUCH"))

    def test_redis_benchmark_has_every_pipelined_command_answered(self):
        self.cli("CONFIG", "RESETSTAT")
        said = self.tool("redis-benchmark", "-P", "16", "-c", "8", "-n", "20000", "-t", "set,get", "-q").stdout.decode()
        self.assertEqual(len(re.findall("requests per second", said)), 2, said)
        self.assertEqual((self.calls("set"), self.calls("get")), (20000, 20000))

    def test_redis_cli_pipes_in_bulk(self):
        commands = b"".join(command("SET", f"key{i}", "x" * (i % 300)) for i in range(30000))
        said = self.tool("redis-cli", "--pipe", input=commands).stdout.decode()
        self.assertIn("errors: 0, replies: 30000", said)
        self.assertEqual(self.cli("STRLEN", "key299"), "299")

    def test_100_mebibytes_come_and_go_byte_for_byte(self):
        value = os.urandom(LARGE)
        before = self.memory_kib()
        client = self.connect("redis")
        self.assertEqual(self.ask(client, "SET", "large", value).readline(), b"+OK\r\n")
        with socket.create_connection(("127.0.0.1", self.redis.port), PATIENCE_S) as direct:
            self.assertEqual(self.read_bulk(self.ask(direct, "GET", "large")), value)
        self.assertEqual(self.read_bulk(self.ask(client, "GET", "large")), value)
        self.assertLess(self.memory_kib("VmHWM") - before, ROOM_KIB)

    def test_a_subscription_that_idles_gets_its_message(self):
        client = self.connect("redis")
        stream = self.ask(client, "SUBSCRIBE", "news")
        self.assertEqual([stream.readline() for _ in range(6)][-1], b":1\r\n")
        idle = self.connect("hasty")  # nothing passes here either, until the balancer ends it for its silence
        self.assertEqual(idle.recv(1), b"")
        self.assertEqual(self.cli("PUBLISH", "news", "late"), "1")
        self.assertEqual([stream.readline() for _ in range(7)][-1], b"late\r\n")

    def test_the_counters_know_what_passed(self):
        self.cli("SET", "a", "b")
        wanted = r'fairlead_lb_tcp_connections_total\{service="redis.default",listener="redis"\} [1-9]'
        self.assertRegex(self.metrics(), wanted)
        self.assertRegex(self.metrics(), r'fairlead_lb_tcp_bytes_total\{[^}]*listener="redis",direction="in"\} [1-9]')


class Breaks(ThroughTheBalancer):
    """Each test ends Redis in its own way, and begins another one."""

    def setUp(self):
        self.addCleanup(self.restart)

    def restart(self):
        self.redis.program.end(signal.SIGKILL)
        self.redis.start()
        self.assertEqual(self.cli("PING"), "PONG")

    def end_of(self, client):
        """What a client reads at last: b"" for an orderly end, or that it was reset."""
        try:
            while client.recv(1 << 16):
                pass
            return "end"
        except ConnectionResetError:
            return "reset"

    def test_a_shutdown_ends_a_client_that_waits(self):
        waiting = self.connect("redis")
        self.ask(waiting, "BLPOP", "nothing-here", "0")
        wait_for("blocked", lambda: "blocked_clients:1\r" in self.tool("redis-cli", "INFO", "clients").stdout.decode())
        self.tool("redis-cli", "SHUTDOWN", "NOSAVE", check=False)
        self.assertEqual(self.end_of(waiting), "end")
        self.redis.program.end()

    def test_a_kill_with_unread_commands_is_a_reset(self):
        client = self.connect("redis")
        self.assertEqual(self.ask(client, "PING").readline(), b"+PONG\r\n")
        self.redis.program.process.send_signal(signal.SIGSTOP)
        client.sendall(command("PING"))
        self.wait_until_redis_has_unread_input()
        self.redis.program.end(signal.SIGKILL)
        self.assertEqual(self.end_of(client), "reset")

    def wait_until_redis_has_unread_input(self):
        """Of /proc/net/tcp: local address, state, and bytes in the queue to be read."""
        port = f":{self.redis.port:04X}"
        def unread():
            with open("/proc/net/tcp") as table:
                rows = [line.split() for line in table][1:]
            return any(row[1].endswith(port) and row[3] == "01" and int(row[4].split(":")[1], 16) for row in rows)
        wait_for("unread input", unread)

    def test_an_answer_that_breaks_off_is_no_whole_one(self):
        self.cli("SETRANGE", "large", str(LARGE - 1), "x")
        client = self.connect("redis")
        stream = self.ask(client, "GET", "large")
        self.assertEqual(stream.readline(), b"$%d\r\n" % LARGE)
        self.redis.program.end(signal.SIGKILL)
        got = 0
        try:
            while piece := stream.read1(1 << 20):
                got += len(piece)
        except ConnectionResetError:
            pass
        self.assertLess(got, LARGE)

    def test_without_redis_a_client_is_reset(self):
        self.redis.program.end(signal.SIGKILL)
        with self.assertRaises(ConnectionResetError):  # now, or already as it connects
            self.connect("redis").recv(1)
        self.assertRegex(self.metrics(), r'fairlead_lb_connections_refused_total\{listener="redis",reason="not_connected"\} [1-9]')


if __name__ == "__main__":
    main()
