#!/usr/bin/env python3
"""The same name has the same address, whatever ends and starts in between, and no two containers ever share one."""
import signal

from lab import NETWORK, ROUNDS, LabTest, main

COMPOSE = ("--label", "com.docker.compose.project=x", "--label", "com.docker.compose.service=web",
           "--label", "com.docker.compose.container-number=1", "--label", "com.docker.compose.oneoff=False")


class OneAtATime(LabTest):
    def test_rm_and_run_give_the_address_back(self):
        self.lab.run_sleeper("other")
        first = self.lab.run_sleeper("web")
        self.lab.docker("rm", "-f", "web")
        self.lab.run_sleeper("third")
        self.assertEqual(self.lab.run_sleeper("web"), first)

    def test_docker_restart_keeps_it_beside_a_stopped_container(self):
        stopped = self.lab.run_sleeper("stopped")
        first = self.lab.run_sleeper("web")
        self.lab.docker("stop", "stopped")
        self.lab.docker("restart", "web")
        self.assertEqual(self.lab.address("web"), first)
        self.lab.docker("start", "stopped")
        self.assertEqual(self.lab.address("stopped"), stopped)

    def test_a_restart_of_dockerd_keeps_it(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how.name):
                addresses = {name: self.lab.run_sleeper(name) for name in ("web", "other")}
                self.lab.dockerd.end(how)
                self.lab.start_dockerd()
                for name in ("other", "web"):
                    self.lab.docker("start", name)
                    self.assertEqual(self.lab.address(name), addresses[name])
                self.lab.remove_containers()

    def test_kill_9_of_the_agent_keeps_it(self):
        first = self.lab.run_sleeper("web")
        other = self.lab.run_sleeper("other")
        self.lab.docker("rm", "-f", "other")
        self.lab.kill_agent()
        self.assertEqual(self.lab.address_of("web"), [first])
        self.lab.docker("restart", "web")
        self.assertEqual(self.lab.address("web"), first)
        self.assertEqual(self.lab.run_sleeper("other"), other)

    def test_compose_creates_under_a_temporary_name_and_renames(self):
        first = self.lab.run_sleeper("x-web-1", *COMPOSE)
        self.lab.docker("create", *self.lab.sleeper("0123456789ab_x-web-1", *COMPOSE))
        self.lab.docker("rm", "-f", "x-web-1")
        self.lab.docker("rename", "0123456789ab_x-web-1", "x-web-1")
        self.lab.docker("start", "x-web-1")
        self.assertEqual(self.lab.address("x-web-1"), first)

    def test_compose_renames_the_old_one_away_first(self):
        first = self.lab.run_sleeper("x-web-1", *COMPOSE)
        self.lab.docker("stop", "x-web-1")
        self.lab.docker("rename", "x-web-1", "0123456789ab_x-web-1")
        self.assertEqual(self.lab.run_sleeper("x-web-1", *COMPOSE), first)
        self.lab.docker("rm", "0123456789ab_x-web-1")
        self.lab.docker("restart", "x-web-1")
        self.assertEqual(self.lab.address("x-web-1"), first)

    def test_the_hardware_address_is_the_names_too(self):
        def mac():
            return self.lab.inspect("web")["NetworkSettings"]["Networks"][NETWORK]["MacAddress"]
        self.lab.run_sleeper("web")
        first = mac()
        self.lab.docker("rm", "-f", "web")
        self.lab.run_sleeper("web")
        self.assertEqual(mac(), first)


class SeveralAtOnce(LabTest):
    """dockerd 20.10 does not tell who asks. The addresses are unique; whose each one is shows once the engine tells."""
    NAMES = [f"p{i}" for i in range(6)]

    def assert_settled(self, names):
        addresses = {name: self.lab.address(name) for name in names}
        self.assertNotIn("", addresses.values())
        self.assertEqual(len(set(addresses.values())), len(names), addresses)
        for name, address in addresses.items():
            self.lab.wait_for(lambda: f"{address} is {name}'s, but {self.lab.name_of(address)}'s",
                              lambda: self.lab.name_of(address) == name and self.lab.address_of(name) == [address])
        return addresses

    def test_parallel_runs_get_addresses_of_their_own(self):
        for round_ in range(ROUNDS):
            names = [f"new{round_}-{i}" for i in range(6)]  # those that have an address keep it, and run at a stand-in
            runs = [self.lab.docker_async("run", "-d", *self.lab.sleeper(name)) for name in names]
            told = [run.communicate()[1] for run in runs]
            self.assertEqual([run.returncode for run in runs], [0] * len(runs), told)
            addresses = self.assert_settled(names)
            # Once settled, an address is its name's like any other.
            self.lab.docker("restart", *names[:2])
            self.assertEqual({name: self.lab.address(name) for name in names}, addresses)
            self.lab.remove_containers()

    def test_boot_of_dockerd_gives_addresses_of_their_own(self):
        for name in self.NAMES:
            self.lab.run_sleeper(name, "--restart", "always")
        for how in [signal.SIGTERM, signal.SIGKILL] * ROUNDS:
            with self.subTest(how.name):
                self.lab.dockerd.end(how)
                self.lab.start_dockerd()
                self.lab.wait_for("all are started again", lambda: sorted(self.lab.names()) == self.NAMES)
                self.assert_settled(self.NAMES)


if __name__ == "__main__":
    main()
