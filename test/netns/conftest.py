"""Fixtures of the namespace tests, and the logs of every program in the report of a failed one."""

import collections
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
for folder in ("peer", "attack"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / folder))
import longnet  # noqa: E402
import netns  # noqa: E402
import places  # noqa: E402

current = []

left_out = []


def leave_out(config, items):
    """Drops the tests that are for the other gateway."""
    others = {**places.HOST_ONLY, **places.HOST_ONLY_TESTS} if netns.OCCLUM else places.ENCLAVE_ONLY
    dropped = collections.Counter()
    for i in list(items):
        name = next((n for n in (i.path.name, i.originalname) if n in others), None)
        if name:
            items.remove(i)
            config.hook.pytest_deselected(items=[i])
            dropped[name] += 1
    left_out.extend(f"left out: {n} of {name}: {others[name]}" for name, n in dropped.items())


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


def shown(net):
    """For a fixture: a net whose logs are shown when a test fails."""
    with net as n:
        current.append(n)
        try:
            yield n
        finally:
            current.remove(n)


@pytest.fixture
def net():
    yield from shown(netns.Net())


@pytest.fixture
def far_net():
    """Its second cable, between the gateways, is a long one: 20 ms there and back."""
    yield from shown(longnet.LongNet(20, 200))


@pytest.fixture
def bare(net):
    """The chain's hosts and cables, none of our programs yet."""
    return netns.Chain(net)


@pytest.fixture
def chain(bare):
    """The chain with our four programs and the original's addresses and ports."""
    return bare.start()
