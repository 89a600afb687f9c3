from __future__ import annotations

import gzip
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from markets import funding, gateway, services, simulated
from markets.models import Exchange, Feed, FundingRate, Market
from markets.services.funding import MINUTE_MS, SETTLING_MS
from markets.simulated import FUNDING_MS
from markets.simulated_quotes import SimulatedQuotes
from markets.surface import Rate
from tests.markets.conftest import DATA

HOUR = 3_600_000
SYMBOL = "BTC/USDT:USDT"


@pytest.fixture
def clock(monkeypatch):
    """A clock of the simulated exchange that a test sets; it stands half an hour after a funding time."""

    class Clock:
        now = 1_760_000_000_000 // FUNDING_MS * FUNDING_MS + HOUR // 2

    monkeypatch.setattr(simulated, "real_ms", lambda: Clock.now)
    return Clock


@pytest.fixture
def swap(exchange, clock):
    services.sync_markets(exchange)
    market = Market.objects.get(symbol=SYMBOL)
    Feed.objects.create(market=market, timeframe=60)
    return market


def times(market) -> list[int]:
    return funding.load(market.pk, -1, 2**62)[0].tolist()


def test_load_gives_what_is_due_after_one_moment_and_up_to_another(swap):
    funding.upsert(swap.pk, [Rate(3 * HOUR, 0.3), Rate(HOUR, 0.1), Rate(2 * HOUR, -0.2)])
    found, rates = funding.load(swap.pk, HOUR, 3 * HOUR)
    assert (found.tolist(), rates.tolist()) == ([2 * HOUR, 3 * HOUR], [-0.2, 0.3])
    assert (found.dtype, rates.dtype) == ("int64", "float64")
    assert funding.load(swap.pk, 3 * HOUR, 2**62)[0].dtype == "int64"


def test_the_same_rate_again_changes_nothing_and_milliseconds_are_no_other_time(swap):
    assert funding.upsert(swap.pk, [Rate(HOUR + 17, 0.1)]) == 1
    assert funding.upsert(swap.pk, [Rate(HOUR, 0.1)]) == 0
    assert funding.upsert(swap.pk, [Rate(HOUR, 0.2)]) == 1
    assert funding.upsert(swap.pk, []) == 0
    assert list(FundingRate.objects.values_list("time", "rate")) == [(HOUR, 0.2)]


def test_a_swap_with_a_feed_gets_its_history_once_and_then_what_is_new(swap, clock):
    assert services.sync_funding() == 180
    assert times(swap)[-1] == clock.now - HOUR // 2
    assert services.sync_funding() == 0
    clock.now += FUNDING_MS
    assert services.sync_funding() == 1
    swap.refresh_from_db()
    assert swap.funding_to == clock.now - SETTLING_MS


def test_it_is_asked_for_once_an_hour_when_the_rate_has_settled(swap, clock):
    asked = []

    def known() -> int:
        services.sync_funding()
        swap.refresh_from_db()
        asked.append(swap.funding_to)
        return swap.funding_to

    first = known()
    clock.now += 10 * 60_000
    assert known() == first, "within the hour nothing can be due"
    clock.now += 20 * 60_000 + SETTLING_MS - 1
    assert known() == first, "just after the hour the rate may not be out yet"
    clock.now += 1
    assert known() == clock.now - SETTLING_MS


def test_spot_markets_and_swaps_without_a_feed_are_not_asked_for(exchange, clock):
    services.sync_markets(exchange)
    Feed.objects.create(market=Market.objects.get(symbol="BTC/USDT"), timeframe=60)
    assert services.sync_funding() == 0
    assert not Market.objects.exclude(funding_to=None).exists()


def test_an_exchange_that_fails_says_no_more_than_it_knows_and_stops_no_other(swap, clock, caplog):
    Exchange.objects.create(slug="broken", name="Broken", ccxt_id="nowhere")
    broken = Market.objects.create(
        exchange=Exchange.objects.get(slug="broken"), symbol=SYMBOL, base="BTC", quote="USDT", type="swap", tick="1",
        lot="1",
    )  # fmt: skip
    Feed.objects.create(market=broken, timeframe=60)
    assert services.sync_funding() == 180
    broken.refresh_from_db()
    assert broken.funding_to is None
    assert "There is no exchange 'nowhere'" in caplog.text


def test_a_long_history_comes_page_by_page(swap, clock, monkeypatch):
    """Also where an exchange gives fewer at a time than it is asked for."""
    asked = SimulatedQuotes.fetch_funding_rates
    monkeypatch.setattr(SimulatedQuotes, "fetch_funding_rates", lambda self, *what: asked(self, *what)[:70])
    assert services.sync_funding() == 180
    assert len(times(swap)) == 180


def test_a_rate_that_comes_late_is_waited_for_and_not_passed_over(swap, clock, monkeypatch):
    services.sync_funding()
    clock.now += FUNDING_MS - HOUR // 2 + SETTLING_MS + 5_000  # the next one is due
    due = (clock.now - SETTLING_MS) // HOUR * HOUR
    asked = SimulatedQuotes.fetch_funding_rates
    published = due + 3 * MINUTE_MS

    def late(self, *what):
        return [rate for rate in asked(self, *what) if rate.time < due or clock.now >= published]

    monkeypatch.setattr(SimulatedQuotes, "fetch_funding_rates", late)
    assert services.sync_funding() == 0
    assert Market.objects.get(pk=swap.pk).funding_to == due - 1, "runs wait"
    clock.now += 30_000
    assert services.sync_funding() == 0
    clock.now = published + 5_000
    assert services.sync_funding() == 1
    assert times(swap)[-1] == due
    assert Market.objects.get(pk=swap.pk).funding_to >= due


def test_a_rate_that_never_comes_is_not_waited_for_long(swap, clock, monkeypatch):
    services.sync_funding()
    monkeypatch.setattr(SimulatedQuotes, "fetch_funding_rates", lambda self, *what: [])
    clock.now += FUNDING_MS
    assert services.sync_funding() == 0
    assert Market.objects.get(pk=swap.pk).funding_to == clock.now - SETTLING_MS


def test_the_simulated_exchange_and_the_table_agree(swap):
    services.sync_funding()
    stored = funding.load(swap.pk, 0, 2**62)
    rates = gateway.connect(swap.exchange).fetch_funding_rates(SYMBOL, 0, 1000)
    assert list(zip(*(column.tolist() for column in stored), strict=True)) == [tuple(rate) for rate in rates]


# Files


def imported(path, market=SYMBOL, exchange="test"):
    out = StringIO()
    call_command("import_funding", str(path), "--exchange", exchange, "--market", market, "--json", stdout=out)
    return json.loads(out.getvalue())


def refused(path, **options) -> str:
    with pytest.raises(CommandError) as caught:
        imported(path, **options)
    assert caught.value.returncode == 2
    assert not FundingRate.objects.exists()
    return str(caught.value)


@pytest.fixture
def file(tmp_path):
    def write(*lines):
        path = tmp_path / "funding.csv"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.mark.parametrize("header", ["timestamp,rate", "rate,timestamp", "timestamp,fundingRate", "timestamp,open,high"])
def test_a_file_names_its_columns(swap, file, header):
    rows = [",".join({"timestamp": str(time)}.get(name, "0.0001") for name in header.split(",")) for time in (9, HOUR)]
    assert imported(file(header, *rows)) == {"rows": 2, "stored": 2, "unchanged": 0}
    assert imported(file(header, *rows))["unchanged"] == 2
    assert times(swap) == [0, HOUR]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["time,rate", "1,1"], "must begin with a line that names timestamp and fundingrate"),
        ([], "must begin with a line that names timestamp"),
        (["timestamp,rate"], "has no funding rates."),
        (["timestamp,rate", "1000"], "line 2 of {path}: 2 columns are needed, not 1."),
        (["timestamp,rate", "x,0.1"], "line 2 of {path}: timestamp is not a time: 'x'."),
        (["timestamp,rate", "1,nan"], "line 2 of {path}: rate must be a fraction between -1 and 1, not 'nan'."),
        (["timestamp,rate", "1,0.1", "2,1.5"], "line 3 of {path}: rate must be a fraction between -1 and 1, not '1.5'"),
        (["timestamp,rate", "2,0.1", "1,0.1"], "line 3 of {path}: timestamp must be after 2."),
    ],
)
def test_a_bad_file_gets_a_sentence_and_stores_nothing(swap, file, lines, sentence):
    path = file(*lines)
    assert sentence.format(path=path) in refused(path)


def test_only_a_swap_that_is_stored_has_funding(swap, file):
    path = file("timestamp,rate", "1,0.1")
    assert "There is no market XAU/USDT:USDT on 'test'" in refused(path, market="XAU/USDT:USDT")
    assert "must be a swap" in refused(path, market="BTC/USDT")


@pytest.mark.django_db
def test_real_rates_and_candles_of_a_swap_come_from_their_files():
    candles = DATA / "ft_XRPUSDT_perp_futures_1h_2021-11.csv.gz"
    rates = DATA / "ft_XRPUSDT_perp_fundingrate_8h_2021-11.csv.gz"
    if not candles.exists():
        pytest.skip("real funding rates are not beside the project")
    call_command(
        "import_candles", str(candles), "--exchange", "file", "--market", "XRP/USDT:USDT", "--timeframe", "1h",
        "--create", stdout=StringIO(),
    )  # fmt: skip
    market = Market.objects.get()
    assert (market.type, market.max_leverage) == ("swap", 20)
    assert imported(rates, "XRP/USDT:USDT", "file") == {"rows": 91, "stored": 91, "unchanged": 0}
    with gzip.open(rates, "rt") as source:
        first = source.readlines()[1].split(",")
    found, values = funding.load(market.pk, 0, 2**62)
    assert (found[0], values[0]) == (int(first[0]) // 60_000 * 60_000, float(first[1]))
    assert set((found[1:] - found[:-1]).tolist()) == {FUNDING_MS}
