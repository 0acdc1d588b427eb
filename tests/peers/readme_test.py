#!/usr/bin/env python3
"""The README's "A balancer alone": its configuration is run as it stands there, but for addresses and files."""
import http.client
import os
import re
import ssl
import subprocess

from balancer import PATIENCE_S, Backend, BalancerTest, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def example():
    with open(f"{ROOT}/README.md", encoding="utf-8") as page:
        return re.search(r"## A balancer alone\n.*?```yaml\n(.*?)```", page.read(), re.S)[1]


class Readme(BalancerTest):
    listeners = ("web", "secure", "db", "sni")

    @classmethod
    def config(cls):
        cert, key = f"{cls.dir}/shop.pem", f"{cls.dir}/shop.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "3", "-subj", "/CN=shop", "-keyout", key, "-out", cert], check=True, capture_output=True,
                       timeout=PATIENCE_S)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        cls.vault = Backend()
        cls.vault.socket = context.wrap_socket(cls.vault.socket, server_side=True)
        cls.addClassCleanup(cls.vault.server_close)
        cls.addClassCleanup(cls.vault.shutdown)
        other = Backend()
        cls.addClassCleanup(other.server_close)
        cls.addClassCleanup(other.shutdown)
        text = example()
        for ours, (pattern, times) in {
            "127.0.0.1:0": (r"0\.0\.0\.0:\d+", 4),
            f"127.0.0.1:{cls.backend.server_address[1]}": (r"10\.0\.0\.[57]:\d+", 2),
            f"127.0.0.1:{other.server_address[1]}": (r"10\.0\.0\.6:\d+", 1),
            f"127.0.0.1:{cls.vault.server_address[1]}": (r"10\.0\.0\.8:\d+", 1),
            f"{cls.dir}/shop.": (r"/etc/fairlead/shop\.", 2),
            f'agents: [], listen: "127.0.0.1:0", admin_socket: {cls.dir}/lb.sock': (r"agents: \[\]", 1),
        }.items():
            text, found = re.subn(pattern, ours, text)
            assert found == times, f"{pattern}: {found} times in the README's example"
        return text + f"state_dir: {cls.dir}/state\n"

    def ask(self, client, host, path="/bytes/12"):
        client.request("GET", path, headers={"Host": host})
        answer = client.getresponse()
        self.addCleanup(client.close)
        return answer.status, answer.read()

    def client(self, listener, secure=None):
        address = ("127.0.0.1", self.ports[listener])
        client = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
        if secure is not None:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client.sock = context.wrap_socket(self.connect(listener), server_hostname=secure)
        return client

    def test_every_listener_serves(self):
        wanted = (200, b"x" * 12)
        self.assertEqual(self.ask(self.client("web"), "shop.example.com"), wanted)
        self.assertEqual(self.ask(self.client("secure", "a.shop.example.com"), "a.shop.example.com"), wanted)
        self.assertEqual(self.ask(self.client("db"), "any"), wanted)  # its bytes are HTTP here
        self.assertEqual(self.ask(self.client("sni", "vault.example.com"), "any"), wanted)

    def test_what_it_does_not_route_is_refused(self):
        self.assertEqual(self.ask(self.client("web"), "vault.example.com")[0], 404)
        with self.assertRaisesRegex(ssl.SSLError, "UNRECOGNIZED_NAME"):
            self.client("sni", "shop.example.com")


if __name__ == "__main__":
    main()
