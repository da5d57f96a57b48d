#!/usr/bin/python3
"""make bench-many: many connections, many requests, many agents.

  connections       10,000 at once through one pair of agents (wrk, keep-alive): how many stand, and
                    the requests a second that they make
  requests          wrk against nginx, a page of 612 bytes, 64 connections: requests a second with
                    keep-alive, and with a new connection for each. With keep-alive also 8
                    connections: stunnel, a thread for each, makes most of them there
  agents            1,000 attested ones on one gateway (bench_agents, one software TPM): resident
                    memory that the gateway has grown by for each, with all its processes, and the
                    processor time that it takes while they are idle

Ways and machine as in bench.py; median of the rounds; connections and agents once. Rows go to test/bench/results.tsv.
"""

import argparse
import pathlib
import re
import resource
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "netns")]
import attested  # noqa: E402
import netns  # noqa: E402
import report  # noqa: E402
import ways as w  # noqa: E402

NGINX = """daemon off; user root; worker_processes 1; pid {tmp}/nginx.pid; error_log stderr error;
worker_rlimit_nofile 60000;
events {{ worker_connections 30000; }}
http {{
	access_log off; keepalive_requests 1000000; keepalive_timeout 120s;
	client_body_temp_path {tmp}; proxy_temp_path {tmp}; fastcgi_temp_path {tmp};
	uwsgi_temp_path {tmp}; scgi_temp_path {tmp};
	server {{ {listen} location / {{ return 200 "{page}"; }} }}
}}
"""
CONNECTIONS, AGENTS = 10000, 1000


def start_nginx(ways):
    conf = ways.net.tmp / "nginx.conf"
    listen = " ".join(f"listen {w.PORTS[x] + w.HTTP} backlog=16384;" for x in ("bare", *w.OURS))
    conf.write_text(NGINX.format(tmp=ways.net.tmp, listen=listen, page="x" * 612), encoding="ascii")
    ways.chain.server.spawn("nginx", "-c", conf, quiet=True)
    netns.wait_until(lambda: ways.chain.server.listening(w.PORTS["bare"] + w.HTTP), 10, "nginx")


def wrk(ways, way, connections, seconds, *more):
    return ["wrk", "-t", "2", "-c", str(connections), "-d", f"{seconds:g}s", "--timeout", "20s",
            *more, f"http://{ways.address(way)}:{ways.port(way, w.HTTP)}/"]


def requests_of(out):
    """Requests a second, and how many went wrong."""
    bad = sum(int(n) for line in re.findall(r"Socket errors: (.*)", out)
              for n in re.findall(r"\d+", line))
    bad += sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    return float(re.search(r"Requests/sec: +([\d.]+)", out).group(1)), bad


def measure_requests(ways, way, seconds, put):
    for name, connections, more in (("keep-alive", 64, ()), ("keep-alive, 8 connections", 8, ()),
                                    ("new connection each", 64, ("-H", "Connection: close"))):
        out = ways.chain.client.run(*wrk(ways, way, connections, seconds, *more), timeout=90).stdout
        rate, bad = requests_of(out)
        put(f"requests, {name}", "1/s", rate)
        put(f"requests, {name}", "failed", bad)


def measure_connections(ways, way, seconds, put):
    """wrk makes them all before it counts; the server is asked how many stand, at the best moment."""
    run, most = ways.chain.client.spawn(*wrk(ways, way, CONNECTIONS, seconds), quiet=True), 0
    while run.alive():
        out = ways.chain.server.run("ss", "-Htn", "state", "established",
                                    f"sport = :{ways.port(way, w.HTTP)}").stdout
        most = max(most, out.count("\n"))
        time.sleep(0.5)
    rate, bad = requests_of(run.out())
    put(f"{CONNECTIONS} connections", "stand", most)
    put(f"{CONNECTIONS} connections", "requests/s", rate)
    put(f"{CONNECTIONS} connections", "failed", bad)


def rss_kib(pid):
    """Resident memory of a process and of those below it."""
    total = 0
    for p in (pid, *(c for c, _ in attested.children(pid))):
        with open(f"/proc/{p}/status", encoding="ascii") as f:
            total += int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
    return total


def measure_agents(net, chain, n, seconds, put):
    """Every agent proves itself, and so does the gateway."""
    tpm, own = attested.Tpm(net, "agents"), attested.Tpm(net, "gate-of-many")
    policy = attested.policy(net, "of-agents", tpm.accept(attested.owns("10.64.0.0/16")))
    gate = netns.entg(chain.gate1, "--enta-listen", "9980", "--enta-policy", policy, "--attester",
                      own.spec, "--reattest", "0", wait=False)
    netns.wait_until(lambda: chain.gate1.listening(9980), 10, "gateway")
    exe = netns.build_dir() / "test" / "bench" / "bench_agents"

    def agents(number):
        p = chain.client.spawn(exe, "hold", number, "policy",
                               attested.policy(net, "of-gate", own.accept()), "attester", tpm.spec,
                               "10.77.1.2", 9980, stdin=subprocess.PIPE)
        netns.wait_until(lambda: p.out() or not p.alive(), 300, f"{number} agents")
        if not p.out():
            raise netns.NetnsError(f"the agents ended: {p.log()[-500:]}")
        return p
    few = agents(10)  # what the first ones need is not each one's
    few.popen.stdin.close()
    few.wait()
    time.sleep(2)
    before = rss_kib(gate.pid)
    many = agents(n)
    ms = float(many.out().split()[2])
    time.sleep(6)  # buffers of the handshakes are given back
    put(f"{n} agents", "KB each", (rss_kib(gate.pid) - before) / n)
    put(f"{n} agents", "s until all are open", ms / 1e3)
    busy = report.cpu_of(gate.pid)
    time.sleep(seconds)
    put(f"{n} agents", "% of a processor, idle",
        100 * (report.cpu_of(gate.pid) - busy) / seconds)
    open_now = gate.status(r" counter-total ")[-1]
    if f"peers={n} " not in open_now:
        raise netns.NetnsError(f"not all agents stayed: {open_now}")
    many.popen.stdin.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=float, default=4, help="of one run of wrk")
    ap.add_argument("--standing", type=float, default=20, help="seconds of 10,000 connections")
    ap.add_argument("--idle", type=float, default=30, help="seconds of 1,000 idle agents")
    ap.add_argument("--ways", default=",".join(x for x in w.ALL if x != "relay"))
    ap.add_argument("--no-append", action="store_true")
    args = ap.parse_args()
    why = netns.enter_private()
    if why:
        sys.exit(f"bench-many: {why}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names, results = args.ways.split(","), report.Results()
    with netns.Net() as net:
        netns.sh("ninja", "-C", netns.build_dir(), "test/bench/bench_agents")
        ways = w.Ways(net, names, (w.HTTP,))
        for host in ways.chain.hosts:
            host.sysctl("net.ipv4.ip_local_port_range", "10000 65000")
            for key in ("net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog"):
                host.sysctl(key, 16384)
        start_nginx(ways)
        for n in range(args.rounds):
            for way in names:
                def put(*x, way=way):
                    results.put(way, *x)
                measure_requests(ways, way, args.seconds, put)
                if n == 0 and way != "stunnel":  # which has a thread for each, in four programs
                    measure_connections(ways, way, args.standing, put)
            print(f"round {n + 1} of {args.rounds}", flush=True)
        measure_agents(net, ways.chain, AGENTS, args.idle,
                       lambda *x: results.put("attested", *x))
        for name in ("requests, keep-alive", "requests, keep-alive, 8 connections",
                     "requests, new connection each"):
            for over, under in (("attested", "bare"), ("attested", "stunnel")):
                results.ratio(f"{over}/{under}", name, "1/s", over, under)
        results.show(names)
        report.aims(*((f"{way}: {CONNECTIONS} connections stand",
                       results.median(way, f"{CONNECTIONS} connections", "stand"), ">=",
                       CONNECTIONS) for way in w.OURS),
                    ("memory of an idle attested agent, KB",
                     results.median("attested", f"{AGENTS} agents", "KB each"), "<=", 100),
                    (f"{AGENTS} idle agents, % of a processor",
                     results.median("attested", f"{AGENTS} agents", "% of a processor, idle"),
                     "<=", 2))
        if not args.no_append:
            results.append(args.rounds)


if __name__ == "__main__":
    main()
