#!/usr/bin/python3
"""make demo: unmodified programs through a chain of four hosts, attested on every hop, then attacks on
it, and what came of all that as two tables.

With --shell the chain is left running in tmux, one pane a host, until tmux ends. With --plain hops
are plaintext TCP and nothing is attacked.
"""

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time

import demo_attested
import demo_occlum
import netns
from demo_attested import announce

CAPTURES = ("7", "tcp/10.77.3.2:80=192.168.0.254", "tcp/10.77.3.2:5201=192.168.0.254")
REPLAYS = ("7", "tcp/:80", "tcp/:5201", "icmp/")
PICTURE = """
   client            gate1             gate2            server
   app + enta ══════ entg ════════════ entg ════════════ enta + app
   10.77.1.1         10.77.1.2 | 2.1   10.77.2.2 | 3.1   10.77.3.2
   TUN 192.168.0.1                                       TUN 192.168.0.254
"""
NGINX = """daemon off; pid {tmp}/nginx.pid; error_log {tmp}/nginx.log; events {{ }}
http {{ access_log off; client_body_temp_path {tmp}; proxy_temp_path {tmp}; fastcgi_temp_path {tmp};
uwsgi_temp_path {tmp}; scgi_temp_path {tmp}; server {{ listen 80; root {tmp}/www; }} }}
"""


def make_chain(net, plain):
    """The four hosts; attested, with enrolled TPMs, and an enclave if one is asked for."""
    if plain:
        return netns.Chain(net)
    chain = (demo_occlum if netns.OCCLUM else demo_attested).Chain(net)
    chain.enroll()
    print()
    return chain


def start_chain(chain):
    for p in (chain.start_entg2(), chain.start_entg1(), chain.start_server(replay=REPLAYS),
              chain.start_client(capture=CAPTURES)):
        announce(p)
    chain.settle()


def start_servers(chain):
    tmp = chain.net.tmp
    (tmp / "www").mkdir()
    with open(tmp / "www" / "100M", "wb") as f:
        for _ in range(100):
            f.write(os.urandom(1 << 20))
    (tmp / "www" / "index.html").write_text("It works.\n")
    os.chmod(tmp, 0o755)
    (tmp / "nginx.conf").write_text(NGINX.format(tmp=tmp))
    http = (["nginx", "-c", tmp / "nginx.conf"] if os.geteuid() == 0 and netns.sh("sh", "-c", "command -v nginx || true")
            else ["python3", "-m", "http.server", "80", "--directory", tmp / "www"])
    servers = [chain.server.spawn(netns.program("echosvr"), "server", "--port", 7, quiet=True),
               chain.server.spawn(*http, quiet=True),
               chain.server.spawn("iperf3", "-s", quiet=True)]
    for port, p in zip((7, 80, 5201), servers):
        announce(p)
        netns.wait_until(lambda n=port: chain.server.listening(n), 10, f"a server at port {port}")


# --- what is shown: each returns (result, throughput, p50 latency), or raises ---------------------


def time_of(chain, *cmd, n=15):
    """The median run time of a command, in ms."""
    times = []
    for _ in range(n):
        begin = time.perf_counter()
        chain.client.run(*cmd)
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def rate(n_bytes, seconds):
    return f"{n_bytes * 8 / seconds / 1e9:.2f} Gbit/s"


def show_echosvr(chain):
    cmd = [netns.program("echosvr"), "client", "--host", chain.SERVER, "--port", 7]
    begin = time.perf_counter()
    out = chain.client.run(*cmd, "--size", 50_000_000).stdout.strip()
    seconds = time.perf_counter() - begin
    assert "check size: ok, check content: ok" in out, out
    return "50 MB and back: sizes and content ok", rate(100_000_000, seconds), \
        f"{time_of(chain, *cmd):.2f} ms a run"


def show_curl(chain):
    url = f"http://{chain.SERVER}/"
    form = "%{http_code} %{size_download} %{time_total} %{time_starttransfer}"
    fields = chain.client.run("curl", "-s", "-o", "/dev/null", "-w", form, url + "100M").stdout.split()
    assert fields[:2] == ["200", str(100 << 20)], fields
    small = [float(chain.client.run("curl", "-s", "-o", "/dev/null", "-w", "%{time_total}",
                                    url).stdout) * 1000 for _ in range(15)]
    return "HTTP 200, 100 MiB", rate(100 << 20, float(fields[2])), \
        f"{statistics.median(small):.2f} ms a request"


def show_iperf3(chain):
    out = json.loads(chain.client.run("iperf3", "-J", "-c", chain.SERVER, "-t", 3).stdout)
    got = out["end"]["sum_received"]
    rtt = out["end"]["streams"][0]["sender"].get("mean_rtt", 0) / 1000
    assert got["bytes"] > 0
    return f"{got['bytes'] / 1e9:.2f} GB in {got['seconds']:.1f} s", \
        rate(got["bytes"], got["seconds"]), f"{rtt:.2f} ms under load"


def show_ping(chain):
    out = chain.client.run("ping", "-c", 50, "-i", 0.01, "192.168.0.254").stdout
    assert " 0% packet loss" in out, out
    times = [float(x) for x in re.findall(r"time=([\d.]+)", out)]
    return f"{len(times)} of 50 answered", "-", f"{statistics.median(times):.2f} ms"


SHOWS = (("echosvr", "TCP, both directions at once", show_echosvr),
         ("curl + web server", "TCP, server sends", show_curl),
         ("iperf3", "TCP, client sends, 3 s", show_iperf3),
         ("ping", "ICMP echo to 192.168.0.254", show_ping))


def hop_bytes(chain):
    """Bytes that crossed each cable so far, both directions."""
    total = []
    for host, dev in ((chain.client, "to-gate1"), (chain.gate1, "to-gate2"), (chain.gate2, "to-server")):
        link = json.loads(host.run("ip", "-j", "-s", "link", "show", dev).stdout)[0]["stats64"]
        total.append(link["rx"]["bytes"] + link["tx"]["bytes"])
    return total


def megabytes(n):
    return f"{n / 1e6:.1f}" if n >= 1e5 else f"{n / 1e6:.3f}"


def run_shows(chain):
    """The rows of the table; and whether all passed."""
    rows, good = [], True
    for what, how, show in SHOWS:
        before = hop_bytes(chain)
        try:
            result, throughput, latency = show(chain)
            result = "ok: " + result
        except (AssertionError, netns.NetnsError, subprocess.TimeoutExpired, KeyError) as e:
            result, throughput, latency, good = f"FAILED: {str(e)[:120]}", "-", "-", False
        hops = " ".join(megabytes(b - a) for a, b in zip(before, hop_bytes(chain)))
        rows.append((what, how, result, throughput, latency, hops))
        print(f"  {what}: {result}", flush=True)
    return rows, good


def print_table(rows):
    """The first row is the head."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    rule = "  ".join("─" * w for w in widths)
    print("\n" + rule)
    for n, row in enumerate(rows):
        print("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())
        if n == 0:
            print(rule)
    print(rule)


def sniff(chain, *others):
    if os.geteuid() != 0 or in_user_namespace():
        return []
    clear = netns.CLEAR.replace("port 7 or", "port 7 or port 80 or port 5201 or")
    return chain.sniff(clear) + [netns.Sniffer(h, i, clear) for h in others for i in h.ifaces]


def run_demo(net, plain):
    print(PICTURE + "\nFour hosts (network namespaces), one cable between neighbours."
          + (demo_occlum.HONESTLY if netns.OCCLUM else "") + " Starting:\n")
    chain = make_chain(net, plain)
    start_chain(chain)
    start_servers(chain)
    if not plain:
        print("\nWho has proved what:\n")
        chain.show_peers()
    mallory = None if plain else demo_attested.Mallory(chain)
    sniffers = sniff(chain, *([mallory.host] if mallory else []))
    print("\nPrograms that know nothing of ENG, from client to server:\n")
    rows, good = run_shows(chain)
    attacks = []
    if not plain:
        attacks, all_refused = demo_attested.run_attacks(chain, sniffers, mallory)
        good = good and all_refused
    if sniffers:
        clear, text = netns.clear_packets(sniffers)
        good = good and clear == 0
        rows.append(("tcpdump", f"all {len(sniffers)} real interfaces, throughout",
                     f"{'ok' if not clear else 'FAILED'}: {clear} captured packets outside the tunnel", "-", "-", "-"))
        if clear:
            print(text)
    print_table([("what", "how", "result", "throughput", "p50 latency", "MB on each hop"), *rows])
    if attacks:
        print_table([("attack", "how", "result"), *attacks])
    for p in (chain.enta_c, chain.enta_s, chain.entg1, chain.entg2):
        if p.alive():
            p.stop()
    proof = "as an enclave or by its TPM" if netns.OCCLUM else "by its TPM"
    print("\nHops: " + ("plaintext TCP (tcp://), as asked for." if plain else
                       f"rats-tls, each gateway proved {proof}; agents need no proof here."))
    print("All passed; everything is removed again." if good else "Something FAILED, see the table.")
    print("To play with it: make demo-shell")
    return good


def in_user_namespace():
    with open("/proc/self/setgroups", encoding="ascii") as f:
        return f.read().strip() == "deny"


def hints(chain):
    """What to try in each pane."""
    def status(gate):
        if isinstance(gate, netns.EnclaveGate):
            return f"echo status | nc -N 127.0.0.1 {gate.admin}"
        return f"kill -USR1 {gate.pid}: who is who, and counters, in the logs"
    return {
        "client": "curl 10.77.3.2   iperf3 -c 10.77.3.2   ping 192.168.0.254   echosvr client --host 10.77.3.2",
        "gate1": "tcpdump -ni to-gate2 -c 20   " + status(chain.entg1),
        "gate2": "tcpdump -ni to-server -c 20   " + status(chain.entg2),
        "server": "nft list ruleset   ip rule   ss -tn",
    }


def run_shell(net, plain):
    """A tmux of its own; when it ends, so does all else."""
    chain = make_chain(net, plain)
    start_chain(chain)
    start_servers(chain)
    places = [os.path.dirname(netns.program(p)) for p in ("echosvr", "rats-inspect", "enta")]
    path = ":".join([*places, os.environ["PATH"]])
    tmux = ["tmux", "-L", f"eng-{os.getpid()}"]
    for n, h in enumerate(chain.hosts):
        shell = (f"cd {shlex.quote(str(net.tmp))}; echo {shlex.quote(hints(chain)[h.name])}; "
                 f"echo logs: {shlex.quote(str(net.tmp))}; PATH={shlex.quote(path)} PS1='{h.name}# ' "
                 "exec bash --norc -i")
        cmd = shlex.join(h.argv(["bash", "-c", shell]))
        start = ["new-session", "-d", "-s", "eng"] if n == 0 else ["split-window", "-t", "eng"]
        netns.sh(*tmux, *start, cmd)
        netns.sh(*tmux, "select-layout", "-t", "eng", "tiled")
    for option in (["-g", "mouse", "on"], ["-g", "status-right", "C-b d or exit: ends the demo"]):
        netns.sh(*tmux, "set-option", *option)
    attached = subprocess.run([*tmux, "attach", "-t", "eng"], check=False).returncode == 0
    subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)
    return attached


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--shell", action="store_true")
    ap.add_argument("--plain", action="store_true")
    args = ap.parse_args()
    why = netns.enter_private()
    if why:
        sys.exit(f"demo: {why}")
    os.environ["ENG_BUILD"] = str(netns.build_dir())
    with netns.Net() as net:
        net.tmp.chmod(0o755)  # the daemons become nobody
        os.chdir(net.tmp)     # so that file names are short
        good = run_shell(net, args.plain) if args.shell else run_demo(net, args.plain)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
