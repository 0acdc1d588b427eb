#!/usr/bin/env python3
"""The authorization plugin and the OCI runtime wrapper with a real dockerd: containers that start at once get their own
addresses and keep them, and dockerd never waits for a plugin or an agent that is away.

Needs what lab.py needs. The agent's part is the real one where it has it (`pin`); what is shown of a silent or dead agent
does not depend on it.
"""
import http.server
import json
import os
import signal
import socketserver
import subprocess
import threading
import unittest

from lab import BIN, FAIRLEAD, LabTest, Program, UnixConnection, main

PLUGIN = "fairlead-authz"
# dockerd tries a plugin that is away again after 1, 2, 4, 8 and 16 s, and says so. One that is back at once is met by the first.
LATER_RETRY = "retrying in 2s"
IN_DAEMON_JSON = {"debug": False, "labels": ["of=the operator"]}


class AuthzTest(LabTest):
    @classmethod
    def prepare(cls):
        lab = cls.lab
        lab.write_json("daemon.json", IN_DAEMON_JSON)
        lab.start_engine()
        lab.start_fairlead()

    # --- what a user does

    def install(self, verb="install", *options, config="fairlead.yaml"):
        lab = self.lab
        return subprocess.run([FAIRLEAD, verb, "docker", "--authz", "-c", f"{lab.dir}/{config}", "--daemon-json",
                               f"{lab.dir}/daemon.json", "--pid-file", f"{lab.dir}/dockerd.pid", *options],
                              capture_output=True, text=True)

    def installed(self):
        done = self.install()
        self.assertEqual(0, done.returncode, done.stderr + self.lab.tails())
        self.addCleanup(self.install, "uninstall")
        return done

    def daemon_json(self):
        with open(f"{self.lab.dir}/daemon.json", encoding="utf-8") as file:
            return file.read()

    def is_called(self):
        """Whether dockerd asks the plugin: a stopped one holds up a call."""
        os.kill(self.authz(), signal.SIGSTOP)
        call = self.lab.docker_async("ps")
        try:
            call.wait(2)
            return False
        except subprocess.TimeoutExpired:
            return True
        finally:
            os.kill(self.authz(), signal.SIGCONT)
            call.communicate()

    def authz(self):
        """The pid of the plugin under `up`."""
        children = f"/proc/{self.lab.up.pid}/task/{self.lab.up.pid}/children"
        with open(children, encoding="utf-8") as pids:
            for pid in pids.read().split():
                try:
                    with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                        if comm.read().strip() == PLUGIN:
                            return int(pid)
                except FileNotFoundError:
                    pass
        return None

    def kill_authz(self):
        pid = self.authz()
        if pid:
            os.kill(pid, signal.SIGKILL)

    def ps_waits_for_nobody(self):
        before = len(self.lab.dockerd.log())
        self.lab.docker("ps")
        self.assertNotIn(LATER_RETRY, self.lab.dockerd.log()[before:])

    def at_once(self, what, commands):
        """These docker commands, all at once."""
        calls = [self.lab.docker_async(*command) for command in commands]
        for call in calls:
            _, said = call.communicate(timeout=60)
            self.assertEqual(0, call.returncode, f"{what}: {said}")

    # --- own addresses, with the real agent

    def test_containers_that_start_at_once_have_the_addresses_of_their_names(self):
        self.installed()
        lab = self.lab
        names = [f"web-{i}" for i in range(8)]
        own = {name: lab.run_sleeper(name) for name in names}
        self.assertEqual(8, len(set(own.values())))

        def check(when):
            self.assertEqual(own, {name: lab.address(name) for name in names}, when)
        for round_ in range(3):
            lab.docker("rm", "-f", *names)
            self.at_once("run", [("run", "-d", *lab.sleeper(name)) for name in reversed(names)])
            check(f"after rm and run, round {round_}")
        lab.docker("stop", "-t", "0", *names)
        self.at_once("start", [("start", name) for name in reversed(names)])
        check("after stop and start")
        self.at_once("restart", [("restart", "-t", "0", name) for name in names])
        check("after restart")

    # --- install

    def test_install_and_uninstall_need_no_restart_and_leave_the_file_as_it_was(self):
        before = self.daemon_json()
        pid = self.lab.dockerd.pid
        done = self.installed()
        self.assertIn("without a restart", done.stdout)
        self.assertTrue(self.is_called())
        self.assertEqual({**IN_DAEMON_JSON, "authorization-plugins": [PLUGIN]}, json.loads(self.daemon_json()))
        self.assertIn("already", self.installed().stdout)
        done = self.install("uninstall")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertFalse(self.is_called())
        self.assertEqual(before, self.daemon_json())
        self.assertEqual(pid, self.lab.dockerd.pid)
        self.assertTrue(self.lab.dockerd.running())

    def test_install_refuses_a_plugin_that_nobody_serves_and_changes_nothing(self):
        before = self.daemon_json()
        self.lab.write_json("other.yaml", {"engines": {"docker": {
            "socket": self.lab.docker_socket, "plugin_name": "absent"}}})
        done = self.install(config="other.yaml")
        self.assertEqual(5, done.returncode, done.stderr)
        self.assertIn("absent-authz.sock", done.stderr)
        self.assertEqual(before, self.daemon_json())
        self.assertTrue(self.lab.dockerd.running())

    def test_install_refuses_a_broken_file_and_names_the_line(self):
        before = self.daemon_json()
        self.addCleanup(self.lab.write, "daemon.json", before)
        self.lab.write("daemon.json", '{\n "debug": false,\n oops\n}\n')
        done = self.install()
        self.assertEqual(2, done.returncode)
        self.assertIn(f"{self.lab.dir}/daemon.json:3: this is no JSON", done.stderr)

    def test_what_later_versions_bring_is_refused_as_such(self):
        done = self.install("install", "--runtime")
        self.assertEqual((2, "fairlead: --runtime: not yet: this version cannot do it\n"), (done.returncode, done.stderr))

    def test_install_refuses_a_name_server_that_knows_no_other_names_and_changes_nothing(self):
        before = self.daemon_json()
        done = self.install("install", "--dns")
        self.assertEqual(4, done.returncode)
        self.assertIn("dns.forward is empty", done.stderr)
        self.assertEqual(before, self.daemon_json())

    # --- dockerd never waits

    def test_a_plugin_that_is_killed_under_load_fails_no_call(self):
        self.installed()
        stop = threading.Event()
        failed, done_calls = [], []
        before = len(self.lab.dockerd.log())

        def calls():
            while not stop.is_set():
                done = self.lab.docker("ps", check=False)
                done_calls.append(done.returncode)
                if done.returncode:
                    failed.append(done.stderr)
        threads = [threading.Thread(target=calls) for _ in range(3)]
        for thread in threads:
            thread.start()
        killed = set()
        try:
            def kill_five():
                pid = self.authz()
                if pid and pid not in killed and len(done_calls) > 12 * len(killed):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                return len(killed) == 5
            self.lab.wait_for("five kills", kill_five)
            self.at_once("run", [("run", "-d", *self.lab.sleeper(name)) for name in ("loaded-1", "loaded-2")])
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual([], failed)
        # A call that was under way when its plugin died is tried again by dockerd after 1 s.
        self.assertNotIn(LATER_RETRY, self.lab.dockerd.log()[before:])

    def test_is_back_before_the_next_request(self):
        self.installed()
        for _ in range(10):
            self.kill_authz()
            self.ps_waits_for_nobody()

    def test_a_stopped_agent_delays_a_start_by_its_limit_and_docker_ps_not_at_all(self):
        self.installed()
        lab = self.lab
        lab.docker("create", *lab.sleeper("quiet", network="none"))
        agent = lab.child("agent")
        os.kill(agent, signal.SIGSTOP)
        try:
            self.ps_waits_for_nobody()
            lab.docker("start", "quiet")  # on no network of ours, so that only the plugin could hold it up
            lab.docker("run", "-d", *lab.sleeper("quiet-2", network="none"))
            self.assertEqual({"quiet", "quiet-2"}, set(lab.names()))
        finally:
            os.kill(agent, signal.SIGCONT)
        lab.wait_ready()

    def test_a_dead_agent_is_no_reason_to_refuse_anything(self):
        self.installed()
        lab = self.lab
        os.kill(lab.child("agent"), signal.SIGKILL)
        lab.docker("run", "-d", *lab.sleeper("alone", network="none"))
        self.ps_waits_for_nobody()
        lab.wait_ready()

    def test_a_large_body_passes(self):
        self.installed()
        os.makedirs(f"{self.lab.dir}/copied", exist_ok=True)
        with open(f"{self.lab.dir}/copied/big", "wb") as file:
            file.write(os.urandom(16 << 20))
        self.lab.docker("create", *self.lab.sleeper("box", network="none"))
        self.lab.docker("cp", f"{self.lab.dir}/copied/big", "box:/tmp/big")


class ScriptedAgent:
    """The agent's side of `pin` and `starting`: gives each container the address of its name, as the agent does it, by
    disconnect and connect through dockerd's API, with the mark of its own calls."""
    SECRET = "0123456789abcdef0123456789abcdef"
    NETWORK, SUBNET = "plain", "10.213.90.0/24"

    def __init__(self, lab):
        self.lab, self.starting = lab, []
        os.makedirs(f"{lab.dir}/run", exist_ok=True)
        with open(f"{lab.dir}/run/authz.secret", "w", encoding="utf-8") as file:
            file.write(self.SECRET + "\n")
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/v1/shim/starting":
                    agent.starting.append(body)
                else:
                    agent.pin(body["container"])
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass  # the program's limit was over before this agent was done: it asks again at the start
        self.path = f"{lab.dir}/run/api.sock"
        self.server = Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def address_of(self, name):
        return f"10.213.90.{100 + int(name.rpartition('-')[2])}"

    def engine(self, method, path, body=None):
        connection = UnixConnection(self.lab.docker_socket)
        connection.request(method, path, json.dumps(body) if body else None,
                           {"Content-Type": "application/json", "X-Fairlead": self.SECRET})
        answer = connection.getresponse().read()
        connection.close()
        return json.loads(answer) if answer else None

    def pin(self, container):
        seen = self.engine("GET", f"/containers/{container}/json")
        at = seen["NetworkSettings"]["Networks"].get(self.NETWORK)
        if at is None or (at["IPAMConfig"] or {}).get("IPv4Address"):
            return
        self.engine("POST", f"/networks/{self.NETWORK}/disconnect", {"Container": seen["Id"], "Force": True})
        self.engine("POST", f"/networks/{self.NETWORK}/connect", {"Container": seen["Id"], "EndpointConfig": {
            "IPAMConfig": {"IPv4Address": self.address_of(seen["Name"].strip("/"))}}})

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class PinningTest(LabTest):
    """The programs alone, on a network of dockerd's own driver, with an agent that the test plays."""

    @classmethod
    def prepare(cls):
        lab = cls.lab
        cls.agent = ScriptedAgent(lab)
        cls.addClassCleanup(cls.agent.close)
        os.makedirs("/run/docker/plugins", exist_ok=True)
        cls.authz = Program(lab.dir, PLUGIN, [f"{BIN}/{PLUGIN}", "--fairlead-socket", cls.agent.path, "--socket",
                                              f"/run/docker/plugins/{PLUGIN}.sock"]).start()
        cls.addClassCleanup(cls.authz.end)
        lab.wait_for("the plugin's socket", lambda: os.path.exists(f"/run/docker/plugins/{PLUGIN}.sock"))
        lab.write_json("daemon.json", {"authorization-plugins": [PLUGIN], "runtimes": {"fairlead": {
            "path": f"{BIN}/fairlead-runtime", "runtimeArgs": ["--fairlead-socket", cls.agent.path]}}})
        lab.start_engine()
        lab.docker("network", "create", "--subnet", cls.agent.SUBNET, cls.agent.NETWORK)

    def sleeper(self, name, *options):
        return self.lab.sleeper(name, *options, network=self.agent.NETWORK)

    def run_at_once(self, names, *options):
        lab = self.lab
        starts = [(name, lab.docker_async("run", "-d", *self.sleeper(name, *options))) for name in names]
        for name, start in starts:
            _, said = start.communicate(timeout=60)
            self.assertEqual(0, start.returncode, f"{name}: {said}")

    def check(self, names, when):
        """Each has its own address; one whose pin took longer than the plugin waits (50 ms) has it when the pin is done."""
        wanted = {name: self.agent.address_of(name) for name in names}
        seen = {}

        def look():
            seen.update({name: self.lab.address(name, self.agent.NETWORK) for name in names})
            return seen == wanted or any(address not in ("", wanted[name]) for name, address in seen.items())
        self.lab.wait_for(lambda: f"{when}: {wanted}, but {seen}", look)
        self.assertEqual(wanted, seen, when)

    def test_containers_that_start_at_once_have_their_own_addresses_and_keep_them(self):
        lab = self.lab
        names = [f"at-once-{i}" for i in range(8)]
        # In the opposite order to that of the addresses, so that none is right by chance.
        self.run_at_once(reversed(names), "--restart", "always", "--stop-signal", "KILL")
        self.check(names, "after parallel docker run")
        for restart in [lab.docker_async("restart", "-t", "0", name) for name in names]:
            self.assertEqual(0, restart.wait(60), restart.communicate()[1])
        self.check(names, "after parallel docker restart")
        for name in names:
            os.kill(lab.inspect(name)["State"]["Pid"], signal.SIGKILL)
        lab.wait_for("all run again", lambda: all(lab.inspect(name)["RestartCount"] == 1 and lab.inspect(name)["State"]["Running"]
                                                  for name in names))
        self.check(names, "after kill -9 of each process")
        for how in (signal.SIGTERM, signal.SIGKILL):
            lab.dockerd.end(how)
            lab.start_dockerd()
            lab.wait_for("all run again", lambda: set(names) <= set(lab.names()))
            self.check(names, f"after {how.name} of dockerd")

    def test_containers_older_than_the_plugin_get_theirs_at_their_next_start(self):
        lab = self.lab
        names = [f"older-{i}" for i in range(10, 16)]
        os.kill(self.authz.pid, signal.SIGKILL)
        self.authz.end()
        lab.write_json("daemon.json", {})
        lab.dockerd.end()
        lab.start_dockerd()
        for name in names:
            lab.docker("create", *self.sleeper(name))
        self.authz.start()
        lab.write_json("daemon.json", {"authorization-plugins": [PLUGIN], "runtimes": {"fairlead": {
            "path": f"{BIN}/fairlead-runtime", "runtimeArgs": ["--fairlead-socket", self.agent.path]}}})
        lab.dockerd.end()
        lab.start_dockerd()
        for start in [lab.docker_async("start", name) for name in reversed(names)]:
            self.assertEqual(0, start.wait(60), start.communicate()[1])
        self.check(names, "after parallel docker start")

    def test_the_runtime_announces_each_create_with_the_pid_that_creates_it(self):
        lab = self.lab
        self.agent.starting.clear()
        self.run_at_once(["told-20", "told-21"], "--runtime", "fairlead")
        wanted = {lab.inspect(name)["Id"] for name in ("told-20", "told-21")}
        self.assertEqual(wanted, {said["container"] for said in self.agent.starting})
        self.assertEqual(2, len({said["pid"] for said in self.agent.starting}))
        self.assertEqual(2, len(self.agent.starting), "start, state, kill and delete say nothing")
        lab.docker("exec", "told-20", "true")
        lab.docker("stop", "-t", "0", "told-20")
        lab.docker("start", "told-20")
        self.assertEqual(3, len(self.agent.starting))
        self.check(["told-20", "told-21"], "with the runtime")

    def test_the_runtime_starts_containers_while_nobody_answers(self):
        lab = self.lab
        lab.docker("create", *self.sleeper("unheard-22", "--runtime", "fairlead"))
        os.rename(self.agent.path, self.agent.path + ".away")
        try:
            lab.docker("start", "unheard-22")
        finally:
            os.rename(self.agent.path + ".away", self.agent.path)
        self.assertEqual(["unheard-22"], lab.names())

    def test_uninstall_helps_when_the_plugin_is_gone_for_good(self):
        lab = self.lab
        self.authz.end(signal.SIGKILL)
        os.unlink(f"/run/docker/plugins/{PLUGIN}.sock")
        lab.config()
        done = subprocess.run([FAIRLEAD, "uninstall", "docker", "--authz", "-c", f"{lab.dir}/fairlead.yaml", "--daemon-json",
                               f"{lab.dir}/daemon.json", "--pid-file", f"{lab.dir}/dockerd.pid"], capture_output=True, text=True)
        try:
            self.assertEqual(0, done.returncode, done.stderr)
            lab.docker("ps")
            with open(f"{lab.dir}/daemon.json", encoding="utf-8") as file:
                self.assertEqual(["runtimes"], list(json.load(file)))
        finally:
            self.authz.start()


if __name__ == "__main__":
    main()
