"""Commands about exchanges, as they are typed; the last ones as processes of their own, killed on the way."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from markets import candles
from markets.budget import CLOCK
from markets.management.commands.backfill_candles import Progress
from markets.models import Exchange, Feed, Market
from orchestrator.servers import addresses
from tests.markets.venue import MINUTE, Venue, binance_config, serve
from tests.orchestrator.processes import manage, running, until


@pytest.fixture
def venue():
    """Two days; the last candle closed just now, and no other will while a test runs."""
    venue = Venue(CLOCK, 2)
    venue.candles.pop()
    venue.url, stop = serve(venue)
    yield venue
    stop()


@pytest.fixture
def config_file(venue, tmp_path):
    path = tmp_path / "binance.json"
    path.write_text(json.dumps(binance_config(venue.url, rateLimit=1, timeout=20_000)))
    return path


def iso(ms):
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def arguments(venue, *more):
    since, until = iso(venue.candles[0][0]), iso(venue.candles[-1][0] + MINUTE)
    told = ["--exchange", "binance", "--market", "BTC/USDT", "--timeframe", "1m", "--since", since, "--until", until]
    return [*told, *more]


def on_test(timeframe, since):
    return ["--exchange", "test", "--market", "BTC/USDT", "--timeframe", timeframe, "--since", iso(since)]


def stored():
    return candles.load(Market.objects.get().pk, 60).rows()


def test_an_exchange_is_added_listed_and_backfilled(db, redis, venue, config_file, capsys):
    call_command("add_exchange", "binance", ccxt_id="binance", ccxt_config=config_file)
    assert capsys.readouterr().out == "Added Binance as binance. Next: manage.py sync_markets binance\n"
    call_command("sync_markets", "binance", "--json")
    assert json.loads(capsys.readouterr().out) == {"exchange": "binance", "markets": 1}
    call_command("backfill_candles", *arguments(venue, "--json"))
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["gaps"], told["repaired"], told["declared"]) == (2879, 0, 0, 0)
    assert told["requests"] >= len(venue.asked) == 3
    assert stored() == venue.closed
    call_command("backfill_candles", *arguments(venue))
    said = capsys.readouterr()
    assert said.out == ("BTC/USDT on binance: 0 rows stored, 0 gaps found, 0 repaired, 0 declared, 0 requests made.\n")
    assert said.err == ""


def test_the_simulated_exchange_is_backfilled_likewise(exchange, market, capsys):
    call_command("backfill_candles", *on_test("5m", CLOCK.now_ms() - 300 * MINUTE), "--json")
    assert json.loads(capsys.readouterr().out)["rows"] in (59, 60)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["add_exchange", "x", "--ccxt-id", "nowhere"], "There is no exchange 'nowhere' in ccxt"),
        (["add_exchange", "a b", "--ccxt-id", "kraken"], "slug 'a b' cannot be used"),
        (["add_exchange", "test", "--ccxt-id", "kraken"], "slug 'test' cannot be used: .*already exists"),
        (["add_exchange", "x", "--ccxt-id", "kraken", "--ccxt-config", "/none.json"], "/none.json cannot be read"),
        (["sync_markets", "nowhere"], "There is no exchange 'nowhere'; manage.py add_exchange"),
        (
            ["backfill_candles", "--exchange", "test", "--market", "X/Y"],
            "Test has no market 'X/Y'; manage.py sync_markets",
        ),
        (["backfill_candles", "--timeframe", "7m"], "--timeframe must be one of 1m"),
        (["backfill_candles", "--since", "yesterday"], "--since must be a date such as 2026-01-31"),
        (["backfill_candles", "--since", "1970-01-01"], "--since must be 2009-01-03 or later"),
        (["add_exchange", "x", "--ccxt-id", "__init__"], "There is no exchange '__init__' in ccxt"),
        (["backfill_candles", "--since", "2099-01-01"], "--since must be in the past of .*, not 2099-01-01T00:00"),
        (["audit_performance", "--hours", "x"], "^--hours must be a whole number, not 'x'\\.$"),
        (["cache", "stats", "--hours", "nan"], "^--hours must be a whole number, not 'nan'\\.$"),
        (["backfill_candles", "--until", "2020-01-01"], "--until must be later than --since"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(exchange, market, command, sentence):
    given = {"--exchange": "test", "--market": "BTC/USDT", "--timeframe": "1m", "--since": "2026-01-01"}
    if command[0] == "backfill_candles":
        given |= dict(zip(command[1::2], command[2::2], strict=True))
        command = [command[0], *(part for pair in given.items() for part in pair)]
    with pytest.raises(CommandError, match=sentence) as caught:
        call_command(*command)
    assert caught.value.returncode == 2
    assert Exchange.objects.count() == 1


def test_a_file_that_is_no_json_or_no_object_is_refused(db, tmp_path):
    path = tmp_path / "config.json"
    for text, sentence in (
        ("{", "is not JSON"), ("[]", "must be a JSON object"), ('{"secret": "s"}', "must not hold"),
        ('{"rateLimit": NaN}', "is not JSON: Out of range"), ('{"rateLimit": 1e999}', "is not JSON: Out of range"),
        ("[" * 200_000, "is nested too deeply"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(CommandError, match=sentence):
            call_command("add_exchange", "x", ccxt_id="kraken", ccxt_config=path)
    assert not Exchange.objects.exists()


class Terminal(StringIO):
    def isatty(self):
        return True


def test_a_bar_is_drawn_on_a_terminal_alone():
    terminal, file = Terminal(), StringIO()
    for stream in (terminal, file):
        progress = Progress(stream)
        for done in (0, 500, 1000):
            progress.show(done, 1000)
        progress.end()
    *bars, end = terminal.getvalue().split("\r")[1:]
    assert "#" not in bars[0]
    assert " 50% 500 of 1,000 candles" in bars[1]
    assert "." not in end.removesuffix("100% 1,000 of 1,000 candles\n")
    assert file.getvalue() == ""


def test_what_retention_would_delete_again_is_not_fetched(exchange, market):
    Feed.objects.create(market=market, timeframe=60, keep_days=10, synced_to=CLOCK.now_ms())
    with pytest.raises(CommandError, match=r"keeps 10 days.*set its keep_days higher"):
        call_command("backfill_candles", *on_test("1m", CLOCK.now_ms() - 20 * 1440 * MINUTE))


def test_an_exchange_that_refuses_ends_a_command_with_its_sentence(db, redis, venue, config_file):
    call_command("add_exchange", "binance", ccxt_id="binance", ccxt_config=config_file, name="Ours")
    Exchange.objects.update(ccxt_config={"urls": {"api": {"public": "http://127.0.0.1:1/api/v3"}}, "rateLimit": 1})
    with pytest.raises(CommandError, match="Binance cannot be reached") as caught:
        call_command("sync_markets", "binance")
    assert caught.value.returncode == 1
    assert Exchange.objects.get().name == "Ours"


@pytest.fixture
def killed_command(transactional_db, redis, venue, config_file, tmp_path):
    """The exchange is there, and the command can be started in a process of its own."""
    call_command("add_exchange", "binance", ccxt_id="binance", ccxt_config=config_file)
    call_command("sync_markets", "binance")
    url = addresses.database_url().rsplit("/", 1)[0] + "/" + connection.settings_dict["NAME"]
    return tmp_path / "home", {"DATABASE_URL": url, "REDIS_URL": addresses.redis_url()}


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.wait(20)


def test_killed_anywhere_and_started_again_it_ends_in_the_same_rows(killed_command, venue):
    """While the second page is asked for; while it is written; while a hole is asked for again; then left alone."""
    home, variables = killed_command
    venue.faults = {3: "missing"}
    venue.stop_at = 1
    with running(home, "backfill_candles", *arguments(venue, "--json"), **variables) as process:
        until(venue.reached.is_set, 60, process.output.read_text)
        kill(process)
    assert stored() == venue.closed[:1000]
    venue.go_on.set()

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE markets_candle IN SHARE MODE")
        with running(home, "backfill_candles", *arguments(venue, "--json"), **variables) as process:
            until(lambda: waits_for_us(cursor), 60, process.output.read_text)
            kill(process)
    assert stored() == venue.closed[:1000]

    venue.reached.clear()
    venue.go_on.clear()
    venue.stop_at = 5  # after the two that are left, the first with a hole
    with running(home, "backfill_candles", *arguments(venue, "--json"), **variables) as process:
        until(venue.reached.is_set, 60, process.output.read_text)
        kill(process)
    assert stored() == venue.closed[:1299] + venue.closed[1304:]
    venue.go_on.set()

    finished = manage(home, "backfill_candles", *arguments(venue, "--json"), **variables)
    assert finished.returncode == 0, finished.stderr
    told = json.loads(finished.stdout)
    assert stored() == venue.closed
    assert (told["rows"], told["gaps"], told["declared"]) == (5, 0, 0)
    # From where it had been, but for the candle before, which may have been revised.
    assert venue.asked[1:4] == [venue.closed[999][0]] * 3
    asked = len(venue.asked)
    call_command("backfill_candles", *arguments(venue))
    assert len(venue.asked) == asked


def waits_for_us(cursor):
    cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'markets_candle'::regclass")
    return cursor.fetchone()[0]
