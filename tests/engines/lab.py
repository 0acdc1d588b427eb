"""A host of its own for a test file: containerd, dockerd, Fairlead and containers, in network, mount and pid namespaces
of their own. It neither sees nor touches the machine's own Docker, bridges or ports, and nothing of it is left, however
the test ends: what runs ends with the pid namespace, mounts and interfaces with theirs, the folder by the process
outside. Ports need no search: in this network namespace nobody else has any.

Needs root, dockerd (Debian's docker.io), busybox-static, dig. The programs are those of build/release/bin, or of
FAIRLEAD_BIN. FAIRLEAD_ENGINE_ROUNDS repeats what is random; FAIRLEAD_LAB_KEEP=1 keeps the folder with the logs.
"""
import collections
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.abspath(os.environ.get("FAIRLEAD_BIN", f"{HERE}/../../build/release/bin"))
FAIRLEAD = f"{BIN}/fairlead"
DOCKER = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
ROUNDS = int(os.environ.get("FAIRLEAD_ENGINE_ROUNDS", "1"))
PATIENCE_S = int(os.environ.get("FAIRLEAD_PATIENCE_S", "60"))  # for a condition on a loaded machine

NETWORK, SUBNET, GATEWAY, RANGE = "demo", "10.213.40.0/24", "10.213.40.1", "10.213.40.10-10.213.40.199"
NODE, NODE_ADDRESS = "lab", "198.51.100.10"
DNS_ADDRESS = "169.254.53.53"
HOST = "web.demo.example"
LB_PORT = 8080


def wait_for(what, condition, seconds=PATIENCE_S):
    """The first true value of `condition`; `what` may be a function that says what was seen instead."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)


class Program:
    """A process with a log. It may be started again after its end; the log goes on."""

    def __init__(self, folder, name, argv, environment=None):
        self.name, self.argv, self.log_path = name, argv, f"{folder}/{name}.log"
        self.environment = {**os.environ, **(environment or {})}
        self.process = None

    def start(self, **popen):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=self.environment, **popen)
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def end(self, how=signal.SIGTERM):
        if self.running():
            self.process.send_signal(how)
        if self.process is not None:
            return self.process.wait(PATIENCE_S)
        return None

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def says(self, *words):
        return any(all(word in line for word in words) for line in self.log().splitlines())

    def tail(self, lines=25):
        return f"--- {self.name}\n" + "\n".join(self.log().splitlines()[-lines:]) if self.process else ""


def child_of(pid, word):
    """The pid of a child with this word in its command line, or None."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            pids = [int(child) for child in children.read().split()]
    except FileNotFoundError:
        return None
    for child in pids:
        try:
            with open(f"/proc/{child}/cmdline") as command:
                if word in command.read().split("\0"):
                    return child
        except FileNotFoundError:
            pass
    return None


class Lab:
    """`docker0`: dockerd has its own bridge, too."""

    def __init__(self, docker0=False, dockerd_options=()):
        self.dir = tempfile.mkdtemp(dir=os.environ["FAIRLEAD_LAB_DIR"])
        os.chmod(self.dir, 0o755)  # name server and balancer run as another user
        self.docker_socket = f"{self.dir}/docker.sock"
        self.containerd = Program(self.dir, "containerd", [
            "containerd", "--config", "/dev/null", "--root", f"{self.dir}/containerd", "--state",
            f"{self.dir}/containerd-state", "--address", f"{self.dir}/containerd.sock"])
        self.write_json("daemon.json", {})
        self.dockerd = Program(self.dir, "dockerd", [
            "dockerd", "--config-file", f"{self.dir}/daemon.json", "--containerd", f"{self.dir}/containerd.sock",
            "--data-root", f"{self.dir}/docker", "--exec-root", f"{self.dir}/docker-exec", "--pidfile",
            f"{self.dir}/dockerd.pid", "-H", f"unix://{self.docker_socket}", "--iptables=false", "--ip-forward=false",
            "--ip-masq=false", "--exec-opt", "native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{os.path.basename(os.environ['FAIRLEAD_LAB_DIR'])}",
            *(["--bip", "10.213.80.1/24"] if docker0 else ["--bridge=none"]), *dockerd_options])
        self.up = None
        self.programs = {}  # of Fairlead, where they run one by one

    # --- files

    def write(self, name, text):
        with open(f"{self.dir}/{name}", "w") as file:
            file.write(text)
        return f"{self.dir}/{name}"

    def write_json(self, name, value):
        return self.write(name, json.dumps(value, indent=1))

    # --- engine

    def start_containerd(self):
        self.containerd.start()
        self.wait_for("containerd", lambda: os.path.exists(f"{self.dir}/containerd.sock"))

    def start_dockerd(self):
        self.dockerd.start()
        self.wait_for("dockerd answers", lambda: not self.docker("version", check=False).returncode or self.ended(self.dockerd))

    def start_engine(self):
        self.start_containerd()
        self.start_dockerd()
        self.import_image()

    def ended(self, program):
        if program.running():
            return False
        raise AssertionError(f"{program.name} ended\n{program.tail()}")

    def import_image(self):
        """busybox, and place for the machine's /usr: with it, containers have a Python for backend.py."""
        root = f"{self.dir}/image"
        for folder in ("bin", "usr", "tmp", "etc", "srv"):
            os.makedirs(f"{root}/{folder}")
        shutil.copy("/bin/busybox", f"{root}/bin/busybox")
        for applet in ("sh", "sleep", "ip", "true", "nslookup", "wget", "touch", "rm", "test", "tail"):
            os.symlink("busybox", f"{root}/bin/{applet}")
        for link in ("lib", "lib64"):
            os.symlink(f"usr/{link}", f"{root}/{link}")
        tar = subprocess.run(["tar", "-C", root, "-c", "."], capture_output=True, check=True).stdout
        self.docker("import", "-", "lab", stdin=tar)

    def docker(self, *arguments, check=True, stdin=b""):
        done = subprocess.run([DOCKER, "-H", f"unix://{self.docker_socket}", *arguments], input=stdin,
                              capture_output=True, env={**os.environ, "DOCKER_CONFIG": self.dir})
        done.stdout, done.stderr = done.stdout.decode().strip(), done.stderr.decode().strip()
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr}\n{self.tails()}")
        return done

    def docker_async(self, *arguments):
        return subprocess.Popen([DOCKER, "-H", f"unix://{self.docker_socket}", *arguments], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, env={**os.environ, "DOCKER_CONFIG": self.dir})

    def compose(self, file, *arguments):
        """docker-compose 1.29 of Debian, as project `shop`."""
        done = subprocess.run(["docker-compose", "-p", "shop", "-f", file, *arguments], capture_output=True, text=True,
                              env={**os.environ, "DOCKER_HOST": f"unix://{self.docker_socket}", "DOCKER_CONFIG": self.dir})
        if done.returncode:
            raise AssertionError(f"docker-compose {' '.join(arguments)}: {done.stderr}\n{self.tails()}")

    def authorize(self):
        """Names our authorization plugin to dockerd, also over its restarts."""
        subprocess.run([FAIRLEAD, "install", "docker", "--authz", "-c", f"{self.dir}/fairlead.yaml", "--daemon-json",
                        f"{self.dir}/daemon.json", "--pid-file", f"{self.dir}/dockerd.pid"], check=True, capture_output=True)

    def sleeper(self, name, *options, network=NETWORK):
        """Arguments of `docker run` or `create` for a container that only is there."""
        return ["--name", name, "--network", network, "--stop-timeout", "0", *options, "lab", "sleep", "86400"]

    def server(self, name, *options, network=NETWORK, service="web", port=80):
        """Arguments for one that serves."""
        labels = {"service": service, "project": "demo", "port": port, "host": HOST}
        return ["--name", name, "--network", network, "--stop-timeout", "0",
                *([] if network == "host" else ["--hostname", name]),
                *(part for key, value in labels.items() for part in ("--label", f"fairlead.{key}={value}")),
                "-v", "/usr:/usr:ro", "-v", f"{HERE}:/srv:ro", "--dns", DNS_ADDRESS, *options,
                "lab", "/usr/bin/python3", "-SE", "/srv/backend.py", str(port)]

    def run_sleeper(self, name, *options, **more):
        self.docker("run", "-d", *self.sleeper(name, *options, **more))
        return self.address(name)

    def run_server(self, name, *options, **more):
        self.docker("run", "-d", *self.server(name, *options, **more))
        return self.address(name, more.get("network", NETWORK))

    def inspect(self, name):
        return json.loads(self.docker("inspect", name).stdout)[0]

    def address(self, name, network=NETWORK):
        at = self.inspect(name)["NetworkSettings"]["Networks"].get(network)
        return at["IPAddress"] if at else ""

    def names(self, *options):
        return self.docker("ps", "--format", "{{.Names}}", *options).stdout.split()

    def remove_containers(self):
        ids = self.docker("ps", "-aq").stdout.split()
        if ids:
            self.docker("rm", "-f", *ids)

    # --- Fairlead

    def config(self, **changes):
        config = {
            "node": {"name": NODE},
            "state_dir": f"{self.dir}/state",
            "api": {"socket": f"{self.dir}/run/api.sock"},
            "discovery": {"socket": f"{self.dir}/run/discovery.sock"},
            "engines": {"docker": {"socket": self.docker_socket}},
            "pools": [{"name": "demo", "project": "demo",
                       "prefixes": [{"cidr": SUBNET, "gateway": GATEWAY, "ranges": [RANGE]}]}],
            "networks": [{"name": NETWORK, "pool": "demo", "bridge": "fl-lab"}],
            "lb": {"agents": [f"unix:{self.dir}/run/discovery.sock"], "admin_socket": f"{self.dir}/run/lb.sock"},
            "listeners": [{"name": "web", "bind": f"127.0.0.1:{LB_PORT}"}],
        }
        config.update(changes)
        return self.write_json("fairlead.yaml", config)  # JSON is YAML

    def start_fairlead(self, **changes):
        """All programs under `fairlead up`, ready."""
        self.up = Program(self.dir, "up", [FAIRLEAD, "up", "-c", self.config(**changes)]).start()
        self.wait_ready()

    def start_program(self, name, **popen):
        """One program as an own process; the configuration is written before."""
        program = self.programs.setdefault(
            name, Program(self.dir, name, [FAIRLEAD, name, "-c", f"{self.dir}/fairlead.yaml"]))
        return program.start(**popen)

    def start_programs(self, **changes):
        """Agent, name server and balancer each on its own, without `up`."""
        self.config(**changes)
        for name in ("agent", "dns", "lb"):
            self.start_program(name)
        for port in (7853, 7854, 7855):
            self.wait_ready(port)

    def readyz(self, port=7853):
        try:
            return http_get(port, "/readyz")
        except OSError as error:
            return 0, str(error)

    def wait_ready(self, port=7853):
        self.wait_for(lambda: f"ready: {self.readyz(port)}", lambda: self.readyz(port)[0] == 200)
        self.wait_for("the network is there", lambda: not self.docker("network", "inspect", NETWORK, check=False).returncode)

    def child(self, name):
        """The pid of a program under `up`."""
        return child_of(self.up.pid, name)

    def kill_agent(self):
        """kill -9; `up` starts it again."""
        before = self.child("agent")
        os.kill(before, signal.SIGKILL)
        self.wait_for("the agent is started again", lambda: self.child("agent") not in (None, before))
        self.wait_ready()

    # --- what users see

    def dig(self, name, kind="A", server="127.0.0.1", port=5300):
        done = subprocess.run(["dig", "+short", "+time=2", "+tries=1", f"@{server}", "-p", str(port), name, kind],
                              capture_output=True, text=True)
        return sorted(line for line in done.stdout.split("\n") if line and not line.startswith(";"))

    def name_of(self, address):
        """The container that a leased address belongs to, as the reverse zone says."""
        reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
        names = self.dig(reverse, "PTR")
        return names[0].split(".")[0] if names else ""

    def address_of(self, name):
        """The addresses of a container, as its name says."""
        return self.dig(f"{name}.{NODE}.ct.fl.internal")

    def get(self, path="/", host=HOST, port=LB_PORT):
        """Status and body of a request to the balancer; the body of backend.py as a dictionary."""
        status, body = http_get(port, path, host)
        return status, json.loads(body) if body.startswith("{") else body

    def serving(self, requests):
        """Names that answer so many requests; of failed ones the status."""
        answers = collections.Counter()
        for _ in range(requests):
            try:
                status, body = self.get()
            except OSError as error:
                status, body = 0, str(error)
            answers[body["name"] if status == 200 else f"status {status}: {body}"] += 1
        return set(answers)

    def wait_serving(self, names):
        wanted = set(names)
        seen = set()

        def look():
            nonlocal seen
            seen = self.serving(3 * len(wanted))
            return seen == wanted
        self.wait_for(lambda: f"{sorted(wanted)} serve, but {sorted(seen)}", look)

    def wait_dns(self, name, addresses):
        wanted = sorted(addresses)
        self.wait_for(lambda: f"{name} has {wanted}, but {self.dig(name)}", lambda: self.dig(name) == wanted)

    def services(self):
        """What the balancer knows, by SERVICE.PROJECT: the endpoints' names, and their addresses."""
        connection = UnixConnection(f"{self.dir}/run/lb.sock")
        connection.request("GET", "/v1/services")
        services = json.loads(connection.getresponse().read())
        connection.close()
        return {service["name"]: {e["name"]: e["address"] for e in service["endpoints"]} for service in services}

    # --- care

    def wait_for(self, what, condition):
        try:
            return wait_for(what, condition)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.tails()}") from None

    def tails(self):
        return "\n".join(program.tail() for program in (self.dockerd, self.up, *self.programs.values()) if program)

    def stop_fairlead(self):
        for program in (self.up, *self.programs.values()):
            if program:
                program.end()
        self.up, self.programs = None, {}

    def close(self):
        if self.dockerd.running():
            self.docker("rm", "-f", *self.docker("ps", "-aq", check=False).stdout.split(), check=False)
            self.docker("network", "rm", NETWORK, check=False)
        self.stop_fairlead()
        self.dockerd.end()
        self.containerd.end()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        import socket
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def http_get(port, path, host="localhost", timeout=10):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except http.client.HTTPException as error:
        raise ConnectionError(repr(error)) from None
    finally:
        connection.close()


class LabTest(unittest.TestCase):
    """Tests of one class share a lab: containers go after each test, leases stay."""
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(**cls.options)
        cls.addClassCleanup(cls.lab.close)
        cls.prepare()

    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.lab.start_fairlead()

    def tearDown(self):
        self.lab.remove_containers()


def inside(run):
    """First in the new namespaces: private folders, loopback, and an address that is the node's."""
    for folder in ("/run/docker", "/run/containerd"):
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    for command in ("link set lo up", "link add up0 type veth peer name up1", f"addr add {NODE_ADDRESS}/24 dev up0",
                    "link set up0 up", "link set up1 up"):
        subprocess.run(["ip", *command.split()], check=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    run()


def outside():
    if os.geteuid() != 0:
        sys.exit("the engine tests make namespaces and start dockerd: run them as root")
    folder = tempfile.mkdtemp(prefix="fairlead-lab-")
    os.chmod(folder, 0o755)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    # The shell is the first process in there: it reaps what a killed dockerd leaves, and with it everything ends.
    child = subprocess.Popen(
        ["unshare", "-m", "-n", "-p", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
         "/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, *sys.argv],
        env={**os.environ, "FAIRLEAD_LAB_DIR": folder})
    code = 1
    try:
        code = child.wait()
    except KeyboardInterrupt:
        pass
    finally:
        child.kill()
        child.wait()
        remove_cgroups(os.path.basename(folder))
        if os.environ.get("FAIRLEAD_LAB_KEEP"):
            print("kept:", folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def remove_cgroups(name):
    found = subprocess.run(["find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", f"*/{name}*"],
                           capture_output=True, text=True).stdout.split("\n")

    def removed(path):
        try:
            os.rmdir(path)
        except OSError as error:
            return isinstance(error, FileNotFoundError)  # else: its processes are just ending
        return True
    for path in filter(None, found):
        wait_for(f"{path} is empty", lambda: removed(path))


def main(run=lambda: unittest.main(module="__main__", verbosity=2)):
    """`run` in the new namespaces; the tests of the main module, unless something else is named."""
    if os.environ.get("FAIRLEAD_LAB_DIR"):
        inside(run)
    else:
        outside()
