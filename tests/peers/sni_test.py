#!/usr/bin/env python3
"""`protocol: tls`: TLS passed through by its server name, between `openssl s_client` and `openssl s_server`s."""
import re
import subprocess
import threading

from balancer import PATIENCE_S, BalancerTest, main, wait_for


class Sni(BalancerTest):
    @classmethod
    def config(cls):
        config = super().config()
        config["listeners"].append({"name": "sni", "bind": "127.0.0.1:0", "protocol": "tls"})
        for name, hosts in (("one", ["one.test"]), ("two", ["two.test", "*.two.test"])):
            config["services"][name] = {"protocol": "tcp", "endpoints": [{"address": cls.start_server(name)}]}
            config["routes"].append({"host": hosts, "service": name, "listeners": ["sni"]})
        config["routes"][0]["listeners"] = ["web"]
        return config

    @classmethod
    def start_server(cls, name):
        """One that sends every line back the other way round. Gives its address."""
        cert, key = f"{cls.dir}/{name}.pem", f"{cls.dir}/{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "3", "-subj", f"/CN={name}", "-keyout", key, "-out", cert], check=True, capture_output=True,
                       timeout=PATIENCE_S)
        server = cls.start_peer(name, ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key, "-rev",
                                       "-alpn", "http/1.1"])
        said = lambda: re.search(r"ACCEPT (127\.0\.0\.1:\d+)", server.log())
        return wait_for(server.tail, said)[1]

    def talk(self, *options, line="hello"):
        """What s_client says until a line has come back, or it has ended."""
        client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{self.ports['sni']}", *options],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        watchdog = threading.Timer(PATIENCE_S, client.kill)
        watchdog.start()
        try:
            client.stdin.write(line + "\n")
            client.stdin.flush()
            said = ""
            for piece in client.stdout:
                said += piece
                if piece.strip() == line[::-1]:
                    break
            return said
        except BrokenPipeError:
            return client.stdout.read()
        finally:
            watchdog.cancel()
            client.kill()
            client.communicate()

    def test_the_server_name_chooses_the_server(self):
        for version in ("-tls1_2", "-tls1_3"):
            for name, server in (("one.test", "one"), ("two.test", "two"), ("TWO.test", "two"), ("a.two.test", "two")):
                said = self.talk(version, "-servername", name)
                self.assertIn(f"subject=CN = {server}\n", said)
                self.assertIn("olleh\n", said)

    def test_the_servers_are_spoken_to_directly(self):
        said = self.talk("-servername", "one.test", "-alpn", "http/1.1")
        self.assertIn("ALPN protocol: http/1.1", said)

    def test_an_unknown_name_is_told_so(self):
        for options in (["-servername", "three.test"], ["-noservername"]):
            said = self.talk(*options)
            self.assertIn("unrecognized name", said)
            self.assertNotIn("subject=", said)
        wait_for("counted", lambda: 'connections_refused_total{listener="sni",reason="no_route"} 2' in self.metrics())

    def test_a_large_client_hello_is_routed(self):
        """Of 12 KiB: many protocols are offered."""
        offered = ",".join(f"protocol-{i:03}-{'x' * 200}" for i in range(60)) + ",http/1.1"
        said = self.talk("-servername", "two.test", "-alpn", offered)
        self.assertIn("subject=CN = two\n", said)
        self.assertIn("olleh\n", said)


if __name__ == "__main__":
    main()
