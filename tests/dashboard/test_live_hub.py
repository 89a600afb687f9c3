from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.live_hub import HEARTBEAT, MOST_NAMED, Full, Hub, concerns, covering


class Line:
    """Where a page's bytes go."""

    def __init__(self):
        self.said = []

    def write(self, data):
        self.said.append(data)

    def close(self):
        self.said.append(None)


def join(hub, user, wanted):
    return hub.join(user, "session", wanted, Line())


def heard(client):
    """The topics of every message since the last call."""
    said, client.line.said = client.line.said, []
    return [json.loads(data.removeprefix(b"data: "))["topics"] for data in said]


def publish(hub, topics=None):
    # In a thread of its own, as the browser tests leave their event loop running in this one.
    work = hub.publish_everything() if topics is None else hub.publish(topics)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


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
    assert (wanted in covering(topic)) is expected


def test_a_page_hears_what_it_asked_for_and_nothing_else():
    hub = Hub()
    client = join(hub, 1, ["user:1/bot:5", "market:3"])
    publish(hub, ["user:1/bot:5", "user:1/bot:6", "market:3", "market:4"])
    assert heard(client) == [["market:3", "user:1/bot:5"]]


def test_pages_of_many_users_are_told_what_each_may_hear():
    hub = Hub()
    pages = [join(hub, user, ["user", f"user:{user + 1}", "market:3"]) for user in range(1, 600)]
    publish(hub, ["user:1/bot:5", "user:2", "market:3"])
    assert [heard(page) for page in pages[:3]] == [
        [["market:3", "user:1/bot:5"]], [["market:3", "user:2"]], [["market:3"]],
    ]  # fmt: skip
    assert all(heard(page) == [["market:3"]] for page in pages[3:])


def test_where_much_changed_below_what_a_page_asked_for_it_is_told_that_alone():
    hub = Hub()
    both, one = join(hub, 1, ["market", "market:3"]), join(hub, 1, ["market:3"])
    publish(hub, [f"market:{number}" for number in range(MOST_NAMED + 1)])
    assert (heard(both), heard(one)) == ([["market", "market:3"]], [["market:3"]])


def test_a_users_topics_are_for_that_user_alone_whatever_a_page_asks_for():
    hub = Hub()
    thief = join(hub, 2, ["user:1", "user", "user:1/bot:5"])
    publish(hub, ["user:1/bot:5"])
    publish(hub)
    assert heard(thief) == [["user:2"]]


def test_a_slow_reader_gets_the_union_and_no_backlog():
    hub = Hub()
    client = join(hub, 1, ["market"])
    client.pause()
    for _ in range(20):
        publish(hub, ["market:1"])
        publish(hub, ["market:2"])
        client.beat()
    assert client.line.said == []
    client.resume()
    assert heard(client) == [["market:1", "market:2"]]
    client.beat()
    assert client.line.said == [HEARTBEAT]


def test_one_who_leaves_while_others_are_told_is_told_nothing():
    hub = Hub()
    pages = [join(hub, user, ["market"]) for user in range(300)]

    async def told():
        telling = asyncio.create_task(hub.publish(["market:1"]))
        await asyncio.sleep(0)  # the first of them have been
        waiting = [page for page in pages if not page.line.said]
        hub.leave(waiting[0])
        await telling
        return waiting

    with ThreadPoolExecutor(1) as pool:
        left, *others = pool.submit(asyncio.run, told()).result()
    assert left.line.said == []
    assert all(heard(page) == [["market:1"]] for page in others)


def test_there_are_only_so_many_listeners():
    hub = Hub(most=3, most_a_user=2)
    first, _ = join(hub, 1, []), join(hub, 1, [])
    with pytest.raises(Full):
        join(hub, 1, [])
    join(hub, 2, [])
    with pytest.raises(Full):
        join(hub, 3, [])
    hub.leave(first)
    join(hub, 3, [])
    assert len(hub) == 3


def test_after_a_gap_every_page_is_told_to_look():
    hub = Hub()
    client = join(hub, 1, ["user:1/bot:5", "market:3"])
    publish(hub)
    assert heard(client) == [["market:3", "user:1/bot:5"]]


def test_a_malformed_topic_is_nobodys():
    hub = Hub()
    client = join(hub, 1, ["user", "user:x"])
    publish(hub, ["user:x/bot:1", "user:"])
    assert heard(client) == []
