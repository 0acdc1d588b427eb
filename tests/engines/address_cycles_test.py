#!/usr/bin/env python3
"""Cycle after cycle of whatever ends and starts containers: every name has the address that it had first, no two ever
share one. FAIRLEAD_ENGINE_ROUNDS multiplies the cycles, FAIRLEAD_ENGINE_SEED repeats a run.

With the authorization plugin names are certain for eight at once, too. Without it dockerd 20.10 tells no name, and only
one start at a time is.
"""
import os
import random
import signal

from lab import NETWORK, ROUNDS, LabTest, main

COMPOSE_LABELS = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=old",
                  "--label", "com.docker.compose.container-number=1", "--label", "com.docker.compose.oneoff=False")


class Cycles:
    """Acts on containers p0…p7, on the compose project `shop` and on shop-old-1, which newer compose recreates."""
    PARALLEL = [f"p{i}" for i in range(8)]

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.compose_file = cls.lab.write_json("compose.json", {
            "version": "3.5", "networks": {"default": {"external": {"name": NETWORK}}},
            "services": {"web": {"image": "lab", "command": ["sleep", "86400"], "stop_grace_period": "0s"}}})

    def setUp(self):
        self.seed = int(os.environ.get("FAIRLEAD_ENGINE_SEED", random.SystemRandom().randrange(1 << 32)))
        self.chance = random.Random(self.seed)
        self.known, self.history = {}, []

    # --- acts: each leaves everything running

    def one_starts_again(self):
        name = self.chance.choice(self.PARALLEL)
        how = self.chance.choice(["restart", "stop", "kill", "rm", "crash"])
        if how == "rm":
            self.lab.docker("rm", "-f", name)
            self.lab.run_sleeper(name)
        elif how == "restart":
            self.lab.docker("restart", name)
        else:
            if how == "crash":
                os.kill(self.lab.inspect(name)["State"]["Pid"], signal.SIGKILL)
                self.lab.wait_for("it ended", lambda: name not in self.lab.names())
            else:
                self.lab.docker(how, name)
            self.lab.docker("start", name)
        return f"{how} {name}"

    def compose_recreates(self):
        """1.29: stops and renames the old ones away, creates the new ones, removes the old ones."""
        self.lab.compose(self.compose_file, "up", "-d", "--scale", "web=2", "--force-recreate", "--no-color")
        return "compose"

    def newer_compose_recreates(self):
        """v2: creates the new one beside the old one, under a temporary name."""
        temporary = f"{self.chance.randrange(1 << 48):012x}_shop-old-1"
        self.lab.docker("create", *self.lab.sleeper(temporary, *COMPOSE_LABELS))
        self.lab.docker("stop", "shop-old-1")
        self.lab.docker("rm", "shop-old-1")
        self.lab.docker("rename", temporary, "shop-old-1")
        self.lab.docker("start", "shop-old-1")
        return "compose v2"

    def agent_crashes(self):
        self.lab.kill_agent()
        return "kill -9 agent"

    def dockerd_restarts(self):
        how = self.chance.choice([signal.SIGTERM, signal.SIGKILL])
        names = self.lab.names()
        self.lab.dockerd.end(how)
        self.lab.start_dockerd()
        for name in names:
            self.lab.docker("start", name)
        return f"dockerd {how.name}"

    def all_at_once(self, *commands):
        runs = [self.lab.docker_async(*command) for command in commands]
        told = [run.communicate()[1] for run in runs]
        self.assertEqual([run.returncode for run in runs], [0] * len(runs), told)

    def eight_run_at_once(self):
        self.lab.docker("rm", "-f", *self.PARALLEL)
        self.all_at_once(*(("run", "-d", *self.lab.sleeper(name)) for name in self.PARALLEL))
        return "8 runs"

    def eight_start_at_once(self):
        self.lab.docker("stop", *self.PARALLEL)
        self.all_at_once(*(("start", name) for name in self.PARALLEL))
        return "8 starts"

    # --- what must hold

    def check(self):
        told = f"seed {self.seed}, {len(self.history)} cycles: {', '.join(self.history)}"
        addresses = {name: self.lab.address(name) for name in self.lab.names()}
        for name, address in addresses.items():
            self.assertEqual(self.known.setdefault(name, address), address, f"{name}; {told}")
        self.assertEqual(len(set(addresses.values())), len(addresses), f"{addresses}; {told}")
        for name, address in addresses.items():
            self.lab.wait_for(lambda: f"{name} answers at {address}, but at {self.lab.address_of(name)}; {told}",
                              lambda: self.lab.address_of(name) == [address])

    def run_cycles(self, acts, cycles):
        for name in (*self.PARALLEL, "shop-old-1"):
            self.lab.run_sleeper(name, *(COMPOSE_LABELS if name == "shop-old-1" else ()))
        self.compose_recreates()
        self.check()
        for _ in range(cycles * ROUNDS):
            self.history.append(self.chance.choice(acts)())
            self.check()


class WithTheAuthorizationPlugin(Cycles, LabTest):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.lab.authorize()

    def test_fifty_cycles_and_no_name_moves(self):
        self.run_cycles([self.one_starts_again] * 4 + [self.eight_run_at_once, self.eight_start_at_once] * 2 +
                        [self.compose_recreates, self.newer_compose_recreates, self.agent_crashes, self.dockerd_restarts], 50)


class WithoutIt(Cycles, LabTest):
    def test_cycles_of_one_at_a_time_and_no_name_moves(self):
        self.run_cycles([self.one_starts_again] * 4 + [self.newer_compose_recreates, self.agent_crashes,
                                                       self.dockerd_restarts], 15)


if __name__ == "__main__":
    main()
