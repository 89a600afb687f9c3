"""The examples of docs/api.md, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess

import orjson
import pytest

from bots.models import Backtest, Bot
from orchestrator.home import PROJECT

EXAMPLES = re.findall(r"```sh\n(.*?)```", (PROJECT / "docs/api.md").read_text(), re.DOTALL)
BODIES = re.compile(r"^curl ", re.MULTILINE)


@pytest.mark.django_db(transaction=True)
def test_the_examples_work(live_server, token, places):
    numbers = {name: str(places[f"{name.lower()}_id"]) for name in ("BOT", "MARKET", "ACCOUNT", "BACKTEST")}
    answers = []
    for example in EXAMPLES:
        script = example.replace("http://localhost:8000", live_server.url)
        # An answer a line; -s as its progress is for people.
        script = BODIES.sub("curl -s -w '\\\\n' ", script)
        done = subprocess.run(
            ["sh", "-e"], input=script, env=os.environ | numbers | {"TOKEN": token}, text=True, capture_output=True
        )
        assert done.returncode == 0, f"{example}\n{done.stdout}{done.stderr}"
        answers += [orjson.loads(line) for line in done.stdout.splitlines() if line]
    # A deletion answers nothing.
    assert len(answers) == sum(len(BODIES.findall(example)) for example in EXAMPLES) - 1
    assert Bot.objects.filter(name="Grid by script", status="draft").exists()
    assert not Backtest.objects.filter(pk=places["backtest_id"]).exists()
    assert Bot.objects.get(pk=places["bot_id"]).status == "stopped"
    assert [one["status"] for one in answers[-1]["answers"]] == [200, 200, 200]
