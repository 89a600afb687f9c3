"""What people choose from when they say what they want to be told of: each event belongs to one topic."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """codes: of its events. tags: of its trades, which are none of the others' then. usual: chosen unless asked."""

    label: str
    help: str
    codes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    usual: bool = True


OTHER = "other"
TOPICS: dict[str, Topic] = {
    "failures": Topic("A bot failed", "It cannot go on, or was liquidated.", ("failed", "liquidated")),
    "ends": Topic(
        "A bot stopped", "By itself, by a limit or by a person.", ("stopped", "stopping", "ended", "drawdown")
    ),
    "halts": Topic("Halts", "The kill switch was used, or released.", ("halted", "released")),
    "exits": Topic(
        "Stop loss or take profit", "An order that protects a position, or takes its profit, was filled.",
        tags=("stop loss", "take profit", "trailing stop", "break-even", "time limit"),
    ),
    "refusals": Topic("Orders refused", "By a limit, by the bot or by the exchange.", ("refused", "rejected")),
    "feeds": Topic(
        "Feeds and exchanges", "Candles are late or missing, an exchange is silent.", ("exchange", "gap", "feed")
    ),
    "holds": Topic("Limits", "A limit holds a bot's entries.", ("held",)),
    "security": Topic(
        "Your account", "Tokens and channels that were made, changed or given up.",
        ("token_created", "token_revoked", "channel_created", "channel_changed", "channel_deleted", "channel_failed"),
    ),
    "money": Topic(
        "Money", "Deposits, withdrawals, margin and funding.",
        ("deposit", "withdrawal", "margin", "funding"), usual=False,
    ),
    "persons": Topic(
        "What people do", "Bots that were started, paused, resumed or changed.",
        ("started", "paused", "resumed", "changed"), usual=False,
    ),
    "trades": Topic("Every other trade", "Each order that was filled: many.", ("trade",), usual=False),
    "decisions": Topic("Decisions", "What the bots tell while they work: many.", ("decision",), usual=False),
    "budgets": Topic(
        "This installation", "For the staff: what it takes too long for, has been for long.",
        ("budget_broken", "budget_holds"),
    ),
    OTHER: Topic("Everything else", "What a later release tells of, too."),
}  # fmt: skip
USUAL = [name for name, topic in TOPICS.items() if topic.usual]
EXIT_TAGS = tuple(tag for topic in TOPICS.values() for tag in topic.tags)


def _sql() -> str:
    """The name of the topic of an event `e`, as an expression: made of the table above, so nothing is to be escaped."""
    tagged = [(name, tag) for name, topic in TOPICS.items() for tag in topic.tags]
    coded = [(name, code) for name, topic in TOPICS.items() for code in topic.codes]
    cases = [f"WHEN e.code = 'trade' AND e.data->>'tag' = '{tag}' THEN '{name}'" for name, tag in tagged]
    cases += [f"WHEN e.code = '{code}' THEN '{name}'" for name, code in coded]
    # What only says that something told before has happened now is of no topic.
    return f"(CASE WHEN e.code = 'ended' AND e.data ? 'follows' THEN NULL {' '.join(cases)} ELSE '{OTHER}' END)"


SQL = _sql()
