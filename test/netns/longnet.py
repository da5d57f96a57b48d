"""The chain's hosts with a long cable in the middle (test/net/delay.c); kernels may lack netem."""

import array
import fcntl
import socket
import struct

import netns

SIOCETHTOOL, ETHTOOL_STSO = 0x8946, 0x1f


class LongNet(netns.Net):
    """Its second link, gate1 to gate2, is the long one."""

    def __init__(self, delay_ms, mbit):
        super().__init__()
        exe = self.tmp / "delay"
        netns.sh("cc", "-O2", "-D_GNU_SOURCE", "-o", exe, netns.ROOT / "test" / "net" / "delay.c")
        self.delay = [exe, "w1", "w2", int(delay_ms * 500), mbit]

    def link(self, a, b, number, mtu=1500):
        if number != 2:
            return super().link(a, b, number, mtu)
        wire = self.host("wire")
        wire.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        for n, (host, other) in enumerate(((a, b), (b, a)), 1):
            dev = f"to-{other.name}"
            host.run("ip", "link", "add", dev, "type", "veth", "peer", "name", f"w{n}", "netns",
                     wire.name)
            # What is lost is a packet, not the forty that TCP hands down in one: cut at the last
            # moment, as most cards do it, not by TCP, which would pay for each of them.
            with host.sock(kind=socket.SOCK_DGRAM) as s:
                no_tso = array.array("I", (ETHTOOL_STSO, 0))
                fcntl.ioctl(s, SIOCETHTOOL, struct.pack("16sP", dev.encode(),
                                                        no_tso.buffer_info()[0]))
            host.run("ip", "link", "set", dev, "up")
            wire.run("ip", "link", "set", f"w{n}", "up")
            host.ifaces.append(dev)
            host.run("ip", "addr", "add", f"10.77.{number}.{n}/24", "dev", dev)
            host.run("ip", "addr", "add", f"fd77:{number}::{n}/64", "dev", dev, "nodad")
        wire.spawn(*self.delay).wait_log("ready")
        return f"to-{b.name}", f"to-{a.name}"
