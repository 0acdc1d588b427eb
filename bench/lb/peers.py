"""Peers under test.

A peer has five ports on 127.0.0.1: P0 HTTP/1.1, P1 L4 passthrough, P2 L4 bulk, P3 TLS (h2 + HTTP/1.1), P4 HTTP/2 clear text.
It forwards P0, P1, P3 and P4 round robin to the responders B0 and B1, and P2 to the bulk source BULK.
Keys of an entry: cmd (one command line) or cmds (several); template (a file under peers/, filled in and passed as @CONF@);
vars (extra substitutions); listeners (template lines of a workload class; those of `does` become @LISTENERS@); env (extra environment); does (workload classes: http l4 bulk tls h2);
ports (indexes to wait for at start, default [0]); direct (no load balancer).
Substitutions: @P0@..@P4@ @B0@ @B1@ @BULK@ @RUN@ @NAME@ @CONF@ @CERT@ @MAXCONN@ @NOFILE@ @WORKERCONN@ @USER@.
More peers come from a JSON file of the same shape: --peers-file FILE.
"""
import os, re, shutil, subprocess

def binary(variable, name):
    """The program named by an environment variable, else found in PATH (or the sbin directories)."""
    want = os.environ.get(variable, name)
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/local/sbin" + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
    return shutil.which(want, path=path) or want

def haproxy(variable, name="haproxy", splice="", extra=""):
    return dict(template="haproxy.cfg", cmd=[binary(variable, name), "-db", "-f", "@CONF@"],
                vars=dict(SPLICE=splice, GLOBAL=extra), does="http l4 bulk tls h2")

def nginx_stream():
    """The load_module line, when this nginx has its stream module as a shared object."""
    try: v = subprocess.run([binary("LB_NGINX", "nginx"), "-V"], capture_output=True, text=True).stderr
    except OSError: return ""
    d = re.search(r"--modules-path=(\S+)", v)
    return f"load_module {d[1]}/ngx_stream_module.so;" if d and "--with-stream=dynamic" in v else ""

# What Fairlead is measured in, and the listeners for it.
FAIRLEAD_DOES = "http l4 bulk tls"
FAIRLEAD_LISTENERS = {
    "l4": '  - {name: l4, bind: "127.0.0.1:@P1@", protocol: tcp, service: responder_tcp}',
    "bulk": '  - {name: bulk, bind: "127.0.0.1:@P2@", protocol: tcp, service: source}',
    "tls": '  - {name: tls, bind: "127.0.0.1:@P3@", protocol: https, tls: {certificates: [{cert: @RUN@/c.pem, key: @RUN@/k.pem}]}}',
}

def fairlead(io):
    """The balancer of this tree (LB_FAIRLEAD, else build/release/bin/fairlead)."""
    here = os.path.dirname(os.path.abspath(__file__))
    program = os.environ.get("LB_FAIRLEAD", os.path.join(here, "..", "..", "build", "release", "bin", "fairlead"))
    return dict(template="fairlead.yaml", cmd=[os.path.abspath(program), "lb", "-c", "@CONF@"],
                vars=dict(IO=io), listeners=FAIRLEAD_LISTENERS, does=os.environ.get("LB_FAIRLEAD_DOES", FAIRLEAD_DOES))

PEERS = {
    "direct":          dict(direct=True, does="http l4 bulk"),
    "fairlead":        fairlead("uring"),
    "fairlead-epoll":  fairlead("epoll"),
    "haproxy":         haproxy("LB_HAPROXY"),
    "haproxy-splice":  haproxy("LB_HAPROXY", splice="option splice-auto", extra="    maxpipes 512"),
    "haproxy-b":       haproxy("LB_HAPROXY_B"),          # a second version, to compare two builds in one run
    "nginx":           dict(template="nginx.conf", cmd=[binary("LB_NGINX", "nginx"), "-c", "@CONF@", "-p", "@RUN@"],
                            vars=dict(LOAD=nginx_stream), does="http l4 bulk tls h2"),
    "caddy":           dict(template="Caddyfile", cmd=[binary("LB_CADDY", "caddy"), "run", "--adapter", "caddyfile", "--config", "@CONF@"],
                            env=dict(GOMAXPROCS="1", HOME="@RUN@"), does="http h2"),
    "h2o":             dict(template="h2o.conf", cmd=[binary("LB_H2O", "h2o"), "-c", "@CONF@"], does="http"),
}
