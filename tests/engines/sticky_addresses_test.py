#!/usr/bin/env python3
"""The same name has the same address, whatever ends and starts in between, and no two containers ever share one."""
import os
import random
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
        for _ in range(ROUNDS):
            runs = [self.lab.docker_async("run", "-d", *self.lab.sleeper(name)) for name in self.NAMES]
            told = [run.communicate()[1] for run in runs]
            self.assertEqual([run.returncode for run in runs], [0] * len(runs), told)
            addresses = self.assert_settled(self.NAMES)
            # Once settled, an address is its name's like any other.
            self.lab.docker("restart", *self.NAMES[:2])
            self.assertEqual({name: self.lab.address(name) for name in self.NAMES}, addresses)
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


class AnyHistory(LabTest):
    """One thing at a time, in any order: a name never gets another address."""
    NAMES = [f"n{i}" for i in range(5)]
    STEPS = 12

    def test_addresses_stay_through_random_starts_ends_and_crashes(self):
        seed = int(os.environ.get("FAIRLEAD_ENGINE_SEED", random.SystemRandom().randrange(1 << 32)))
        chance = random.Random(seed)
        known, history = {}, []
        for step in range(self.STEPS * ROUNDS):
            name = chance.choice(self.NAMES)
            present, running = name in self.lab.names("-a"), name in self.lab.names()
            act = chance.choice(["agent", "dockerd"] + ["rm", "restart", "stop"] * 2 if running else
                                ["agent", "start", "start", "rm"] if present else ["run"])
            history.append(f"{act} {name}")
            self.act(act, name, chance)
            for other in self.lab.names():
                address = self.lab.address(other)
                told = f"seed {seed}, step {step}: {', '.join(history)}"
                self.assertEqual(known.setdefault(other, address), address, f"{other}; {told}")
            self.assertEqual(len(set(known.values())), len(known), known)

    def act(self, act, name, chance):
        if act == "run":
            self.lab.run_sleeper(name)
        elif act == "rm":
            self.lab.docker("rm", "-f", name)
        elif act == "agent":
            self.lab.kill_agent()
        elif act == "dockerd":
            self.lab.dockerd.end(chance.choice([signal.SIGTERM, signal.SIGKILL]))
            self.lab.start_dockerd()
        else:
            self.lab.docker(act, name)


if __name__ == "__main__":
    main()
