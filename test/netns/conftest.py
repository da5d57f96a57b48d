"""Fixtures of the namespace tests, and the logs of every program in the report of a failed one."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
for folder in ("peer", "attack"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / folder))
import netns  # noqa: E402

current = []

# What ENG_ENTG=occlum leaves out, and why: said at the start of the run.
HOST_ONLY = {"test_capture.py": "the agent's capture alone; no gateway takes part",
             "test_attack_tool.py": "the attacker's tool alone; no gateway takes part",
             "test_hardware.py": "the gateway on a host of every other TEE; test_occlum_chain.py is for this one"}
# What needs an enclave, and runs with it only.
ENCLAVE_ONLY = {"test_occlum_chain.py": "entg-occlum: make check-occlum"}
left_out = []


def leave_out(config, items):
    """Drops the tests that are for the other gateway."""
    others = HOST_ONLY if netns.OCCLUM else ENCLAVE_ONLY
    kept = [i for i in items if i.path.name not in others]
    dropped = [i for i in items if i.path.name in others]
    config.hook.pytest_deselected(items=dropped)
    for name, why in others.items():
        n = sum(i.path.name == name for i in dropped)
        if n:
            left_out.append(f"left out: {n} tests of {name}: {why}")
    items[:] = kept


def pytest_report_collectionfinish():
    return left_out


def pytest_collection_modifyitems(config, items):
    leave_out(config, items)
    if not os.environ.get(netns.PRIVATE):
        for item in items:
            item.add_marker(pytest.mark.skip(reason="start me with test/run --only netns -- ..."))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    outcome = yield
    info = outcome.excinfo
    if info and issubclass(info[0], netns.NetnsMissing):
        outcome.force_exception(pytest.skip.Exception(str(info[1])))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and call.when == "call":
        for net in current:
            report.sections.append(("programs", net.logs()))


@pytest.fixture
def net():
    with netns.Net() as n:
        current.append(n)
        try:
            yield n
        finally:
            current.remove(n)


@pytest.fixture
def bare(net):
    """The chain's hosts and cables, none of our programs yet."""
    return netns.Chain(net)


@pytest.fixture
def chain(bare):
    """The chain with our four programs and the original's addresses and ports."""
    return bare.start()
