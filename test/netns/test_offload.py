"""5: large packets cross unsegmented where everybody can take them, and all works where not."""

import json
import socket
import struct

import pytest

import netns
from traffic import Echo, echo_once, transfer

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
/* A kernel that grants no TUN offload: TUNSETOFFLOAD fails. */
int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	va_list ap;
	void *arg;
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if ((unsigned)request == 0x400454d0u && arg) {
		errno = EINVAL;
		return -1;
	}
	return real(fd, request, arg);
}
"""
CAPTURE, REPLAY = ("tcp/10.77.3.2:5201=192.168.0.254",), ("tcp/:5201", "icmp/")


def average_packet(before, after):
    packets = sum(int(c["packets_in"]) for c in after) - sum(int(c["packets_in"]) for c in before)
    size = sum(int(c["packet_bytes_in"]) for c in after) - sum(int(c["packet_bytes_in"]) for c in before)
    return size / packets


def iperf3(chain, *more):
    server = chain.server.spawn("iperf3", "-s", "-1", quiet=True)
    netns.wait_until(lambda: chain.server.listening(5201), 5, "iperf3")
    out = chain.client.run("iperf3", "-J", "-c", chain.SERVER, "-t", 2, *more).stdout
    server.wait(10)
    return json.loads(out)["end"]


def data_peer(gate, role):
    """The counters of the direction that carries the data: from the client's side."""
    return [c for c in gate.counters() if c.get("role") == role]


def test_average_packet_is_above_20_kb(bare):
    bare.start(capture=CAPTURE, replay=REPLAY)
    before = data_peer(bare.entg1, "agent"), data_peer(bare.entg2, "gateway")
    end = iperf3(bare)
    after = data_peer(bare.entg1, "agent"), data_peer(bare.entg2, "gateway")
    for hop, b, a in zip(("agent to gateway", "gateway to gateway"), before, after):
        assert average_packet(b, a) > 20_000, f"{hop}: {average_packet(b, a):.0f} bytes"
    assert end["sum_received"]["bytes"] > 1_000_000


def test_offloads_refused_by_the_kernel(bare):
    """Both agents on a kernel that grants none, then only one of them."""
    so = bare.net.tmp / "shim.so"
    (bare.net.tmp / "shim.c").write_text(SHIM)
    netns.sh("cc", "-shared", "-fPIC", "-o", so, bare.net.tmp / "shim.c", "-ldl")
    env = {"LD_PRELOAD": str(so), "ASAN_OPTIONS": "verify_asan_link_order=0"}
    bare.start_entg2()
    bare.start_entg1()
    for client_env, server_env in ((env, env), (env, None), (None, env)):
        s = netns.enta(bare.server, *bare.AGENT_S, "--replay", "7", "--replay", "icmp/", env=server_env)
        c = netns.enta(bare.client, *bare.AGENT_C, "--capture", "7", env=client_env)
        if client_env:
            assert c.grep("link-up .*gso=no"), "the shim has no effect"
        bare.settle()
        transfer(bare.client, bare.server, bare.SERVER, 7, size=50_000_000)
        c.stop()
        s.stop()


def test_offloads_refused_by_the_peer(bare):
    """A v0 path between two agents that can: segmented and checksummed in software, both ways."""
    bare.start_entg2("--compat")
    bare.start_entg1("--compat")
    bare.start_server(replay=REPLAY)
    bare.start_client(capture=CAPTURE)
    bare.settle()
    assert iperf3(bare)["sum_received"]["bytes"] > 1_000_000
    assert iperf3(bare, "-R")["sum_received"]["bytes"] > 1_000_000


UDP_SEGMENT = 103


@pytest.mark.parametrize("compat", [False, True], ids=["gso", "v0"])
def test_udp_segmentation(bare, compat):
    """An application that sends 40 datagrams in one call: all of them arrive, each as it was."""
    more = ["--compat"] if compat else []
    bare.start_entg2(*more)
    bare.start_entg1(*more)
    bare.start_server(replay=("udp/:5000", "icmp/"))
    bare.start_client(capture=("udp/10.77.3.2:5000=192.168.0.254",))
    bare.settle()
    receiver = bare.server.sock(kind=socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    receiver.bind(("", 5000))
    receiver.settimeout(3)
    sender = bare.client.sock(kind=socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1200)
    before = data_peer(bare.entg1, "agent")
    for burst in range(20):
        data = b"".join(struct.pack(">HH", burst, i) + bytes([i]) * 1196 for i in range(40))
        sender.sendto(data, ("10.77.3.2", 5000))
        for i in range(40):
            got = receiver.recv(65535)
            assert got == data[1200 * i:1200 * (i + 1)], (burst, i, len(got))
    after = data_peer(bare.entg1, "agent")
    kernel = tuple(int(x) for x in netns.sh("uname", "-r").split("-")[0].split(".")[:2])
    if not compat and kernel >= (6, 2):
        assert average_packet(before, after) > 20_000, "the kernel has USO and it was not used"


def test_sizes_around_every_boundary(chain):
    """Echoes of 1 byte to 200,000: every packet size from none to several GSO packets."""
    echo = Echo(chain.server, 7)
    for n in (1, 2, 1447, 1448, 1449, 1460, 4096, 65483, 65495, 65535, 65536, 66000, 131072, 200_000):
        data = bytes(i * 31 & 255 for i in range(n))
        assert echo_once(chain.client, chain.SERVER, 7, data) == data, n
    echo.close()
