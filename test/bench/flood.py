#!/usr/bin/python3
"""Strangers against a transfer: 500 handshakes at once on an attested gateway while one established
connection goes on through it. Garbage, clients that say half a sentence, and valid TLS that proves
nothing, a third each.

    make bench-flood        prints the transfer's speed before and during, and the gateway's memory

The strangers are made on the same machine: what they cost themselves is part of the loss. They run
at the lowest priority, in a process of their own. How much that is, a second series says: the same
strangers at a port beside the gateway's, where a program accepts and closes, and does nothing else.
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

from OpenSSL import SSL

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("netns", "peer", "attack"):
    sys.path.insert(0, str(HERE.parent / folder))
import netns  # noqa: E402
import attested  # noqa: E402
import eng1peer as e  # noqa: E402
import eng1tls as at  # noqa: E402
from traffic import Transfer  # noqa: E402

STRANGERS, ROUNDS = 500, 5
GATE, FLOOR_PORT = ("10.77.1.2", 6980), 6990


def prepare(me):
    """(first bytes, Conn or None) of each stranger, so that all can be sent at the same moment."""
    out = []
    for n in range(STRANGERS):
        c, first = None, os.urandom(600)
        if n % 3 == 1:
            first = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)
        if n % 3 == 2:
            s = socket.socket()
            c = at.Conn(s, at.CLIENT, me)
            try:
                c.tls.do_handshake()
            except SSL.WantReadError:
                first = c.tls.bio_read(65536)
        else:
            s = socket.socket()
        out.append((s, first, c))
    return out


def acceptor():
    """Accepts and closes: the least that anybody can do about strangers."""
    with socket.create_server(("", FLOOR_PORT), backlog=512) as s:
        print("ready", flush=True)
        while True:
            s.accept()[0].close()


def strangers(host):
    """The process of the strangers: a round of all of them at each line of its standard input, which
    is a port.
    Says how many of those that know TLS were through with it before they had to give way."""
    os.nice(19)
    me = at.Identity()
    crowd = prepare(me)
    print("ready", flush=True)
    for port in sys.stdin:
        begin, done = time.monotonic(), 0
        for s, first, _ in crowd:
            s.settimeout(30)
            s.connect((host, int(port)))
            try:
                s.sendall(first)
            except OSError:
                pass  # closed already
        for _, _, c in crowd:
            try:
                if c:
                    c.handshake(30).send(e.hello(prefixes=["10.9.0.1/32"]))
                    done += 1
            except (OSError, at.Closed, TimeoutError):
                pass
        print(f"{done} {time.monotonic() - begin:.3f}", flush=True)
        for s, _, _ in crowd:
            s.close()
        crowd = prepare(me)


def speed(transfer, seconds=None, until=None):
    """Gbit/s over some seconds, or until an event."""
    begin, bytes_ = time.monotonic(), transfer.received
    if until:
        until.wait()
    else:
        time.sleep(seconds)
    return (transfer.received - bytes_) * 8e-9 / (time.monotonic() - begin)


class Chain(attested.Chain):
    """The client's agent has to prove itself too: strangers at gate1 cannot just walk in."""

    def __init__(self, net):
        super().__init__(net)
        tpm = attested.Tpm(net, "client")
        self.GATE1[self.GATE1.index("unattested")] = attested.policy(net, "clients", tpm.accept())
        self.AGENT_C += ["--attester", tpm.spec]


def one_round(chain, transfer, crowd, state, port):
    done = threading.Event()

    def wait():
        state["line"] = crowd.stdout.readline()
        done.set()
    before = speed(transfer, 2)
    threading.Thread(target=wait, daemon=True).start()
    crowd.stdin.write(f"{port}\n")
    crowd.stdin.flush()
    during = speed(transfer, until=done)
    n, seconds = state["line"].split()
    state["peak"] = max(state["peak"], chain.entg1.rss_kib())
    print(f"{before:6.2f} Gbit/s before, {during:6.2f} while {STRANGERS} strangers come in "
          f"{float(seconds):5.2f} s, of whom {n} get through TLS: {100 * during / before:4.0f}%", flush=True)
    return during / before


def main():
    if sys.argv[1:] == ["--strangers"]:
        return strangers(GATE[0])
    if sys.argv[1:] == ["--acceptor"]:
        return acceptor()
    if why := netns.enter_private():
        sys.exit(why)
    with netns.Net() as net:
        chain = Chain(net).start()
        state = {"peak": 0}
        idle = chain.entg1.rss_kib()
        crowd = subprocess.Popen(chain.client.argv([sys.executable, __file__, "--strangers"]),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        crowd.stdout.readline()
        floor = subprocess.Popen(chain.gate1.argv([sys.executable, __file__, "--acceptor"]),
                                 stdout=subprocess.PIPE, text=True)
        floor.stdout.readline()
        transfer = Transfer(chain.client, chain.server, chain.SERVER, 7, size=1 << 50).start()
        transfer.wait_received(1e-7)
        shares = {port: sorted(one_round(chain, transfer, crowd, state, port) for _ in range(ROUNDS))
                  for port in (FLOOR_PORT, GATE[1])}
        assert not transfer.failures, transfer.failures
        floor_share, share = (100 * s[ROUNDS // 2] for s in shares.values())
        print(f"median {share:.0f}%; at a port that only accepts {floor_share:.0f}%; the gateway's "
              f"memory: {idle} KiB idle, {state['peak']} KiB at most")
        crowd.kill()
        floor.kill()
        closed = chain.entg1.grep(r" stranger-close ")
        reasons = {re.search(r"reason=(\S+)", line).group(1) for line in closed}
        print(f"reasons: {', '.join(sorted(reasons))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
