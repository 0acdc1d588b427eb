#!/usr/bin/env python3
"""`fairlead lb` against the real `openssl s_client`: versions, server names, resumption, staple, client certificates,
and certificates changed by the admin socket."""
import http.client
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FAIRLEAD = os.path.join(os.environ.get("FAIRLEAD_BIN", os.path.join(ROOT, "build/release/bin")), "fairlead")
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], capture_output=True, timeout=30, check=True, **options)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="fairlead_tls_")
        os.chmod(cls.folder.name, 0o755)
        for name, alternative in [("web", "web.test"), ("wild", "*.wild.test"), ("me", "me.test")]:
            cls.issue(name, alternative)
        with open(cls.path("web.ocsp"), "wb") as f:
            f.write(b"a response that the server does not look into")
        with open(cls.path("lb.yaml"), "w") as f:
            f.write(f"""
state_dir: {cls.path("state")}
lb: {{workers: 2, agents: [], admin_socket: {cls.path("lb.sock")}, listen: "127.0.0.1:0"}}
listeners:
  - name: open
    bind: "127.0.0.1:0"
    protocol: https
    tls:
      certificates:
        - {{cert: {cls.path("web.pem")}, key: {cls.path("web.key")}, ocsp: {cls.path("web.ocsp")}}}
        - {{cert: {cls.path("wild.pem")}, key: {cls.path("wild.key")}}}
  - name: closed
    bind: "127.0.0.1:0"
    protocol: https
    tls: {{certificates: [{{cert: {cls.path("web.pem")}, key: {cls.path("web.key")}}}], client_ca: {cls.path("me.pem")}}}
""")
        cls.program = subprocess.Popen([FAIRLEAD, "lb", "-c", cls.path("lb.yaml")], stderr=subprocess.PIPE, bufsize=0)
        cls.ports, text = {}, b""
        while len(cls.ports) < 2:
            if not select.select([cls.program.stderr], [], [], 30)[0]:
                raise RuntimeError(text)
            piece = os.read(cls.program.stderr.fileno(), 65536)
            if not piece:
                raise RuntimeError(text)
            text += piece
            cls.ports = {n: p for n, p in re.findall(r"listener=(\w+) address=127\.0\.0\.1:(\d+)", text.decode())}

    @classmethod
    def tearDownClass(cls):
        cls.program.terminate()
        cls.program.communicate(timeout=30)
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    @classmethod
    def issue(cls, name, alternative):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3",
                "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{alternative}",
                "-keyout", cls.path(name + ".key"), "-out", cls.path(name + ".pem"))
        os.chmod(cls.path(name + ".key"), 0o644)  # the balancer reads it again as another user

    def talk(self, *arguments, listener="open"):
        done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:" + self.ports[listener], "-ign_eof", *arguments],
                              input=REQUEST, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        return done.stdout.decode(errors="replace")

    def test_both_versions_serve(self):
        for version in ("1_2", "1_3"):
            text = self.talk("-tls" + version, "-servername", "web.test", "-CAfile", self.path("web.pem"))
            self.assertIn("Verify return code: 0 (ok)", text)
            self.assertIn("HTTP/1.1 404", text)

    def test_older_versions_are_refused(self):
        self.assertNotIn("HTTP/1.1", self.talk("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"))

    def test_the_server_name_chooses_the_certificate(self):
        self.assertIn("subject=CN = wild", self.talk("-servername", "a.wild.test"))
        self.assertIn("subject=CN = web", self.talk("-servername", "unknown.test"))

    def test_sessions_are_resumed_by_every_worker(self):
        for version in ("-tls1_2", "-tls1_3"):
            self.assertIn("New, ", self.talk(version, "-sess_out", self.path("session")))
            for _ in range(6):
                self.assertIn("Reused, ", self.talk(version, "-sess_in", self.path("session")))

    def test_the_response_is_stapled(self):
        self.assertNotIn("OCSP response: no response sent", self.talk("-status", "-servername", "web.test"))
        self.assertIn("OCSP response: no response sent", self.talk("-status", "-servername", "a.wild.test"))

    def test_protocol_is_negotiated(self):
        self.assertIn("ALPN protocol: http/1.1", self.talk("-alpn", "h2,http/1.1"))
        self.assertIn("no application protocol", self.talk("-alpn", "h2"))

    def test_client_certificates(self):
        self.assertNotIn("HTTP/1.1", self.talk(listener="closed"))
        own = self.talk("-cert", self.path("me.pem"), "-key", self.path("me.key"), listener="closed")
        self.assertIn("HTTP/1.1 404", own)
        other = self.talk("-cert", self.path("wild.pem"), "-key", self.path("wild.key"), listener="closed")
        self.assertNotIn("HTTP/1.1", other)

    def test_certificates_change_by_the_admin_socket(self):
        before = openssl("x509", "-in", self.path("wild.pem"), "-serial", "-noout").stdout
        self.issue("wild", "*.wild.test")
        admin = http.client.HTTPConnection("lb")
        admin.sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(admin.close)
        admin.sock.connect(self.path("lb.sock"))
        admin.request("POST", "/v1/reload")
        answer = admin.getresponse()
        self.assertEqual(answer.status, 200, answer.read())
        shown = self.talk("-servername", "a.wild.test")
        certificate = shown[shown.index("-----BEGIN"):shown.index("-----END CERTIFICATE-----") + 26]
        after = openssl("x509", "-serial", "-noout", input=certificate.encode()).stdout
        self.assertNotEqual(before, after)


if __name__ == "__main__":
    unittest.main()
