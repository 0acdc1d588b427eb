#!/usr/bin/env python3
"""What goes on while a part is away, and that everything is known again afterwards."""
import os
import signal
import socket
import threading

from lab import LabTest, main
from load import Load

NAME = "web.demo.svc.fl.internal"


class EngineProxy:
    """Stands between agent and dockerd, and can be cut."""

    def __init__(self, path, target):
        self.path, self.target = path, target
        self.sockets, self.listener = set(), None
        self.lock = threading.Lock()
        self.mend()

    def mend(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        """Ends all connections; new ones are refused."""
        with self.lock:
            if not self.listener:
                return
            os.unlink(self.path)
            for end in (self.listener, *self.sockets):  # whoever reads from it closes it
                end.shutdown(socket.SHUT_RDWR)
            self.listener, self.sockets = None, set()

    def accept(self, listener):
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                engine = socket.socket(socket.AF_UNIX)
                with self.lock:
                    gone = listener is not self.listener
                    if not gone and engine.connect_ex(self.target) == 0:
                        self.sockets |= {client, engine}
                        for ends in ((client, engine), (engine, client)):
                            threading.Thread(target=self.pump, args=ends, daemon=True).start()
                        continue
                client.close()
                engine.close()

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        with self.lock:
            self.sockets.discard(source)
            source.close()


class WithoutTheAgent(LabTest):
    """Agent, name server and balancer run as in production: each on its own."""

    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.lab.start_programs()

    def setUp(self):
        self.agent, self.dns, self.lb = (self.lab.programs[name] for name in ("agent", "dns", "lb"))
        self.addresses = {f"web-{i}": self.lab.run_server(f"web-{i}") for i in range(3)}
        self.lab.wait_serving(self.addresses)

    def tearDown(self):
        for program in (self.agent, self.dns, self.lb):
            if not program.running():
                program.start()
        self.lab.wait_ready()
        super().tearDown()

    def test_requests_and_names_go_on_while_it_is_away(self):
        with Load() as load:
            self.agent.end(signal.SIGKILL)
            self.lab.wait_for("requests without an agent", lambda: load.total() > 300)
            self.lab.wait_dns(NAME, self.addresses.values())
            self.lab.wait_serving(self.addresses)
            self.agent.start()
            self.lab.wait_ready()
            self.addresses["web-3"] = self.lab.run_server("web-3")
            self.lab.wait_serving(self.addresses)
            self.lab.wait_dns(NAME, self.addresses.values())
        self.assertEqual(load.failures, [], f"of {load.total()} requests")

    def test_balancer_and_name_server_start_from_their_last_good_state(self):
        self.agent.end(signal.SIGKILL)
        # Ended in order it keeps what it knows at that moment; kill -9 may cost what it learned in the last second.
        for how in (signal.SIGTERM, signal.SIGKILL):
            for program, port in ((self.lb, 7854), (self.dns, 7855)):
                program.end(how)
                program.start()
                self.lab.wait_ready(port)
        self.lab.wait_serving(self.addresses)
        self.lab.wait_dns(NAME, self.addresses.values())
        self.assertEqual(self.lab.name_of(self.addresses["web-1"]), "web-1")

    def test_what_ended_while_it_was_away_is_gone_once_it_is_back(self):
        # The process ends by itself: nobody asks the plugin, which has no socket now, before the agent is back.
        self.agent.end(signal.SIGKILL)
        self.lab.docker("pause", "web-2")
        self.agent.start()
        self.lab.wait_ready()
        self.lab.docker("unpause", "web-2")
        self.lab.docker("rm", "-f", "web-0")
        del self.addresses["web-0"]
        self.lab.wait_serving(self.addresses)
        self.lab.wait_dns(NAME, self.addresses.values())


class EngineAway(LabTest):
    """The agent reaches dockerd through a socket that the test cuts."""

    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.proxy = EngineProxy(f"{cls.lab.dir}/engine.sock", cls.lab.docker_socket)
        cls.addClassCleanup(cls.proxy.cut)
        cls.lab.start_fairlead(engines={"docker": {"socket": cls.proxy.path}})

    def test_all_that_happened_is_learned_after_the_stream_was_cut(self):
        names = [f"web-{i}" for i in range(3)]
        addresses = {name: self.lab.run_server(name) for name in names}
        self.lab.wait_serving(addresses)
        self.proxy.cut()
        # One goes, one is made anew, one comes, one gets another name; the plugin cannot ask whose address it is.
        self.lab.docker("rm", "-f", "web-0", "web-1")
        self.lab.run_server("web-1")
        self.lab.run_server("web-9")
        self.lab.docker("rename", "web-2", "web-8")
        self.proxy.mend()
        addresses = {name: self.lab.address(name) for name in ("web-1", "web-8", "web-9")}
        self.assertEqual(len(set(addresses.values())), 3, addresses)
        self.lab.wait_dns(NAME, addresses.values())
        self.lab.wait_for(lambda: f"{addresses}, but {self.lab.services()}",
                          lambda: self.lab.services()["web.demo"] == {n: f"{ip}:80" for n, ip in addresses.items()})
        for name, address in addresses.items():
            self.lab.wait_for(f"{address} is {name}'s", lambda: self.lab.name_of(address) == name)

    def test_a_stream_that_breaks_often_loses_nothing(self):
        for i in range(4):
            self.lab.run_server(f"web-{i}")
            self.proxy.cut()
            self.proxy.mend()
        self.lab.wait_serving([f"web-{i}" for i in range(4)])


class DockerdAway(LabTest):
    options = {"dockerd_options": ["--live-restore"]}

    def test_containers_serve_on_while_dockerd_restarts_and_are_known_again(self):
        addresses = {f"web-{i}": self.lab.run_server(f"web-{i}") for i in range(3)}
        self.lab.wait_serving(addresses)
        with Load() as load:
            for how in (signal.SIGTERM, signal.SIGKILL):
                self.lab.dockerd.end(how)
                before = load.total()
                self.lab.wait_for("requests without dockerd", lambda: load.total() > before + 100)
                self.lab.start_dockerd()
                self.lab.wait_ready()
            addresses["web-3"] = self.lab.run_server("web-3")
            self.lab.wait_serving(addresses)
            self.lab.wait_dns(NAME, addresses.values())
            self.assertEqual(load.failures, [], f"of {load.total()} requests")
            self.lab.docker("rm", "-f", "web-0")
            del addresses["web-0"]
            self.lab.wait_serving(addresses)
        self.assertEqual(load.failures, [], f"of {load.total()} requests")


class AgentThatCannotStart(LabTest):
    def test_docker_gets_a_clear_error_and_works_again_with_the_agent(self):
        first = self.lab.run_server("web-1")
        self.lab.wait_serving(["web-1"])  # the agent looks whether it listens
        good = open(f"{self.lab.dir}/fairlead.yaml").read()
        self.lab.write("fairlead.yaml", "nonsense: 1\n")
        os.kill(self.lab.child("agent"), signal.SIGKILL)
        self.lab.wait_for("the agent is gone", lambda: self.lab.readyz()[0] == 0)
        refused = self.lab.docker("run", "-d", *self.lab.server("web-2"), check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("agent", refused.stderr)
        self.lab.wait_serving(["web-1"])
        self.lab.write("fairlead.yaml", good)
        self.lab.wait_ready()
        self.lab.docker("rm", "-f", "web-2")
        self.lab.run_server("web-2")
        self.lab.wait_serving(["web-1", "web-2"])
        self.assertEqual(self.lab.address("web-1"), first)


if __name__ == "__main__":
    main()
