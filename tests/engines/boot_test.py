#!/usr/bin/env python3
"""Boots of dockerd with fifty containers that start by themselves: with an agent that keeps crashing dockerd comes up all
the same and whoever needs no Fairlead network starts; with one that lives, each name has its own address again.

How long each boot took is printed: FAIRLEAD_BOOT_CONTAINERS changes their number.
"""
import os
import signal
import threading
import time

from lab import LabTest, main, wait_for

CONTAINERS = int(os.environ.get("FAIRLEAD_BOOT_CONTAINERS", "50"))
NAMES = [f"b{i:02}" for i in range(CONTAINERS)]
# dockerd tries a plugin socket that nobody serves again after 1, 2, 4 and 8 s: this is its word when nobody came.
LAST_RETRY = "retrying in 8s"


class CrashLoop:
    """kill -9 of the agent again and again, as soon as it is there."""

    def __init__(self, lab):
        self.lab, self.kills, self.end = lab, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.end.wait(0.05):
            pid = self.lab.child("agent")
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                    self.kills += 1
                except ProcessLookupError:
                    pass

    def __enter__(self):
        self.thread.start()
        wait_for("the agent is killed", lambda: self.kills > 0)
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


class Boot(LabTest):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.lab.authorize()
        for name in NAMES:
            cls.lab.run_sleeper(name, "--restart", "always")
        for name in ("alone", "beside"):
            cls.lab.run_sleeper(name, "--restart", "always", network="none")
        cls.addresses = {name: cls.lab.address(name) for name in NAMES}

    def tearDown(self):
        pass  # the containers are the matter of all tests here

    def boot(self, how):
        """What dockerd said."""
        self.lab.dockerd.end(how)
        before = len(self.lab.dockerd.log())
        began = time.monotonic()
        self.lab.start_dockerd()
        print(f"boot after {how.name} with {CONTAINERS} containers: {time.monotonic() - began:.2f} s", flush=True)
        return self.lab.dockerd.log()[before:]

    def test_dockerd_boots_beside_an_agent_that_crashes_again_and_again(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how.name):
                with CrashLoop(self.lab):
                    self.assertNotIn(LAST_RETRY, self.boot(how))
                    self.lab.wait_for("the others run", lambda: {"alone", "beside"} <= set(self.lab.names()))
                self.lab.wait_ready()
                for name in set(NAMES) - set(self.lab.names()):
                    self.lab.docker("start", name)
                self.assertEqual({name: self.lab.address(name) for name in NAMES}, self.addresses)

    def test_all_have_their_own_addresses_again(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how.name):
                self.boot(how)
                self.lab.wait_for("all run", lambda: set(NAMES) <= set(self.lab.names()))
                self.assertEqual({name: self.lab.address(name) for name in NAMES}, self.addresses)


if __name__ == "__main__":
    main()
