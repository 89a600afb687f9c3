from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from io import StringIO

import pytest
from django.conf import settings as project
from django.core.management import CommandError, call_command
from django.db import connection

from markets import candles, imports, services
from markets.models import Candle, Exchange, Feed, Market
from markets.simulated import real_ms
from tests.markets.conftest import DATA, made_candles, real_candles

HEADER = "timestamp,open,high,low,close,volume\n"
START = 1_700_000_040_000


def lines_of(made) -> list[str]:
    return [",".join(repr(value) for value in row) for row in made.rows()]


@pytest.fixture
def write(tmp_path):
    def write(lines, name="candles.csv", header=HEADER):
        path = tmp_path / name
        path.write_bytes((header + "".join(f"{line}\n" for line in lines)).encode())
        return path

    return write


def run(path, *flags, market="BTC/USDT", exchange="paper", timeframe="1m", create=True):
    out, err = StringIO(), StringIO()
    arguments = ["--exchange", exchange, "--market", market, "--timeframe", timeframe, "--json", *flags]
    if create:
        arguments.append("--create")
    try:
        call_command("import_candles", str(path), *arguments, stdout=out, stderr=err)
    except CommandError as error:
        refusal = error
    else:
        return json.loads(out.getvalue()), err.getvalue()
    assert (refusal.returncode, out.getvalue()) == (2, "")
    return str(refusal), err.getvalue()


@pytest.mark.django_db
def test_a_file_is_stored_bit_for_bit_and_again_changes_nothing(write):
    made = made_candles(500)
    path = write(lines_of(made))
    told, _ = run(path)
    assert (told["rows"], told["stored"], told["unchanged"], told["bad"], told["gaps"]) == (500, 500, 0, 0, 0)
    assert (told["first"], told["last"]) == (made.time[0], made.time[-1])
    assert candles.load(Market.objects.get().pk, 60).rows() == made.rows()
    told, _ = run(path, create=False)
    assert (told["stored"], told["unchanged"]) == (0, 500)


@pytest.mark.django_db
def test_create_takes_tick_and_lot_from_the_decimals(write):
    path = write([f"{START},1.10,1.250,1,1.2,3.00100", f"{START + 60000},1.2,1.2,1.2,1.2,1e-4"])
    told, _ = run(path, market="BTC/USDT:USDT")
    assert (told["tick"], told["lot"]) == ("0.01", "0.0001")
    market = Market.objects.select_related("exchange").get()
    assert (market.base, market.quote, market.type) == ("BTC", "USDT", "swap")
    assert market.exchange.ccxt_id == "file"
    assert market.last == 1.2


@pytest.mark.django_db
def test_an_imported_feed_says_how_far_it_reaches_and_is_not_synced(write):
    run(write(lines_of(made_candles(10))))
    feed = Feed.objects.get()
    assert (feed.synced_to, feed.enabled, feed.keep_days) == (START + 9 * 60_000, False, 0)
    assert services.sync() == 0
    assert Feed.objects.get().error == ""
    run(write(lines_of(made_candles(5))))
    assert Feed.objects.get().synced_to == START + 9 * 60_000


@pytest.mark.django_db
def test_existing_markets_keep_their_tick(write, market):
    told, _ = run(write(lines_of(made_candles(5))), exchange="test")
    assert told["tick"] == "0.01"
    assert Market.objects.get() == market


@pytest.mark.django_db
def test_without_create_a_missing_market_is_named(write):
    message, _ = run(write(lines_of(made_candles(5))), create=False)
    assert message == "There is no market BTC/USDT on 'paper'; --create makes it."


@pytest.mark.django_db
@pytest.mark.parametrize("symbol", ["BTCUSDT", "btc/usdt", "BTC/", "BTC/USDT:", "../etc", "BTC/USDT/X"])
def test_a_symbol_that_is_none_is_refused(write, symbol):
    message, _ = run(write(lines_of(made_candles(5))), market=symbol)
    assert message.startswith("market must be BASE/QUOTE")
    assert not Exchange.objects.exists()


BAD_ROWS = [
    ("abc,1,1,1,1,1", "timestamp is not a number: 'abc'"),
    (f"{START + 120000}.5,1,1,1,1,1", "timestamp is not a number"),
    (f"{START + 120000},x,1,1,1,1", "open is not a number: 'x'"),
    (f"{START + 120000},1,,1,1,1", "high is not a number: ''"),
    (f"{START + 120000},1,1,1,1,", "volume is not a number: ''"),
    (f"{START + 120000},1_0,1_0,1_0,1_0,1", "open is not a number: '1_0'"),
    (f"{START + 120000},1,1,1,١,1", "close is not a number"),
    (f'{START + 120000},"1",1,1,1,1', "open is not a number"),
    (f"{START + 120000},nan,1,1,1,1", "open must be a finite number, not nan"),
    (f"{START + 120000},1,inf,1,1,1", "high must be a finite number, not inf"),
    (f"{START + 120000},1,1e999,1,1,1", "high must be a finite number, not inf"),
    (f"{START + 120000},1,1,2,1,1", "high 1.0 is below low 2.0"),
    (f"{START + 120000},3,2,1,1,1", "high 2.0 is below open 3.0"),
    (f"{START + 120000},0,1,0,1,1", "open must be above 0"),
    (f"{START + 120000},1,1,1,1,-1", "volume must be 0 or more"),
    (f"{START + 60000},1,1,1,1,1", "is a duplicate"),
    (f"{START},1,1,1,1,1", "is out of order"),
    (f"{START + 120001},1,1,1,1,1", "is not the open time of a 1m candle"),
    (f"{real_ms() // 60000 * 60000 + 86400000},1,1,1,1,1", "has not closed yet"),
    ("99999999999999999999999,1,1,1,1,1", "timestamp is not a number"),
    (f"{START + 120000},1,1,1,1", "6 columns are needed, not 5"),
    (f"{START + 120000},1,1,1,1,1,1", "6 columns are needed, not 7"),
    ("", "6 columns are needed, not 0"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("bad", "sentence"), BAD_ROWS, ids=[sentence for _, sentence in BAD_ROWS])
def test_a_malformed_row_is_told_with_its_line_and_keeps_everything_out_unless_skipped(write, bad, sentence):
    good = lines_of(made_candles(5))
    path = write([*good[:2], bad, *good[2:]])
    message, told = run(path)
    assert message == "1 of 6 rows are bad and nothing was stored; --skip-bad leaves them out."
    assert told.startswith("line 4: ")
    assert sentence in told
    assert not Candle.objects.exists()
    assert not Market.objects.exists()
    result, told = run(path, "--skip-bad")
    assert sentence in told
    assert (result["stored"], result["bad"]) == (5, 1)


@pytest.mark.django_db
def test_lines_and_order_are_kept_across_chunks(write, monkeypatch):
    monkeypatch.setattr(imports, "CHUNK", 3)
    good = lines_of(made_candles(10))
    told, faults = run(write([*good[:3], good[2], *good[3:7], good[0], *good[8:]]), "--skip-bad")
    assert (told["stored"], told["bad"], told["gaps"]) == (9, 2, 1)
    assert "line 5: timestamp" in faults
    assert "line 10: timestamp" in faults


@pytest.mark.django_db
def test_all_bad_rows_are_counted_and_some_listed(write):
    message, told = run(write(["x,1,1,1,1,1"] * 100))
    assert message.startswith("100 of 100 rows are bad")
    assert "… and 80 more bad rows." in told
    assert len(told.strip().splitlines()) == 21


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.csv", b"", "is empty; its first line must be timestamp,open"),
        ("header.csv", HEADER.encode(), "has no candles"),
        ("headless.csv", f"{START},1,1,1,1,1\n".encode(), "must begin with the line timestamp,open"),
        ("wrong.csv", b"time,open,high,low,close,volume\n", "must begin with the line timestamp,open"),
        ("latin.csv", HEADER.encode() + b"\xe9\xff,1,1,1,1,1\n", "is not text in UTF-8"),
        ("binary.csv", HEADER.encode() + b"1\x00,1,1,1,1,1\n", "holds null bytes"),
        ("noise.csv", bytes(range(256)) * 9, "is not text in UTF-8"),
        ("plain.csv.gz", HEADER.encode(), "is not a sound gzip file"),
        ("zipped.csv", gzip.compress(HEADER.encode(), mtime=0), "is not text in UTF-8"),
        ("endless.csv", HEADER.encode() + b"1" * 100_000, "has a line of 4096 characters or more"),
    ],
)
def test_a_file_that_is_none_gets_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    message, _ = run(path)
    assert sentence in message
    assert not Exchange.objects.exists()


@pytest.mark.django_db
def test_a_truncated_gzip_stores_nothing(tmp_path):
    whole = gzip.compress((HEADER + "\n".join(lines_of(made_candles(2000)))).encode())
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    message, _ = run(path)
    assert "incomplete" in message
    assert not Candle.objects.exists()
    path.write_bytes(whole[:2000] + b"\0\0\0\0" + whole[2004:])
    message, _ = run(path)
    assert "is not a sound gzip file" in message


@pytest.mark.django_db
def test_a_missing_file_and_a_folder_get_one_sentence(tmp_path):
    assert "No such file" in run(tmp_path / "none.csv")[0]
    assert "cannot be opened" in run(tmp_path)[0]


def test_an_unknown_timeframe_is_refused():
    with pytest.raises(CommandError, match="timeframe must be one of"):
        call_command("import_candles", "x.csv", "--exchange=a", "--market=A/B", "--timeframe=7m")


@pytest.mark.django_db
def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    path = tmp_path / "windows.csv"
    lines = lines_of(made_candles(3))
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + "\n".join(lines) + "\n").replace("\n", "\r\n").encode())
    assert run(path)[0]["stored"] == 3


@pytest.mark.django_db(transaction=True)
def test_an_import_killed_half_way_stores_nothing(tmp_path):
    lines = lines_of(made_candles(imports.CHUNK + 20_000))
    path = tmp_path / "slow.csv"
    os.mkfifo(path)
    address = connection.settings_dict
    url = f"postgres://{address['USER']}:{address['PASSWORD']}@{address['HOST']}:{address['PORT']}/{address['NAME']}"
    command = [sys.executable, "manage.py", "import_candles", str(path), "--exchange", "paper"]
    command += ["--market", "BTC/USDT", "--timeframe", "1m", "--create"]
    child = subprocess.Popen(command, cwd=project.BASE_DIR, env={**os.environ, "DATABASE_URL": url})
    try:
        # Returns when the child has read all but a pipe's worth of it, so a chunk is on its way to the database.
        with path.open("w") as pipe:
            pipe.write(HEADER + "\n".join(lines) + "\n")
            pipe.flush()
            assert child.poll() is None
            os.kill(child.pid, signal.SIGKILL)
            assert child.wait(30) == -signal.SIGKILL
    finally:
        child.kill()
        child.wait(30)
    assert not Candle.objects.exists()
    assert not Exchange.objects.exists()
    path.unlink()
    path.write_text(HEADER + "\n".join(lines) + "\n")
    assert run(path)[0]["stored"] == len(lines)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "timeframe", "tick", "lot"),
    [
        ("binance_BTCUSDT_1m_2024.csv.gz", "1m", "0.01", "0.00001"),
        ("binance_XRPUSDT_1h_2024.csv.gz", "1h", "0.0001", "1"),
    ],
)
def test_real_files_are_imported_whole(name, timeframe, tick, lot):
    real = real_candles(name)
    told, _ = run(DATA / name, timeframe=timeframe)
    assert (told["stored"], told["bad"], told["tick"], told["lot"]) == (len(real), 0, tick, lot)
    assert run(DATA / name, timeframe=timeframe)[0]["stored"] == 0


@pytest.mark.django_db
def test_empty_volumes_of_a_real_file_are_bad_rows():
    path = DATA / "ft_XRPUSDT_perp_mark_1h_2021-11.csv.gz"
    if not path.exists():
        pytest.skip("real candles are not beside the project")
    message, told = run(path, market="XRP/USDT:USDT", timeframe="1h")
    assert message.startswith("100 of 100 rows are bad")
    assert "line 2: volume is not a number: ''" in told
