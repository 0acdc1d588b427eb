#!/usr/bin/env python3
"""`install docker --dns`: containers that say nothing of DNS find our names and all others, and the way back."""
import json
import signal
import subprocess

from lab import DNS_ADDRESS, FAIRLEAD, LabTest, Program, main

UPSTREAM = 5399
NAME = "web.demo.svc.fl.internal"


class Resolver(LabTest):
    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.lab.programs["upstream"] = Program(cls.lab.dir, "upstream", [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--user=root",
            "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={UPSTREAM}", "--address=/outside.example/192.0.2.7"]).start()
        cls.lab.start_fairlead(dns={"forward": [f"127.0.0.1:{UPSTREAM}"]})

    def install(self, verb):
        done = subprocess.run([FAIRLEAD, verb, "docker", "--dns", "-c", f"{self.lab.dir}/fairlead.yaml", "--daemon-json",
                               f"{self.lab.dir}/daemon.json", "--pid-file", f"{self.lab.dir}/dockerd.pid"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def daemon_json(self):
        with open(f"{self.lab.dir}/daemon.json") as file:
            return file.read()

    def found(self, name):
        done = self.lab.docker("exec", "asker", "busybox", "nslookup", name, check=False)
        return [line.split()[-1] for line in done.stdout.split("\n") if line.startswith("Address") and ":53" not in line]

    def test_containers_find_our_names_and_all_others(self):
        before = self.daemon_json()
        self.assertIn("restart", self.install("install"))
        self.assertEqual(json.loads(self.daemon_json())["dns"], [DNS_ADDRESS])
        self.lab.dockerd.end(signal.SIGTERM)
        self.lab.start_dockerd()

        address = self.lab.run_server("web-1")
        self.lab.run_sleeper("asker")
        self.lab.wait_dns(NAME, [address])
        self.lab.wait_for(lambda: f"our name: {self.found(NAME)}", lambda: self.found(NAME) == [address])
        self.assertEqual(self.found("outside.example"), ["192.0.2.7"])

        self.assertIn("restart", self.install("uninstall"))
        self.assertEqual(self.daemon_json(), before)


if __name__ == "__main__":
    main()
