"""Positions, trades, orders and activity: what every one of the long tables promises."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bots.models import Bot, Event, Order, Position, Run, Trade
from dashboard import listings
from tests.dashboard.cast import make_bot, make_market, make_user

TABLES = ("positions", "trades", "orders", "activity")


def bots_of(answer):
    return re.findall(r'<a(?: class="cut")? href="/bots/\d+/[^"]*">([^<]+)</a>', answer.text_.split('id="rows"')[1])


def link(answer, rel):
    found = re.search(rf'href="([^"]+)" rel="{rel}"', answer.text_)
    return found and found[1].replace("&amp;", "&")


@pytest.fixture
def two(owner, market):
    """A grid on bitcoin and a real one on ether, which did the same a day earlier."""
    first = make_bot(owner, market, name="Alpha")
    second = make_bot(owner, make_market("ETH/USDT"), name="Beta", mode="live")
    second.runs.update(kind="dca")
    day = timedelta(days=1)
    for rows, columns in (
        (Trade, ["time"]), (Order, ["created_at"]), (Position, ["opened_at"]), (Event, ["time", "recorded_at"]),
    ):  # fmt: skip
        for row in rows.objects.filter(bot=second):
            rows.objects.filter(pk=row.pk).update(**{name: getattr(row, name) - day for name in columns})
    return first, second


@pytest.mark.parametrize("name", TABLES)
def test_a_table_holds_the_rows_of_all_bots_newest_first(page, two, name):
    shown = bots_of(page(f"/{name}/"))
    if name == "activity":  # in the order in which they were recorded in
        assert set(shown) == {"Alpha", "Beta"}
    else:
        assert shown == sorted(shown)
        assert set(shown) == {"Alpha", "Beta"}


FILTERS = {
    "bot=alp": {"Alpha"}, "bot=nobody": set(), "market=eth": {"Beta"}, "kind=dca": {"Beta"}, "mode=live": {"Beta"},
    "mode=paper": {"Alpha"}, "kind=grid&market=ETH": set(), "bot=999999999": set(),
    "kind=made-up&mode=none": {"Alpha", "Beta"}, "bot=٣": set(), "size=ten&order=none&after=x": {"Alpha", "Beta"},
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_filters_are_in_the_address(page, two, name):
    assert {query: set(bots_of(page(f"/{name}/?{query}"))) for query in FILTERS} == FILTERS


@pytest.mark.parametrize("name", TABLES)
def test_a_filter_takes_the_number_of_a_bot_and_of_a_market(page, two, name):
    first, second = two
    assert set(bots_of(page(f"/{name}/?bot={second.pk}"))) == {"Beta"}
    assert set(bots_of(page(f"/{name}/?market={first.market_id}"))) == {"Alpha"}


@pytest.mark.parametrize("name", TABLES)
def test_a_time_range_is_half_open(page, two, name):
    noon = timezone.now() - timedelta(hours=12)
    assert set(bots_of(page(f"/{name}/?from={noon:%Y-%m-%dT%H:%M}"))) == {"Alpha"}
    assert set(bots_of(page(f"/{name}/?to={noon:%Y-%m-%dT%H:%M}"))) == {"Beta"}
    assert set(bots_of(page(f"/{name}/?from=yesterday&to=0000-99-99"))) == {"Alpha", "Beta"}


COUNTS = {
    "/trades/?side=buy": 4, "/trades/?side=sell&bot=alpha": 2, "/orders/?side=buy": 6, "/orders/?state=closed": 0,
    "/orders/?state=all": 12, "/positions/?state=closed": 0, "/positions/?side=short": 0, "/positions/?side=long": 2,
    "/activity/?level=attention": 2, "/activity/?level=error": 0, "/activity/?level=info": 2,
    "/activity/?code=order_filled&bot=Beta": 1, "/activity/?level=warning&code=order_filled": 0,
}  # fmt: skip


def test_each_table_has_filters_of_its_own(page, two):
    assert {address: len(bots_of(page(address))) for address in COUNTS} == COUNTS


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("order", ["", "oldest"])
def test_pages_lead_there_and_back_and_miss_no_row(page, owner, market, name, order):
    """Rows of one moment included: several have the same time."""
    for number in range(13):
        bot = make_bot(owner, market, name=f"Grid {number:02}", trades=2, orders=2)
        if number % 3 == 0:
            Trade.objects.filter(bot=bot).update(time=timezone.now().replace(microsecond=0))
    whole = page(f"/{name}/?order={order}&size=1000").text_
    expected = re.findall(r"Grid \d\d", whole.split('id="rows"')[1])
    there, address = [], f"/{name}/?order={order}&size=10"
    while address:
        answer = page(address if address.startswith("/") else f"/{name}/{address}")
        there.append(re.findall(r"Grid \d\d", answer.text_.split('id="rows"')[1]))
        address = link(answer, "next")
    assert [name for names in there for name in names] == expected
    assert len(there) >= 2
    assert 'rel="next"' not in answer.text_
    back = []
    while address := link(answer, "prev"):
        answer = page(f"/{name}/{address}")
        back.insert(0, re.findall(r"Grid \d\d", answer.text_.split('id="rows"')[1]))
    assert back == there[:-1]


def test_a_page_holds_ten_to_a_thousand_rows_and_a_hundred_by_default(page, owner, market):
    make_bot(owner, market, trades=130)
    assert [len(bots_of(page(f"/trades/{query}"))) for query in ("", "?size=3", "?size=120", "?size=99999")] == [
        100, 10, 120, 130,
    ]  # fmt: skip


def test_trades_are_counted_without_reading_them(page, two):
    assert "8 trades" in page("/trades/").text_
    assert "4 trades" in page("/trades/?bot=alpha").text_
    assert "2 trades" in page("/trades/?bot=alpha&side=buy").text_  # all of them are on the page


@pytest.mark.parametrize("few", [0, 10_000])
def test_however_many_trades_a_filter_leaves_the_rows_are_the_same(page, two, monkeypatch, few):
    monkeypatch.setattr(listings, "FEW_TRADES", few)
    assert bots_of(page("/trades/?bot=a")) == ["Alpha"] * 4 + ["Beta"] * 4
    monkeypatch.setattr(listings, "FEW_BOTS", 0)
    for name in TABLES:
        assert set(bots_of(page(f"/{name}/?bot=beta"))) == {"Beta"}


@pytest.mark.parametrize("name", TABLES)
def test_without_rows_it_offers_the_next_step(page, name):
    assert "yet</h2>" in page(f"/{name}/").text_
    assert "Clear the filters" in page(f"/{name}/?bot=none").text_
    assert "To the first page" in page(f"/{name}/?after={'1' if name == 'activity' else '1-1'}").text_


@pytest.mark.parametrize("name", TABLES)
def test_a_table_takes_two_queries_and_the_visitors_three(page, owner, market, django_assert_num_queries, name):
    for number in range(20):
        make_bot(owner, market, name=f"Grid {number}")
    with django_assert_num_queries(5):
        page(f"/{name}/?bot=grid")


@pytest.mark.parametrize("name", TABLES)
def test_a_fragment_holds_the_rows_alone(page, two, name):
    text = page(f"/{name}/", **{"HX-Request": "true"}).text_
    assert "<html" not in text
    assert 'id="rows"' in text


@pytest.mark.parametrize("name", TABLES)
def test_nobody_sees_the_rows_of_another(client, two, stranger, name):
    client.force_login(stranger)
    queries = ("", f"?bot={two[0].pk}", f"?market={two[0].market_id}", "?state=all")
    for address in (f"/{name}{suffix}{query}" for suffix in ("/", ".csv", ".ndjson") for query in queries):
        text = b"".join(client.get(address)).decode()
        assert "Alpha" not in text, address
        assert "Beta" not in text, address


@pytest.fixture
def download(client, owner):
    """The text of a file that the owner asks for."""
    client.force_login(owner)

    def get(path):
        answer = client.get(path)
        assert answer.streaming
        assert re.search(
            rf'filename="{path[1:].split(".")[0]}-\d{{4}}-\d\d-\d\d\.', answer.headers["Content-Disposition"]
        )
        return b"".join(answer).decode()

    return get


@pytest.mark.parametrize("name", TABLES)
def test_an_export_has_every_row_that_the_address_asks_for(download, two, name):
    both = list(csv.DictReader(io.StringIO(download(f"/{name}.csv?size=10&after=1-1"))))
    one = [json.loads(line) for line in download(f"/{name}.ndjson?bot=beta").splitlines()]
    assert {row["bot"] for row in both} == {"Alpha", "Beta"}
    assert {row["bot"] for row in one} == {"Beta"}
    assert len(both) == 2 * len(one)
    assert list(both[0]) == list(one[0])
    assert one == [row for row in both if row["bot"] == "Beta"] or name == "positions"  # null is no text


def test_numbers_in_an_export_are_exact(download, bot):
    Trade.objects.filter(number=1).update(price=Decimal("0.000000000000000001"), amount=Decimal("12345678901234567890"))
    row = next(row for row in csv.DictReader(io.StringIO(download("/trades.csv"))) if row["order"].endswith("-0"))
    assert (row["price"], row["amount"]) == ("0.000000000000000001", "12345678901234567890")
    assert row["value"] == "12.34567890123456789"
    assert row["realized"] == "-0.05"  # its fee
    line = next(line for line in download("/trades.ndjson").splitlines() if '-0"' in line)
    assert json.loads(line)["amount"] == "12345678901234567890"


def test_what_a_bot_realized_is_one_figure_wherever_it_is_told_less_fees(client, page, download, bot):
    """Two sales that locked in 1.50 each, and four fees of 0.05: 3.00 - 0.20."""
    for record in (Run, Position):
        record.objects.update(realized=3, fees=Decimal("0.2"))
    for path in (f"/bots/{bot.pk}/", "/positions/"):
        text = page(path).text_
        assert "Net realized" in text, path
        assert "+2.80" in text, path
    for path in ("/trades/", f"/bots/{bot.pk}/?tab=trades"):
        assert len(re.findall(r"\+1\.45|−0\.05", page(path).text_)) == 4, path
    sums = []
    for name in ("positions", "trades"):
        sums.append([row["realized"] for row in csv.DictReader(io.StringIO(download(f"/{name}.csv")))])
        sums.append([row["realized"] for row in client.get(f"/api/{name}").json()["items"]])
    sums.append([client.get(f"/api/bots/{bot.pk}").json()["run"]["realized"]])
    performance = client.get("/api/performance?book=paper:USDT").json()
    sums += [[performance["realized"]], [performance["shares"][0]["realized"]]]
    assert [sum(map(Decimal, one)) for one in sums] == [Decimal("2.8")] * 7


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_name_is_no_formula_in_a_spreadsheet(download, bot, first):
    name = f'{first}HYPERLINK("http://evil.example","x")'
    Bot.objects.update(name=name)
    (row, *_) = csv.DictReader(io.StringIO(download("/trades.csv"), newline=""))
    assert row["bot"] == f"'{name}"
    assert json.loads(download("/trades.ndjson").splitlines()[0])["bot"] == name  # no spreadsheet reads this


def test_what_is_typed_stays_one_cell_and_one_line(download, bot):
    message = 'a "quote", a comma\nand \\n a line\x01\x02 é 漢'
    Event.objects.update(message=message)
    assert {row["message"] for row in csv.DictReader(io.StringIO(download("/activity.csv"), newline=""))} == {message}
    assert {json.loads(line)["message"] for line in download("/activity.ndjson").splitlines()} == {message}


def test_an_export_passes_through_a_little_at_a_time(client, owner, market):
    make_bot(owner, market, trades=3_000)
    client.force_login(owner)
    chunks = list(client.get("/trades.csv"))
    assert len(chunks) > 3
    assert max(map(len, chunks)) < 70_000
    assert len(b"".join(chunks).splitlines()) == 3_001


def test_an_export_of_nothing_is_a_head_alone(download):
    assert download("/trades.csv").startswith("time,bot,market,")
    assert download("/trades.ndjson") == ""


def test_what_people_type_is_text_in_the_page(page, two):
    Bot.objects.filter(pk=two[0].pk).update(name="<script>alert(1)</script>")
    assert "<script>alert" not in page("/trades/?bot=<script>").text_


def test_paper_money_is_marked_on_every_table_that_shows_it(page, two):
    for name in ("positions", "trades", "orders"):
        assert "Simulated money" in page(f"/{name}/?mode=paper").text_
        assert "Simulated money" not in page(f"/{name}/?mode=live").text_


def test_what_people_and_exchanges_write_is_text_on_every_page(page, owner, market):
    hostile = '<b onclick="x">&</b>'
    bot = make_bot(owner, market, name=hostile)
    Trade.objects.filter(bot=bot).update(tag=hostile, fee_currency=hostile[:10])
    Order.objects.filter(bot=bot).update(tag=hostile, type=hostile[:8])
    Event.objects.filter(bot=bot).update(message=hostile, code=hostile, data={hostile: hostile}, level="warning")
    type(market).objects.update(symbol=hostile)

    for path in (*(f"/{name}/" for name in TABLES), "/", "/bots/", f"/bots/{bot.pk}/", f"/bots/{bot.pk}/?tab=log"):
        text = page(path).text_
        assert hostile[:3] not in text, path
        assert "&lt;b onclick" in text, path


def test_a_kept_position_is_shown_as_kept_until_its_owner_dismisses_it(client, page, two):
    first, second = two
    Position.objects.filter(bot=first).update(status="kept")
    assert set(bots_of(page("/positions/"))) == {"Beta"}
    shown = page("/positions/?state=kept")
    assert set(bots_of(shown)) == {"Alpha"}
    address = re.search(r'href="(/positions/\d+/dismiss/)"', shown.text_)[1]
    assert "Nothing is sold: the account still holds it." in page(address).text_
    assert client.post(address).headers["Location"] == "/positions/?state=kept"
    assert Position.objects.get(bot=first).status == "dismissed"
    assert set(bots_of(page("/positions/?state=dismissed"))) == {"Alpha"}
    open_one = Position.objects.get(bot=second)
    assert client.post(f"/positions/{open_one.pk}/dismiss/").status_code == 404
    client.force_login(make_user("stranger"))
    Position.objects.filter(bot=second).update(status="kept")
    assert client.post(f"/positions/{open_one.pk}/dismiss/").status_code == 404
    assert Position.objects.get(bot=second).status == "kept"
