#!/usr/bin/env python3
"""The endpoints of the file at `fairlead dns`: in SERVICE.PROJECT.svc.ZONE while they pass their check, which speaks TLS here. One of
them is written as a host name, which another name server knows."""
import http.server
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import unittest

from balancer import FAIRLEAD, PATIENCE_S, Program, main, wait_for

NAME = "shop.legacy.svc.fl.internal"
ZONE = "$ORIGIN hosts.test.\n$TTL 1\n@ SOA ns admin 1 60 60 60 1\n@ NS ns\nns A 127.0.0.1\nsecond A 127.0.0.2\n"


class Server(http.server.ThreadingHTTPServer):
    """/healthz over TLS, as `well` says."""
    daemon_threads = True

    def __init__(self, address, port, context):
        self.well, self.asked = True, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                self.asked.append((handler.path, handler.headers["Host"]))
                handler.send_response(200 if self.well else 503)
                handler.end_headers()

            def log_message(handler, *_):
                pass

        super().__init__((address, port), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self):
        self.shutdown()
        self.server_close()


class FileNames(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="fairlead-peers-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        os.chmod(self.dir, 0o755)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=nobody",
                        "-keyout", f"{self.dir}/key.pem", "-out", f"{self.dir}/cert.pem"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{self.dir}/cert.pem", f"{self.dir}/key.pem")
        first = Server("127.0.0.1", 0, context)
        self.servers = [first, Server("127.0.0.2", first.server_address[1], context)]
        for server in self.servers:
            self.addCleanup(server.end)
        with open(f"{self.dir}/hosts.zone", "w") as file:
            file.write(ZONE)
        self.write("names", {"dns": {"zone": "other.test", "records": [f"{self.dir}/hosts.zone"]}})
        _, self.names_port = self.start("names")
        self.write_services(["127.0.0.1", "second.hosts.test"])
        self.dns, self.port = self.start("dns")

    def start(self, name):
        """The program, and the port that it listens on."""
        program = Program(self.dir, name, [FAIRLEAD, "dns", "-c", f"{self.dir}/{name}.yaml"]).start()
        self.addCleanup(program.end, signal.SIGTERM)
        return program, wait_for(program.tail, lambda: re.search(r'listening.*?127\.0\.0\.1:(\d+)', program.log()))[1]

    def write(self, name, settings):
        dns = {"listen": ["127.0.0.1:0"], "http": "127.0.0.1:0", **settings.pop("dns", {})}
        with open(f"{self.dir}/{name}.yaml", "w") as file:
            json.dump({"state_dir": f"{self.dir}/{name}-state", "node": {"name": "host1"}, "lb": {"agents": []}, "dns": dns, **settings}, file)

    def write_services(self, hosts):
        port = self.servers[0].server_address[1]
        service = {"project": "legacy", "tls": {"verify": False}, "endpoints": [{"address": f"{host}:{port}"} for host in hosts],
                   "health_check": {"http": "/healthz", "host": "shop.example", "interval": "100ms", "timeout": "10s", "rise": 1, "fall": 1}}
        self.write("dns", {"services": {"shop": service} if hosts else {}, "resolver": {"nameservers": [f"127.0.0.1:{self.names_port}"]}})

    def addresses(self):
        said = subprocess.run(["dig", "+short", "@127.0.0.1", "-p", self.port, NAME], capture_output=True, text=True, timeout=PATIENCE_S)
        return sorted(said.stdout.split())

    def wait_addresses(self, wanted):
        wait_for(lambda: f"{NAME} is {wanted}, but {self.addresses()}\n{self.dns.tail()}", lambda: self.addresses() == wanted)

    def test_have_who_passes_the_check_and_what_the_file_says(self):
        first, second = self.servers
        self.wait_addresses(["127.0.0.1", "127.0.0.2"])
        self.assertEqual(set(first.asked), {("/healthz", "shop.example")})
        second.well = False
        self.wait_addresses(["127.0.0.1"])
        second.well = True
        self.wait_addresses(["127.0.0.1", "127.0.0.2"])
        self.write_services(["127.0.0.1"])
        self.dns.process.send_signal(signal.SIGHUP)
        self.wait_addresses(["127.0.0.1"])
        self.write_services([])
        self.dns.process.send_signal(signal.SIGHUP)
        self.wait_addresses([])


if __name__ == "__main__":
    main()
