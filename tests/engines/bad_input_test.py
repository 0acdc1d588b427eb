#!/usr/bin/env python3
"""Bad situations: one clear error that names the thing and the way out, and nothing is lost."""
import ctypes
import os
import signal
import socket
import struct
import subprocess

from lab import FAIRLEAD, LB_PORT, LabTest, main

NOBODY = 65534


def forbid_io_uring():
    """A seccomp filter as container profiles have it: io_uring_setup fails with EPERM. For preexec_fn."""
    io_uring_setup, allow, refuse = 425, 0x7fff0000, 0x00050000 | 1
    program = b"".join(struct.pack("HBBI", *step) for step in (
        (0x20, 0, 0, 0),               # the system call's number
        (0x15, 0, 1, io_uring_setup),  # is it this one?
        (0x06, 0, 0, refuse), (0x06, 0, 0, allow)))
    memory = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(memory)))
    libc = ctypes.CDLL(None, use_errno=True)
    pr_set_no_new_privs, pr_set_seccomp, mode_filter = 38, 22, 2
    libc.prctl(pr_set_no_new_privs, 1, 0, 0, 0)
    if libc.prctl(pr_set_seccomp, mode_filter, header, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


class BeforeAnyEngine(LabTest):
    """What is refused at the start, and what waits. No dockerd runs but where a test starts it."""

    @classmethod
    def prepare(cls):
        pass

    def setUp(self):
        self.config = self.lab.config()

    def tearDown(self):
        self.lab.stop_fairlead()

    def refusal(self, *arguments, config=None, **popen):
        """Exit code and words of a program that ends at once."""
        done = subprocess.run([FAIRLEAD, *arguments, "-c", config or self.config], capture_output=True, text=True,
                              timeout=60, **popen)
        return done.returncode, done.stderr

    def assert_says(self, text, *words):
        for word in words:
            self.assertIn(word, text)

    def test_an_unknown_key_is_named_with_its_line_and_the_nearest_valid_one(self):
        config = self.lab.write("typo.yaml", "node: {name: lab}\nstate_dirr: /tmp/x\n")
        code, told = self.refusal("up", config=config)
        self.assertEqual(code, 2)
        self.assert_says(told, "typo.yaml:2", "state_dirr", "state_dir")

    def test_all_bad_values_are_named_at_once(self):
        config = self.lab.write("bad.yaml", "lb: {workers: many}\nlisteners:\n  - {name: web, bind: nowhere}\n")
        code, told = self.refusal("lb", config=config)
        self.assertEqual(code, 2)
        self.assert_says(told, "bad.yaml:1", "workers", "bad.yaml:3", "nowhere")

    def test_a_pool_that_overlaps_another_is_refused_with_both_names(self):
        config = self.lab.config(pools=[{"name": "a", "prefixes": [{"cidr": "10.1.0.0/16"}]},
                                        {"name": "b", "prefixes": [{"cidr": "10.1.7.0/24"}]}], networks=[])
        code, told = self.refusal("agent", config=config)
        self.assertEqual(code, 2)
        self.assert_says(told, "10.1.7.0/24 overlaps 10.1.0.0/16", "pool a")

    def test_a_configuration_that_is_not_there_is_named(self):
        code, told = self.refusal("up", config=f"{self.lab.dir}/nowhere.yaml")
        self.assertNotEqual(code, 0)
        self.assert_says(told, "nowhere.yaml", "No such file")

    def test_without_root_agent_and_up_say_so(self):
        for program in ("agent", "up"):
            with self.subTest(program):
                code, told = self.refusal(program, user=NOBODY, group=NOBODY, extra_groups=[])
                self.assertEqual(code, 6)
                self.assert_says(told, "root")

    def test_a_port_in_use_is_named(self):
        for program, port in (("lb", LB_PORT), ("lb", 7854), ("dns", 5300), ("agent", 7853)):
            with self.subTest(program, port=port), socket.create_server(("127.0.0.1", port)):
                code, told = self.refusal(program)
                self.assertEqual(code, 4)
                self.assert_says(told, f"127.0.0.1:{port}", "in use", "choose another")

    def test_where_io_uring_is_forbidden_all_serve_on_epoll_and_say_so(self):
        self.lab.start_engine()
        self.addCleanup(self.lab.dockerd.end)
        self.addCleanup(self.lab.remove_containers)
        for name in ("agent", "dns", "lb"):
            self.lab.start_program(name, preexec_fn=forbid_io_uring)
        for port in (7853, 7854, 7855):
            self.lab.wait_ready(port)
        address = self.lab.run_server("web")
        self.lab.wait_serving(["web"])
        self.lab.wait_dns("web.demo.svc.fl.internal", [address])
        for program in self.lab.programs.values():
            self.assertTrue(program.says("warning", "io_uring", "not permitted"), program.tail())

    def test_io_uring_that_is_asked_for_and_forbidden_is_an_error(self):
        config = self.lab.config(lb={"io": "uring", "agents": []})
        code, told = self.refusal("lb", config=config, preexec_fn=forbid_io_uring)
        self.assertNotEqual(code, 0)
        self.assert_says(told, "io_uring")


class EngineComesLater(LabTest):
    @classmethod
    def prepare(cls):
        pass

    def test_without_dockerd_the_agent_serves_says_why_and_goes_on_when_it_comes(self):
        self.lab.config()
        for name in ("agent", "dns", "lb"):
            self.lab.start_program(name)
        self.lab.wait_for(lambda: f"readyz: {self.lab.readyz()}", lambda: self.lab.readyz()[0] == 503)
        self.assertIn("docker", self.lab.readyz()[1])
        self.lab.start_engine()
        self.lab.wait_ready()
        self.lab.run_server("web")
        self.lab.wait_serving(["web"])


class DamagedState(LabTest):
    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.lab.start_programs()

    def damage(self, path):
        with open(path, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            file.write(b"\xa5" * max(size, 64))

    def restart(self, name, port):
        self.lab.programs[name].start()
        self.lab.wait_ready(port)

    def test_of_balancer_and_name_server_is_kept_aside_and_made_anew_from_the_agent(self):
        self.lab.run_server("web")
        self.lab.wait_serving(["web"])
        for name, port in (("lb", 7854), ("dns", 7855)):
            with self.subTest(name):
                path = f"{self.lab.dir}/state/{name}/catalog.state"
                self.lab.wait_for(f"{path} is written", lambda: os.path.exists(path))
                self.lab.programs[name].end(signal.SIGKILL)
                self.damage(path)
                self.restart(name, port)
                self.assertTrue(self.lab.programs[name].says("catalog.state", "corrupt"), self.lab.programs[name].tail())
                self.assertTrue(os.path.exists(path + ".corrupt"))
        self.lab.wait_serving(["web"])
        self.lab.wait_dns("web.demo.svc.fl.internal", [self.lab.address("web")])

    def test_of_the_leases_stops_the_agent_with_the_files_name_and_loses_nothing(self):
        first = self.lab.run_server("web")
        self.lab.wait_serving(["web"])
        agent, path = self.lab.programs["agent"], f"{self.lab.dir}/state/agent/leases.db"
        agent.end()
        with open(path, "rb") as file:
            good = file.read()
        self.damage(path)
        with open(path, "rb") as file:
            damaged = file.read()
        agent.start()
        self.assertNotEqual(agent.process.wait(60), 0)
        self.assertTrue(agent.says("leases.db"), agent.tail())
        with open(path, "rb") as file:
            self.assertEqual(file.read(), damaged)
        self.lab.wait_serving(["web"])
        with open(path, "wb") as file:  # the operator's copy
            file.write(good)
        self.restart("agent", 7853)
        self.lab.docker("restart", "web")
        self.assertEqual(self.lab.address("web"), first)


class Addresses(LabTest):
    def refused(self, name, *options):
        done = self.lab.docker("run", "-d", *self.lab.sleeper(name, *options), check=False)
        self.assertNotEqual(done.returncode, 0)
        self.lab.docker("rm", "-f", name)
        return done.stderr

    def test_outside_the_subnet_or_of_the_gateway_are_refused_by_name(self):
        # Within the subnet a wanted address may lie outside the pool's ranges, as with docker's --ip-range.
        for address in ("10.99.0.7", "10.213.40.1"):
            with self.subTest(address):
                self.assertIn(address, self.refused("far", "--ip", address))

    def test_of_another_container_are_refused_with_its_name(self):
        self.lab.run_sleeper("owner", "--ip", "10.213.40.77")
        told = self.refused("thief", "--ip", "10.213.40.77")
        self.assertIn("owner", told)
        self.assertEqual(self.lab.address("owner"), "10.213.40.77")

    def test_tell_how_to_get_an_address_that_another_has(self):
        self.lab.run_sleeper("owner", "--ip", "10.213.40.78")
        self.assertIn("or stop its container and release it: fairlead ip release owner", self.refused("thief", "--ip", "10.213.40.78"))
        self.lab.docker("rm", "-f", "owner")
        self.lab.wait_for("it is detached", lambda: "(detached since" in self.refused("thief", "--ip", "10.213.40.78"))
        self.assertIn("choose another, or release it: fairlead ip release owner", self.refused("thief", "--ip", "10.213.40.78"))


class Networks(LabTest):
    """What `docker network create` says; each with the command that leads on."""

    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.lab.start_fairlead(pools=[{"name": "demo", "prefixes": [{"cidr": "10.213.40.0/24"}]},
                                      {"name": "spare", "prefixes": [{"cidr": "10.213.41.0/24", "gateway": "10.213.41.1"}]}])

    def refused(self, *options):
        done = self.lab.docker("network", "create", "-d", "fairlead", "--ipam-driver", "fairlead", *options, "bad", check=False)
        self.assertNotEqual(done.returncode, 0, "it was made")
        return done.stderr

    def test_that_are_refused_name_what_is_wrong_who_has_it_and_the_way_out(self):
        for options, words in {
            ("--subnet", "10.213.40.128/25"):
                ("subnet 10.213.40.128/25 overlaps 10.213.40.0/24 of network demo", "docker network rm demo"),
            ("--subnet", "10.213.41.128/25"):
                ("subnet 10.213.41.128/25 overlaps 10.213.41.0/24 of pool spare", "--subnet 10.213.41.0/24 --ipam-opt pool=spare"),
            ("--subnet", "10.213.41.0/24", "--gateway", "10.213.41.9", "--ipam-opt", "pool=spare"):
                ("the gateway of pool spare is 10.213.41.1, not 10.213.41.9", "fairlead pool update spare --gateway 10.213.41.9"),
            ("--subnet", "10.213.41.0/24", "--ipam-opt", "pool=spar"):
                ("pool spar is not known (there is: demo, spare)", "fairlead pool create spar --cidr PREFIX"),
            ("--subnet", "10.213.42.0/24", "--ipam-opt", "pool=spare"):
                ("pool spare has no subnet 10.213.42.0/24; it has 10.213.41.0/24", "fairlead pool update spare --cidr 10.213.42.0/24"),
            ("--ipv6", "--subnet", "10.213.41.0/24", "--subnet", "fd00:41::/64", "--ipam-opt", "pool=spare"):
                ("pool spare has no subnet fd00:41::/64", "fairlead pool update spare --cidr fd00:41::/64"),
        }.items():
            with self.subTest(options):
                told = self.refused(*options)
                for word in words:
                    self.assertIn(word, told)


class FullPool(LabTest):
    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.lab.start_fairlead(pools=[{"name": "demo", "prefixes": [
            {"cidr": "10.213.40.0/24", "gateway": "10.213.40.1", "ranges": ["10.213.40.10-10.213.40.11"]}]}])

    def test_names_the_pool_and_the_way_out(self):
        held = {self.lab.run_sleeper(name) for name in ("web-1", "web-2")}
        done = self.lab.docker("run", "-d", *self.lab.sleeper("web-3"), check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("pool demo is full", done.stderr)
        self.assertIn("add a prefix (fairlead pool update demo --cidr PREFIX) or release leases (fairlead ip release NAME; held by", done.stderr)
        self.assertEqual({self.lab.address(name) for name in ("web-1", "web-2")}, held)


class FullDisk(LabTest):
    """The state is on a disk of 4 MiB."""

    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        state = f"{cls.lab.dir}/state"
        os.mkdir(state)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", state], check=True)
        cls.lab.start_fairlead()

    def test_that_may_only_be_read_stops_the_agent_with_the_stores_name_and_loses_nothing(self):
        first = self.lab.run_server("web-1")
        self.lab.wait_serving(["web-1"])
        state = f"{self.lab.dir}/state"
        self.lab.stop_fairlead()
        subprocess.run(["mount", "-o", "remount,ro", state], check=True)
        try:
            agent = self.lab.start_program("agent")
            self.assertNotEqual(agent.process.wait(60), 0)
            self.assertTrue(agent.says(state, "Read-only", "writable"), agent.tail())
        finally:
            subprocess.run(["mount", "-o", "remount,rw", state], check=True)
        self.lab.start_fairlead()
        self.lab.docker("restart", "web-1")
        self.assertEqual(self.lab.address("web-1"), first)

    def test_refuses_new_addresses_with_a_reason_keeps_old_ones_and_goes_on_when_there_is_room(self):
        first = self.lab.run_server("web-1")
        self.lab.wait_serving(["web-1"])
        filler = f"{self.lab.dir}/state/filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        # Some page may be free in the store's own files: it is full once a start is refused.
        refused = self.lab.wait_for("a start is refused", self.refused_start)
        self.assertIn("full", refused)
        self.lab.docker("rm", "-f", *[name for name in self.lab.names("-a") if name != "web-1"])
        self.lab.wait_serving(["web-1"])
        self.assertEqual(self.lab.address("web-1"), first)
        os.unlink(filler)
        self.lab.run_server("web-2")
        self.lab.wait_serving(["web-1", "web-2"])
        self.lab.kill_agent()
        self.lab.docker("restart", "web-1")
        self.assertEqual(self.lab.address("web-1"), first)

    def refused_start(self):
        name = f"more-{len(self.lab.names('-a'))}"
        done = self.lab.docker("run", "-d", *self.lab.sleeper(name), check=False)
        return done.stderr if done.returncode else None


if __name__ == "__main__":
    main()
