#!/usr/bin/env python3
"""dockerd with --live-restore: containers outlive it, and with them their addresses. After a restart of dockerd nobody
else is given one, whatever dockerd replays or forgets; what ended meanwhile gets its own again."""
import os
import signal

from lab import LabTest, main

NAMES = ["w0", "w1", "w2", "w3"]


class LiveRestore(LabTest):
    options = {"dockerd_options": ("--live-restore",)}

    def start_all(self):
        return {name: self.lab.run_sleeper(name) for name in NAMES}

    def assert_kept(self, addresses):
        self.assertEqual({name: self.lab.address(name) for name in addresses}, addresses)
        new = self.lab.run_sleeper("new")
        self.assertNotIn(new, addresses.values())
        for name, address in addresses.items():
            self.assertEqual(self.lab.address_of(name), [address])
            self.lab.docker("restart", name)
            self.assertEqual(self.lab.address(name), address)

    def test_running_containers_keep_theirs_over_restarts_of_dockerd(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how.name):
                addresses = self.start_all()
                self.lab.dockerd.end(how)
                self.lab.start_dockerd()
                self.assertEqual(sorted(self.lab.names()), NAMES)
                self.assert_kept(addresses)
                self.lab.remove_containers()

    def test_the_agent_may_crash_while_dockerd_is_away(self):
        addresses = self.start_all()
        self.lab.dockerd.end(signal.SIGKILL)
        os.kill(self.lab.child("agent"), signal.SIGKILL)
        self.lab.start_dockerd()
        self.lab.wait_ready()
        self.assert_kept(addresses)

    def test_one_that_ended_while_dockerd_was_away_gets_its_own_again(self):
        addresses = self.start_all()
        pid = self.lab.inspect("w1")["State"]["Pid"]
        self.lab.dockerd.end(signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        self.lab.start_dockerd()
        self.lab.wait_for("w1 is known to have ended", lambda: "w1" not in self.lab.names())
        self.lab.run_sleeper("new")
        self.lab.docker("start", "w1")
        self.assertEqual(self.lab.address("w1"), addresses["w1"])


if __name__ == "__main__":
    main()
