"""The ways that are compared, all in the same four hosts: bare routing, our plaintext chain, our
attested chain, a chain of stunnels, and one of relays that do nothing (relay.c): four programs and
three TCP hops cost as much whatever they are for.

Every way has ports of its own, so that only ours is captured; a service is a port of each way.
"""

import pathlib

import attested
import netns

PORTS = {"bare": 5200, "plain": 5300, "stunnel": 5400, "attested": 5500, "relay": 5600}
IPERF, RTT, RTT_NODELAY, HTTP = 1, 2, 3, 4
OURS = ("plain", "attested")
ALL = ("bare", "plain", "attested", "relay", "stunnel")
ENTRY = ("relay", "stunnel")  # a client talks to its own host

STUNNEL = """foreground = yes
syslog = no
pid =
debug = warning
cert = {cert}
sslVersion = TLSv1.3
ciphersuites = TLS_AES_128_GCM_SHA256
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
"""


def span(way):
    """The ports of a way, as a capture rule writes them."""
    return f"{PORTS[way]}-{PORTS[way] + 9}"


class Ways:
    """The chain with what each way needs; `programs` are those of a way: {role: Proc}."""

    def __init__(self, net, ways, services=(IPERF, RTT, RTT_NODELAY), more=(), chain=None):
        self.net, self.names, self.services = net, ways, services
        self.more = [str(x) for x in more]  # options for each of our programs
        self.chain = chain or netns.Chain(net)
        self.programs = {w: {} for w in ways}
        self.tpms, self.policies = [], []
        for way in ways:
            getattr(self, f"start_{way}")()

    def address(self, way):
        return "127.0.0.1" if way in ENTRY else self.chain.SERVER

    def port(self, way, service):
        return PORTS[way] + service

    def pids(self, way):
        return [p.pid for p in self.programs[way].values()]

    def start_bare(self):
        pass

    def start_plain(self):
        c, more = self.chain, self.more
        c.start_entg2(*more)
        c.start_entg1(*more).wait_log(" peer-open ", 10)
        c.start_server(*more, replay=(f"tcp/:{span('plain')}", "icmp/"))
        c.start_client(*more, capture=(f"tcp/{c.SERVER}:{span('plain')}=192.168.0.254",))
        c.settle()
        self.programs["plain"] = {"enta client": c.enta_c, "entg gate1": c.entg1,
                                  "entg gate2": c.entg2, "enta server": c.enta_s}

    def start_attested(self):
        """A second chain in the same hosts: other ports, other addresses, rats-tls on each hop."""
        c, more = self.chain, self.more
        self.tpms = [attested.Tpm(self.net, "gate1"), attested.Tpm(self.net, "gate2")]
        one, two = self.policies = [attested.policy(self.net, f"accepts-{t.name}", t.accept())
                                    for t in self.tpms]
        listen = ("--entg-listen", "7979", "--enta-listen", "7980", "--enta-policy", "unattested")
        gate2 = netns.entg(c.gate2, *listen, "--entg-policy", one, "--attester", self.tpms[1].spec,
                           *more)
        gate1 = netns.entg(c.gate1, *listen, "--entg-policy", two, "--attester", self.tpms[0].spec,
                           "--entg-connect", "10.77.2.2:7979", *more)
        gate1.wait_log(" peer-open ", 10)
        server = netns.enta(c.server, "--instance", "att", "--entg-connect", "10.77.3.1:7980",
                            "--tun-addr", "192.168.1.254", "--policy", two, "--replay",
                            f"tcp/:{span('attested')}", "--replay", "icmp/", *more)
        client = netns.enta(c.client, "--instance", "att", "--entg-connect", "10.77.1.2:7980",
                            "--tun-addr", "192.168.1.1", "--policy", one, "--capture",
                            f"tcp/{c.SERVER}:{span('attested')}=192.168.1.254", *more)
        netns.wait_until(lambda: c.client.run("ping", "-c1", "-W1", "-I", "192.168.1.1",
                                              "192.168.1.254", check=False).returncode == 0,
                         15, "ping through the attested chain")
        self.programs["attested"] = {"enta client": client, "entg gate1": gate1,
                                     "entg gate2": gate2, "enta server": server}

    def start_relay(self):
        """Through the same hosts as stunnel's."""
        c, exe = self.chain, self.net.tmp / "relay"
        netns.sh("cc", "-O2", "-D_GNU_SOURCE", "-o", exe, pathlib.Path(__file__).with_name("relay.c"))
        for host, onward in ((c.client, "10.77.1.2"), (c.gate1, "10.77.2.2"), (c.gate2, "10.77.3.2"),
                             (c.server, None)):
            args = [x for s in self.services for x in
                    (PORTS["relay"] + s, onward or "127.0.0.1", PORTS["relay" if onward else "bare"] + s)]
            self.programs["relay"][f"relay {host}"] = host.spawn(exe, *args, quiet=True)
        for host in c.hosts:
            netns.wait_until(lambda h=host: h.listening(PORTS["relay"] + self.services[-1]), 10, "relay")

    def start_stunnel(self):
        """Three hops, each TLS between neighbours; a gateway ends one session, begins the next."""
        c, cert = self.chain, self.net.tmp / "stunnel.pem"
        netns.sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench",
                 "-keyout", cert, "-out", f"{cert}.crt")
        with open(cert, "a", encoding="ascii") as f:
            f.write(pathlib.Path(f"{cert}.crt").read_text(encoding="ascii"))
        # host: (accepts TLS, where its client side leads)
        hops = ((c.client, False, "10.77.1.2"), (c.gate1, True, "10.77.2.2"),
                (c.gate2, True, "10.77.3.2"), (c.server, True, None))
        for host, tls, onward in hops:
            text = STUNNEL.format(cert=cert)
            for service in self.services:
                outer, inner = PORTS["stunnel"] + service, PORTS["stunnel"] + 10 + service
                if tls:
                    to = inner if onward else PORTS["bare"] + service
                    text += f"[in{service}]\naccept = {outer}\nconnect = 127.0.0.1:{to}\n"
                if onward:
                    text += (f"[out{service}]\nclient = yes\naccept = 127.0.0.1:"
                             f"{inner if tls else outer}\nconnect = {onward}:{outer}\n")
            conf = self.net.tmp / f"stunnel-{host}.conf"
            conf.write_text(text, encoding="ascii")
            self.programs["stunnel"][f"stunnel {host}"] = host.spawn("stunnel4", conf, quiet=True)
        for host, _, _ in hops:
            netns.wait_until(lambda h=host: h.listening(PORTS["stunnel"] + self.services[0]), 10,
                             "stunnel")

    def serve(self, *start):
        """(service, its command line with PORT in it) in the server's host, for each way."""
        ports = [PORTS[w] for w in ("bare", *OURS)]  # the others lead to bare's
        for service, command in start:
            for base in ports:
                self.chain.server.spawn(*(str(base + service) if x == "PORT" else x
                                          for x in command), quiet=True)
        for service, _ in start:
            for base in ports:
                netns.wait_until(lambda p=base + service: self.chain.server.listening(p), 10,
                                 "servers")
