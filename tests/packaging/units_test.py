#!/usr/bin/env python3
"""The systemd units: systemd itself reads them (no running systemd is needed), and what they promise holds.

Needs Debian's systemd (systemd-analyze, systemd-sysusers, systemd-tmpfiles); systemd-tmpfiles needs root.
"""
import os
import re
import stat
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGING = os.path.join(ROOT, "packaging")
UNITS = os.path.join(PACKAGING, "systemd")
UNPRIVILEGED = ["fairlead-dns.service", "fairlead-lb.service"]
# Settings of unit A by which systemd starts, stops or fails A together with B.
BINDING = ["Requires", "Requisite", "BindsTo", "PartOf", "RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "Upholds",
           "PropagatesStopTo", "StopPropagatedFrom", "OnFailure", "Conflicts"]


def read(name):
    with open(os.path.join(UNITS, name), encoding="utf-8") as f:
        return f.read()


def settings(name):
    """Key -> list of values, in the order of the file."""
    found = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", read(name), flags=re.M):
        found.setdefault(key, []).append(value)
    return found


def words(name, key):
    return " ".join(settings(name).get(key, [])).split()


def unit_names():
    return sorted(n for n in os.listdir(UNITS) if n.endswith((".service", ".socket")))


def verify(texts):
    """What systemd-analyze says of the units {name: text}. Their program is replaced by one that exists here."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in texts.items():
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "w", encoding="utf-8") as f:
                f.write(re.sub(r"/usr/bin/fairlead[-\w]*", "/bin/true", text))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", *paths],
                              env={**os.environ, "SYSTEMD_UNIT_PATH": folder + ":"}, capture_output=True, text=True)
        return done.stdout + done.stderr + (f"exit status {done.returncode}" if done.returncode else "")


def call_groups():
    """Group -> calls and groups in it, as this systemd knows them."""
    groups, group = {}, None
    for line in subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True).stdout.split("\n"):
        if line.startswith("@"):
            group = groups.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            group.append(line.strip())
    return groups


def allowed_calls(name):
    groups = call_groups()

    def expand(word):
        return set().union(*map(expand, groups[word])) if word.startswith("@") else {word}

    allowed = set()
    for value in settings(name)["SystemCallFilter"]:
        calls = set().union(*map(expand, value.lstrip("~").split()))
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


class Units(unittest.TestCase):
    def test_systemd_reads_every_unit_without_a_word(self):
        self.assertEqual("", verify({name: read(name) for name in unit_names()}))

    def test_systemd_would_tell_of_a_misspelt_setting(self):
        text = read("fairlead-lb.service").replace("Restart=always", "Restrat=always")
        self.assertIn("Restrat", verify({"fairlead-lb.service": text}))

    def test_neither_docker_nor_the_agent_needs_the_other(self):
        for name in unit_names():
            for key in BINDING:
                with self.subTest(unit=name, setting=key):
                    self.assertNotIn("docker", " ".join(words(name, key)))
        for folder, _, files in os.walk(PACKAGING):
            self.assertNotIn("docker.service", os.path.basename(folder) + " ".join(files), "no drop-in for dockerd")

    def test_the_agent_is_there_before_dockerd(self):
        self.assertIn("docker.service", words("fairlead-agent.service", "Before"))
        self.assertNotIn("docker", " ".join(words("fairlead-agent.service", "After")))

    def test_the_agent_gets_the_socket_where_dockerd_looks_for_it(self):
        with open(os.path.join(ROOT, "app", "config.h"), encoding="utf-8") as f:
            defaults = dict(re.findall(r'std::string (plugin_\w+) = "([^"]+)"', f.read()))
        self.assertEqual([f"{defaults['plugin_dir']}/{defaults['plugin_name']}.sock"], words("fairlead.socket", "ListenStream"))
        self.assertEqual(["fairlead-agent.service"], words("fairlead.socket", "Service"))
        self.assertEqual(["fairlead.socket"], words("fairlead-agent.service", "Sockets"))

    def test_the_authorization_plugin_gets_the_socket_that_install_names(self):
        with open(os.path.join(ROOT, "app", "config.h"), encoding="utf-8") as f:
            defaults = dict(re.findall(r'std::string (plugin_\w+) = "([^"]+)"', f.read()))
        path = f"{defaults['plugin_dir']}/{defaults['plugin_name']}-authz.sock"
        self.assertEqual([path], words("fairlead-authz.socket", "ListenStream"))
        self.assertEqual(["0600"], words("fairlead-authz.socket", "SocketMode"))
        self.assertEqual(["fairlead-authz.service"], words("fairlead-authz.socket", "Service"))
        self.assertEqual(["fairlead-authz.socket"], words("fairlead-authz.service", "Sockets"))

    def test_the_authorization_plugins_socket_stays_however_often_the_plugin_ends(self):
        self.assertEqual([], words("fairlead-authz.socket", "RemoveOnStop"))
        self.assertEqual(["0"], words("fairlead-authz.socket", "TriggerLimitIntervalSec"))
        self.assertEqual(["1ms"], words("fairlead-authz.service", "RestartSec"))

    def test_the_authorization_plugin_can_do_nothing_but_speak_over_unix_sockets(self):
        self.assertEqual([""], settings("fairlead-authz.service")["CapabilityBoundingSet"])
        self.assertEqual(["AF_UNIX"], words("fairlead-authz.service", "RestrictAddressFamilies"))
        self.assertEqual(["strict"], words("fairlead-authz.service", "ProtectSystem"))
        self.assertEqual(["yes"], words("fairlead-authz.service", "NoNewPrivileges"))
        allowed = allowed_calls("fairlead-authz.service")
        self.assertLessEqual({"accept4", "connect", "recvfrom", "sendto", "poll", "ppoll", "clone3", "futex", "prctl"}, allowed)
        self.assertFalse({"setresuid", "mount", "ptrace", "bpf", "setrlimit"} & allowed)

    def test_every_program_is_watched_and_started_again_for_ever(self):
        for name in unit_names():
            if name.endswith(".service"):
                with self.subTest(unit=name):
                    self.assertEqual(["notify"], words(name, "Type"))
                    self.assertEqual(["always"], words(name, "Restart"))
                    self.assertEqual(["0"], words(name, "StartLimitIntervalSec"))
                    self.assertRegex(words(name, "WatchdogSec")[0], r"^\d+s$")

    def test_what_parses_the_network_has_one_right(self):
        for name in UNPRIVILEGED:
            with self.subTest(unit=name):
                self.assertEqual(["fairlead"], words(name, "User"))
                self.assertEqual(["CAP_NET_BIND_SERVICE"], words(name, "CapabilityBoundingSet"))
                self.assertEqual(["CAP_NET_BIND_SERVICE"], words(name, "AmbientCapabilities"))
                self.assertEqual(["yes"], words(name, "NoNewPrivileges"))
                self.assertEqual(["strict"], words(name, "ProtectSystem"))
                self.assertNotIn("AF_NETLINK", words(name, "RestrictAddressFamilies"))

    def test_the_filter_lets_io_uring_through_and_changes_of_identity_not(self):
        for name in UNPRIVILEGED:
            with self.subTest(unit=name):
                allowed = allowed_calls(name)
                self.assertLessEqual({"io_uring_setup", "io_uring_enter", "io_uring_register", "recvmmsg"}, allowed)
                self.assertFalse({"setresuid", "capset", "mount", "ptrace", "bpf", "init_module"} & allowed)

    def test_no_two_units_share_a_folder_that_ends_with_one_of_them(self):
        folders = [f for name in unit_names() for f in words(name, "RuntimeDirectory")]
        self.assertEqual(len(set(folders)), len(folders))
        self.assertNotIn("fairlead", folders, "/run/fairlead has the agent's sockets: tmpfiles.d makes it")

    def test_systemd_makes_the_user(self):
        done = subprocess.run(["systemd-sysusers", "--dry-run", os.path.join(PACKAGING, "sysusers.d", "fairlead.conf")],
                              capture_output=True, text=True)
        self.assertEqual((0, ""), (done.returncode, done.stdout), done.stderr)
        with open(os.path.join(PACKAGING, "sysusers.d", "fairlead.conf"), encoding="utf-8") as f:
            made = re.findall(r"^u (\S+) ", f.read(), flags=re.M)
        self.assertEqual([words(name, "User") for name in UNPRIVILEGED], [made] * len(UNPRIVILEGED))

    def test_systemd_makes_a_folder_of_roots_own_and_the_way_to_the_balancers_socket(self):
        with tempfile.TemporaryDirectory() as root:
            done = subprocess.run(["systemd-tmpfiles", "--create", f"--root={root}",
                                   os.path.join(PACKAGING, "tmpfiles.d", "fairlead.conf")], capture_output=True, text=True)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            self.assertEqual(0o755, stat.S_IMODE(os.stat(f"{root}/run/fairlead").st_mode))
            socket = os.readlink(f"{root}/run/fairlead/lb.sock")
            self.assertEqual([f"FAIRLEAD_LB_ADMIN_SOCKET={socket}"], words("fairlead-lb.service", "Environment"))
            self.assertEqual(words("fairlead-lb.service", "RuntimeDirectory"), [os.path.basename(os.path.dirname(socket))])


if __name__ == "__main__":
    unittest.main()
