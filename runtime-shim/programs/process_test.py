#!/usr/bin/env python3
"""The programs as processes: how they get their sockets, what they ask the agent, what they do while it is away.

    process_test.py FOLDER      folder with fairlead-authz and fairlead-runtime
"""
import base64
import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BIN = ""
PATIENCE_S = 30     # for what comes; a call that waits for a silent agent must end long before
OWN_LIMIT_S = 0.05  # what the programs give the agent


class Agent:
    """The agent's socket. Each request is kept; `answer` None: it accepts and says nothing."""

    def __init__(self, path, answer):
        self.requests, self.answer = [], answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.silent = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            text = b""
            while b"\r\n\r\n" not in text or len(text.split(b"\r\n\r\n")[1]) < int(text.split(b"Content-Length: ")[1].split(b"\r")[0]):
                piece = peer.recv(65536)
                if not piece:
                    break
                text += piece
            head, _, body = text.partition(b"\r\n\r\n")
            self.requests.append((head.split(b" ")[1].decode(), json.loads(body)))
            if self.answer is None:
                self.silent.append(peer)
                continue
            with peer:
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(self.answer), self.answer))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        for peer in (self.listener, *self.silent):
            peer.close()


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fairlead-programs-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.api = f"{self.folder}/api.sock"
        self.plugin = f"{self.folder}/fairlead-authz.sock"

    def agent(self, answer=b"{}"):
        agent = Agent(self.api, answer)
        self.addCleanup(agent.close)
        return agent

    def end(self, process):
        process.kill()
        process.wait()


class Authz(Case):
    def listen(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.plugin)
        listener.listen(128)
        self.addCleanup(listener.close)
        return listener

    def start(self, listener):
        """As systemd hands a socket over: descriptor 3 in a process that LISTEN_PID names."""
        def hand_over():
            os.dup2(listener.fileno(), 3)
        process = subprocess.Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"', f"{BIN}/fairlead-authz",
                                    "--fairlead-socket", self.api], preexec_fn=hand_over, pass_fds=[3])
        self.addCleanup(self.end, process)
        return process

    def call(self, path, body):
        text = json.dumps(body).encode()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(PATIENCE_S)
            peer.connect(self.plugin)
            peer.sendall(b"POST %s HTTP/1.1\r\nHost: \r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(text), text))
            answer = b""
            while not answer.endswith(b"}"):
                piece = peer.recv(65536)
                if not piece:
                    raise ConnectionError("closed without an answer")
                answer += piece
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def ps(self):
        return self.call("/AuthZPlugin.AuthZReq", {"RequestMethod": "GET", "RequestUri": "/v1.41/containers/json"})

    def start_of(self, name):
        return self.call("/AuthZPlugin.AuthZReq", {"RequestMethod": "POST", "RequestUri": f"/v1.41/containers/{name}/start"})

    def test_answers_at_a_socket_that_was_passed_on_and_asks_the_agent(self):
        agent = self.agent()
        self.start(self.listen())
        self.assertEqual({"Implements": ["authz"]}, self.call("/Plugin.Activate", {}))
        self.assertEqual({"Allow": True}, self.ps())
        created = base64.b64encode(b'{"Id":"c0ffee","Warnings":[]}').decode()
        self.assertEqual({"Allow": True}, self.call("/AuthZPlugin.AuthZRes", {
            "RequestMethod": "POST", "RequestUri": "/v1.41/containers/create", "ResponseStatusCode": 201, "ResponseBody": created}))
        self.assertEqual({"Allow": True}, self.start_of("web-1"))
        for _, request in agent.requests:
            self.assertLess(request.pop("patience_ms"), 50)
        self.assertEqual([("/v1/shim/pin", {"when": "create", "container": "c0ffee"}),
                          ("/v1/shim/pin", {"when": "start", "container": "web-1"})], agent.requests)

    def test_a_silent_agent_delays_starts_by_its_limit_and_nothing_else(self):
        self.agent(answer=None)
        self.start(self.listen())
        self.assertEqual({"Allow": True}, self.ps())
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            starts = [pool.submit(self.start_of, f"c{i}") for i in range(16)]
            for _ in range(20):
                self.assertEqual({"Allow": True}, self.ps())
            self.assertEqual([{"Allow": True}] * 16, [s.result(PATIENCE_S) for s in starts])
        took = time.monotonic() - begun
        self.assertGreater(took, OWN_LIMIT_S / 2)
        self.assertLess(took, 5)

    def test_what_waits_while_it_is_killed_is_answered_by_the_next(self):
        listener = self.listen()
        first = self.start(listener)
        self.assertEqual({"Allow": True}, self.ps())
        self.end(first)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(self.ps) for _ in range(8)]
            self.start(listener)
            self.assertEqual([{"Allow": True}] * 8, [w.result(PATIENCE_S) for w in waiting])

    def test_stays_alive_when_a_client_goes_away_or_sends_garbage(self):
        process = self.start(self.listen())
        for text in (b"", b"\x16\x03\x01\r\n\r\n", b"POST /AuthZPlugin.AuthZReq HTTP/1.1\r\nHost: \r\nContent-Length: 99\r\n\r\n{"):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(self.plugin)
                peer.sendall(text)
        self.assertEqual({"Allow": True}, self.ps())
        self.assertIsNone(process.poll())

    def test_makes_the_socket_it_is_told_to_for_root_alone_in_place_of_a_stale_one(self):
        self.listen().close()
        def start():
            process = subprocess.Popen([f"{BIN}/fairlead-authz", "--fairlead-socket", self.api, "--socket", self.plugin],
                                       stderr=subprocess.PIPE, text=True)
            self.addCleanup(self.end, process)
            self.addCleanup(process.stderr.close)
            return process
        start()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.assertEqual({"Allow": True}, self.ps())
                break
            except (ConnectionError, FileNotFoundError):
                self.assertLess(time.monotonic(), deadline)
        self.assertEqual(0o600, os.stat(self.plugin).st_mode & 0o777)
        second = start()
        self.assertEqual(1, second.wait(PATIENCE_S))
        self.assertEqual(f"fairlead-authz: listen at {self.plugin}: Address already in use\n", second.stderr.read())

    def test_tells_systemd_that_it_serves(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(f"{self.folder}/notify")
            systemd.settimeout(PATIENCE_S)
            os.environ["NOTIFY_SOCKET"] = f"{self.folder}/notify"
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
            self.start(self.listen())
            self.assertEqual(b"READY=1", systemd.recv(100))
            self.assertEqual(b"WATCHDOG=1", systemd.recv(100))

    def test_says_how_it_is_called(self):
        for arguments in ([], ["--socket"], ["serve"]):
            done = subprocess.run([f"{BIN}/fairlead-authz", *arguments], capture_output=True, text=True)
            self.assertEqual(2, done.returncode)
            self.assertIn("--socket", done.stderr)


class Runtime(Case):
    """A runtime that writes down how it was called."""

    def setUp(self):
        super().setUp()
        self.real = f"{self.folder}/real-runtime"
        with open(self.real, "w", encoding="utf-8") as file:
            file.write(f"#!{sys.executable} -SE\nimport json, os, sys\n"
                       "print(json.dumps({'arguments': sys.argv[1:], 'pid': os.getpid(), 'environment': dict(os.environ)}))\n"
                       "print('told', file=sys.stderr)\nsys.exit(7)\n")
        os.chmod(self.real, 0o755)

    def run_runtime(self, *arguments, **environment):
        begun = time.monotonic()
        process = subprocess.Popen([f"{BIN}/fairlead-runtime", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={"PATH": os.environ["PATH"], "FAIRLEAD_RUNTIME": self.real, "FAIRLEAD_API_SOCKET": self.api,
                                        **environment})
        out, err = process.communicate(timeout=PATIENCE_S)
        self.took = time.monotonic() - begun
        self.assertEqual((7, "told\n"), (process.returncode, err))
        told = json.loads(out)
        self.assertEqual(process.pid, told["pid"], "it is the same process")
        return told

    CREATE = ["--root", "/run/runc", "--log", "/l", "--log-format", "json", "--systemd-cgroup", "create", "--bundle", "/b",
              "--pid-file", "/p", "c0ffee"]

    def test_announces_a_create_and_becomes_the_runtime_with_everything_as_it_came(self):
        agent = self.agent()
        told = self.run_runtime(*self.CREATE, _OCI_STARTPIPE="3")
        self.assertEqual(self.CREATE, told["arguments"])
        self.assertEqual("3", told["environment"]["_OCI_STARTPIPE"])
        self.assertEqual([("/v1/shim/starting", {"container": "c0ffee", "pid": told["pid"]})], agent.requests)

    def test_everything_else_goes_by_without_a_word(self):
        agent = self.agent()
        for arguments in (["--version"], ["--root", "/r", "start", "c0ffee"], ["kill", "c0ffee", "15"], ["delete", "--force", "create"],
                          ["state", "", "ä ö"]):
            self.assertEqual(arguments, self.run_runtime(*arguments)["arguments"])
        self.assertEqual([], agent.requests)

    def test_its_own_option_is_not_the_runtimes(self):
        agent = self.agent()
        told = self.run_runtime("--fairlead-socket", self.api, "create", "c0ffee", FAIRLEAD_API_SOCKET="/nowhere")
        self.assertEqual(["create", "c0ffee"], told["arguments"])
        self.assertEqual(1, len(agent.requests))

    def test_goes_on_without_an_agent(self):
        self.assertEqual(self.CREATE, self.run_runtime(*self.CREATE)["arguments"])

    def test_goes_on_after_its_limit_when_the_agent_is_silent(self):
        self.agent(answer=None)
        self.assertEqual(self.CREATE, self.run_runtime(*self.CREATE)["arguments"])
        self.assertGreater(self.took, OWN_LIMIT_S)
        self.assertLess(self.took, 5)

    def test_goes_on_whatever_the_agent_answers(self):
        self.agent(answer=b"no JSON")
        self.assertEqual(self.CREATE, self.run_runtime(*self.CREATE)["arguments"])

    def test_leaves_no_descriptor_to_the_runtime(self):
        self.agent(answer=None)
        with open(self.real, "w", encoding="utf-8") as file:
            file.write(f"#!{sys.executable} -SE\nimport os\nprint(*sorted(os.listdir('/proc/self/fd')))\n")
        done = subprocess.run([f"{BIN}/fairlead-runtime", "create", "c0ffee"], capture_output=True, text=True, check=True,
                              env={"FAIRLEAD_RUNTIME": self.real, "FAIRLEAD_API_SOCKET": self.api})
        plain = subprocess.run([self.real], capture_output=True, text=True, check=True)
        self.assertEqual(plain.stdout, done.stdout)

    def test_names_a_runtime_that_is_not_there(self):
        done = subprocess.run([f"{BIN}/fairlead-runtime", "state", "x"], capture_output=True, text=True,
                              env={"FAIRLEAD_RUNTIME": "/nowhere/runc"})
        self.assertEqual((127, "fairlead-runtime: run /nowhere/runc: No such file or directory\n"), (done.returncode, done.stderr))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BIN = os.path.abspath(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
