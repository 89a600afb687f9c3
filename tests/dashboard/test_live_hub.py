from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.live_hub import Full, Hub, concerns


def heard(client):
    # In a thread of its own, as the browser tests leave their event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, client.topics(0.01)).result()


@pytest.mark.parametrize(
    ("wanted", "topic", "expected"),
    [
        ("user:1", "user:1/bot:5", True),
        ("user:1", "user:10/bot:5", False),
        ("user:1/bot:5", "user:1/bot:5", True),
        ("user:1/bot:5", "user:1/bot:55", False),
        ("market", "market:3", True),
        ("market:3", "market:33", False),
        ("", "market:3", False),
    ],
)
def test_a_topic_covers_what_is_below_it(wanted, topic, expected):
    assert concerns(wanted, topic) is expected


def test_a_page_hears_what_it_asked_for_and_nothing_else():
    hub = Hub()
    client = hub.join(1, ["user:1/bot:5", "market:3"])
    hub.publish(["user:1/bot:5", "user:1/bot:6", "market:3", "market:4"])
    assert heard(client) == ["market:3", "user:1/bot:5"]
    assert heard(client) == []


def test_a_users_topics_are_for_that_user_alone_whatever_a_page_asks_for():
    hub = Hub()
    thief = hub.join(2, ["user:1", "user", "user:1/bot:5"])
    hub.publish(["user:1/bot:5"])
    thief.offer(["user:1/bot:5"])
    assert heard(thief) == []


def test_a_slow_reader_gets_the_union_and_no_backlog():
    hub = Hub()
    client = hub.join(1, ["market"])
    for _ in range(1000):
        hub.publish(["market:1", "market:2"])
    assert heard(client) == ["market:1", "market:2"]
    assert heard(client) == []


def test_there_are_only_so_many_listeners():
    hub = Hub(most=3, most_a_user=2)
    first, _ = hub.join(1, []), hub.join(1, [])
    with pytest.raises(Full):
        hub.join(1, [])
    hub.join(2, [])
    with pytest.raises(Full):
        hub.join(3, [])
    hub.leave(first)
    hub.join(3, [])
    assert len(hub) == 3


def test_after_a_gap_every_page_is_told_to_look():
    hub = Hub()
    client = hub.join(1, ["user:1/bot:5", "market:3"])
    hub.publish_everything()
    assert heard(client) == ["market:3", "user:1/bot:5"]


def test_a_malformed_topic_is_nobodys():
    hub = Hub()
    client = hub.join(1, ["user", "user:x"])
    hub.publish(["user:x/bot:1", "user:"])
    assert heard(client) == []
