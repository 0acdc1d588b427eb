#!/usr/bin/env python3
"""The resolvers that people really have, at `fairlead dns`: glibc's and musl's getaddrinfo, c-ares, dig and kdig. In a network and
mount namespace of their own, with a resolv.conf that names the server; needs root, and the compilers of tools/packages.txt."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
from balancer import PATIENCE_S, main, wait_for  # noqa: E402
from lab import FAIRLEAD, Program  # noqa: E402

RECORDS = """
four A 192.0.2.1
both A 192.0.2.2
both AAAA 2001:db8::2
six AAAA 2001:db8::6
_http._tcp.site SRV 0 3 8080 four
*.wild A 192.0.2.3
alias CNAME both
""" + "".join(f"many A 198.51.100.{i}\n" for i in range(1, 101))

# Prints the addresses, sorted, or the error's name; for each name given.
GETADDRINFO = r"""
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    struct addrinfo hints, *list, *at;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    int error = getaddrinfo(argv[i], NULL, &hints, &list);
    printf("%s", argv[i]);
    if (error) printf(" %s", error == EAI_NONAME ? "NONAME" : error == EAI_AGAIN ? "AGAIN" : gai_strerror(error));
    for (at = error ? NULL : list; at; at = at->ai_next) {
      char text[64];
      void *ip = at->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)at->ai_addr)->sin_addr
                                          : (void *)&((struct sockaddr_in6 *)at->ai_addr)->sin6_addr;
      printf(" %s", inet_ntop(at->ai_family, ip, text, sizeof text));
    }
    printf("\n");
  }
  return 0;
}
"""

CARES = r"""
#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/select.h>
static void on_addresses(void *name, int status, int timeouts, struct ares_addrinfo *list) {
  (void)timeouts;
  printf("%s", (char *)name);
  if (status != ARES_SUCCESS) printf(" %s", status == ARES_ENOTFOUND ? "NONAME" : status == ARES_ENODATA ? "NODATA" : ares_strerror(status));
  for (struct ares_addrinfo_node *at = list ? list->nodes : NULL; at; at = at->ai_next) {
    char text[64];
    void *ip = at->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)at->ai_addr)->sin_addr
                                        : (void *)&((struct sockaddr_in6 *)at->ai_addr)->sin6_addr;
    printf(" %s", inet_ntop(at->ai_family, ip, text, sizeof text));
  }
  printf("\n");
  if (list) ares_freeaddrinfo(list);
}
static void on_srv(void *name, int status, int timeouts, unsigned char *answer, int bytes) {
  (void)timeouts;
  struct ares_srv_reply *srv = NULL;
  if (status == ARES_SUCCESS) status = ares_parse_srv_reply(answer, bytes, &srv);
  if (status == ARES_SUCCESS) printf("%s %d %d %s\n", (char *)name, srv->weight, srv->port, srv->host);
  else printf("%s %s\n", (char *)name, ares_strerror(status));
}
int main(int argc, char **argv) {
  ares_channel channel;
  ares_library_init(ARES_LIB_INIT_ALL);
  if (ares_init(&channel) != ARES_SUCCESS) return 1;
  struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '_') ares_query(channel, argv[i], ns_c_in, ns_t_srv, on_srv, argv[i]);
    else ares_getaddrinfo(channel, argv[i], NULL, &hints, on_addresses, argv[i]);
  }
  for (;;) {
    fd_set in, out;
    struct timeval wait, *patience;
    FD_ZERO(&in); FD_ZERO(&out);
    int n = ares_fds(channel, &in, &out);
    if (n == 0) break;
    patience = ares_timeout(channel, NULL, &wait);
    select(n, &in, &out, NULL, patience);
    ares_process(channel, &in, &out);
  }
  ares_destroy(channel);
  return 0;
}
"""


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="fairlead-peers-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        os.chmod(cls.dir, 0o755)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with open(f"{cls.dir}/resolv.conf", "w") as file:
            file.write("nameserver 127.0.0.1\nsearch fl.internal\noptions timeout:3 attempts:1\n")
        with open(f"{cls.dir}/nsswitch.conf", "w") as file:
            file.write("hosts: dns\n")
        for name in ("resolv.conf", "nsswitch.conf"):
            subprocess.run(["mount", "--bind", f"{cls.dir}/{name}", f"/etc/{name}"], check=True)
        with open(f"{cls.dir}/records.zone", "w") as file:
            file.write(RECORDS)
        with open(f"{cls.dir}/fairlead.yaml", "w") as file:
            file.write(json.dumps({"state_dir": f"{cls.dir}/state", "node": {"name": "host1"}, "lb": {"agents": []},
                                   "dns": {"listen": ["127.0.0.1:53"], "http": "127.0.0.1:0", "records": [f"{cls.dir}/records.zone"]}}))
        cls.server = Program(cls.dir, "dns", [FAIRLEAD, "dns", "-c", f"{cls.dir}/fairlead.yaml"]).start()
        cls.addClassCleanup(cls.server.end, signal.SIGTERM)
        wait_for(cls.server.tail, lambda: "listening" in cls.server.log())

    def compiled(self, compiler, text, *options):
        if shutil.which(compiler) is None:
            self.skipTest(f"{compiler} is not installed")
        source, program = f"{self.dir}/{compiler}.c", f"{self.dir}/{compiler}-{'-'.join(options)}.out"
        with open(source, "w") as file:
            file.write(text)
        subprocess.run([compiler, "-O1", "-o", program, source, *options], check=True, timeout=PATIENCE_S)
        return program

    def look_up(self, program, *names):
        said = subprocess.run([program, *names], capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout
        return {words[0]: sorted(words[1:]) for words in map(str.split, said.splitlines())}

    def check_getaddrinfo(self, program):
        got = self.look_up(program, "four.fl.internal", "both.fl.internal", "six.fl.internal", "a.b.wild.fl.internal",
                           "alias.fl.internal", "nobody.fl.internal", "four", "FOUR.fl.INTERNAL")
        self.assertEqual(got["four.fl.internal"], ["192.0.2.1"])  # NODATA for AAAA must not hide it
        self.assertEqual(got["both.fl.internal"], ["192.0.2.2", "2001:db8::2"])
        self.assertEqual(got["six.fl.internal"], ["2001:db8::6"])
        self.assertEqual(got["a.b.wild.fl.internal"], ["192.0.2.3"])
        self.assertEqual(got["alias.fl.internal"], ["192.0.2.2", "2001:db8::2"])
        self.assertEqual(got["nobody.fl.internal"], ["NONAME"])
        self.assertEqual(got["four"], ["192.0.2.1"])  # by the search list
        self.assertEqual(got["FOUR.fl.INTERNAL"], ["192.0.2.1"])

    def test_glibc(self):
        program = self.compiled("gcc", GETADDRINFO)
        self.check_getaddrinfo(program)
        self.assertEqual(len(self.look_up(program, "many.fl.internal")["many.fl.internal"]), 100)  # over TCP

    def test_musl(self):
        program = self.compiled("musl-gcc", GETADDRINFO, "-static")
        self.check_getaddrinfo(program)
        # Debian's musl asks no TCP: it makes do with what was not cut off.
        self.assertGreaterEqual(len(self.look_up(program, "many.fl.internal")["many.fl.internal"]), 20)

    def test_c_ares(self):
        program = self.compiled("gcc", CARES, "-lcares")
        self.check_getaddrinfo(program)
        self.assertEqual(len(self.look_up(program, "many.fl.internal")["many.fl.internal"]), 100)
        self.assertEqual(self.look_up(program, "_http._tcp.site.fl.internal")["_http._tcp.site.fl.internal"],
                         sorted(["3", "8080", "four.fl.internal"]))

    def test_dig_and_kdig(self):
        for dig in ("dig", "kdig"):
            if shutil.which(dig) is None:
                continue
            run = lambda *more: subprocess.run([dig, "@127.0.0.1", *more], capture_output=True, text=True, timeout=PATIENCE_S).stdout
            for transport in ("+notcp", "+tcp"):
                self.assertIn("192.0.2.1", run("four.fl.internal", transport))
                self.assertIn("NXDOMAIN", run("nobody.fl.internal", transport))
            self.assertEqual(len(re.findall(r"198\.51\.100\.", run("many.fl.internal"))), 100)
            self.assertIn("COOKIE" if dig == "kdig" else "COOKIE: ", run("four.fl.internal", "+cookie").upper())
            self.assertIn("SERVER" if dig == "dig" else "FROM", run("four.fl.internal", "+nocookie").upper())


if __name__ == "__main__":
    if os.environ.get("FAIRLEAD_DNS_CLIENTS") != "inside":
        if os.getuid() != 0:
            print("needs root: skipped", file=sys.stderr)
            sys.exit(0)
        os.environ["FAIRLEAD_DNS_CLIENTS"] = "inside"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--", sys.executable, *sys.argv])
    main()
