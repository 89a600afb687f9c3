from __future__ import annotations

import pytest

from bots.rules.parse import RuleError, parse
from bots.rules.tree import Arithmetic, Both, Column, Compare, Constant, Cross, Either, Not, Value, sources

CLOSE, ONE, TWO, THREE = Column("close"), Constant(1.0), Constant(2.0), Constant(3.0)
UP, DOWN = Compare(">", CLOSE, ONE), Compare("<", CLOSE, TWO)


def sma(period, timeframe=0):
    return Value("sma", (period,), "sma", timeframe)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("close > 1", UP),
        ("CLOSE>1", UP),
        ("(close) > (1)", UP),
        ("not close > 1", Not(UP)),
        ("close > 1 or close < 2 and close > 1", Either(UP, Both(DOWN, UP))),
        ("(close > 1 or close < 2) and close > 1", Both(Either(UP, DOWN), UP)),
        ("not close > 1 and close < 2", Both(Not(UP), DOWN)),
        ("close + 1 * 2 >= 3", Compare(">=", Arithmetic("+", CLOSE, Arithmetic("*", ONE, TWO)), THREE)),
        ("close - 1 - 2 != 3", Compare("!=", Arithmetic("-", Arithmetic("-", CLOSE, ONE), TWO), THREE)),
        ("-close == 1", Compare("==", Arithmetic("-", Constant(0.0), CLOSE), ONE)),
        ("sma(10) crosses above sma(50)", Cross(True, sma(10), sma(50))),
        ("close crosses below sma", Cross(False, CLOSE, sma(20))),
        (
            "macd.histogram(3, 9) <= .5e1",
            Compare("<=", Value("macd", (3, 9, 9), "histogram"), Constant(5.0)),
        ),
        ("close@4h > sma(5)@1d", Compare(">", Column("close", 14_400), sma(5, 86_400))),
    ],
)
def test_a_text_becomes_a_rule(text, expected):
    assert parse(text) == expected


def test_a_source_is_written_as_it_is_read():
    texts = ["sma(10)", "macd.signal(12, 26, 9)@4h", "bollinger(20, 2.5)", "volume@1d"]
    for text in texts:
        assert [str(source) for source in sources(parse(f"{text} > 0"))] == [text]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'at character 1: the rule ends where a number, a name or "(" was expected.'),
        ("close >", 'at character 8: the rule ends where a number, a name or "(" was expected.'),
        ("(close > 3", 'at character 11: the rule ends where "or" or ")" was expected.'),
        ("close > 3 )", "at character 11: expected \"or\" or the end, not ')'."),
        (
            "sma(10) cross above sma(50)",
            'at character 9: expected a comparison, "crosses", "and", "or" or the end, not \'cross\'; '
            "did you mean crosses?",
        ),
        ("close @ > 1", "at character 9: expected a timeframe, not '>'."),
        ("close # 1", "at character 7: '#' means nothing here."),
        ("İ", "at character 1: 'İ' means nothing here."),
        ("close > ٣", "at character 9: '٣' means nothing here."),
        ("smaa(10) > 3", "at character 1: no column or indicator is called 'smaa'; did you mean sma?"),
        ("close(3) > 1", "at character 1: close is a column: it takes no numbers and has no outputs."),
        ("close > sma(1, 2)", "at character 9: sma takes at most period, not 2 numbers."),
        ("close > sma(1)", "at character 9: sma needs a period that is a whole number from 2 to 5000, not 1."),
        ("close > sma(2.5)", "at character 9: sma needs a period that is a whole number from 2 to 5000, not 2.5."),
        ("close > sma(1e999)", "at character 9: sma needs a period that is a whole number from 2 to 5000, not inf."),
        (
            "close > bollinger(20, -1)",
            "at character 9: bollinger needs deviations above 0 and at most 100.0, not -1.",
        ),
        ("macd.width > 1", "at character 6: macd has macd, signal, histogram, not 'width'."),
        ("close@3h > 1", "at character 7: timeframe must be one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, not '3h'."),
        ("close > 1e999", "at character 9: a number must be below 1.8e308, not 1e999."),
        ("close", "at character 1: a rule must be a condition such as close > sma(20), not a number."),
        ("1 > 0", "at character 1: a rule must name a column or an indicator."),
        ("close > (3 > 2)", "at character 10: what > compares must be a number, not a condition."),
        (
            "close > 1 and 3",
            "at character 15: each side of and must be a condition such as close > sma(20), not a number.",
        ),
        (
            "not close",
            "at character 5: what follows not must be a condition such as close > sma(20), not a number.",
        ),
        ("not " * 200 + "close > 1", "at character 405: the rule is nested deeper than 100 levels."),
        ("close > " + "(" * 400, 'at character 409: the rule ends where a number, a name or "(" was expected.'),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(text, sentence):
    with pytest.raises(RuleError) as caught:
        parse(text)
    assert str(caught.value) == sentence
    assert f"at character {caught.value.position}:" in sentence


def test_an_unknown_name_far_from_all_others_lists_them():
    with pytest.raises(RuleError, match=r"'zzz'; there are sma, .*, volume\.$"):
        parse("zzz > 1")
