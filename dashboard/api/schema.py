"""What answers are made of, and the shapes that several of them share."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from markets.series import TIMEFRAMES

LARGEST_ID = 2**63 - 1
LARGEST_MS = 253_370_764_800_000  # of the year 9999


def exact(value: Decimal) -> str:
    """All digits, no exponent, no zeros behind the point: as text, which no reader rounds."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("text must not hold a NUL byte.")
    return text


def _timeframe(name: str) -> str:
    if name not in TIMEFRAMES:
        raise ValueError(f"timeframe must be one of {', '.join(TIMEFRAMES)}, not {name!r}.")
    return name


Exact = Annotated[Decimal, PlainSerializer(exact, return_type=str)]
Text = Annotated[str, AfterValidator(_no_nul), Field(max_length=60)]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
# Of a body, where JSON has integers of its own, and true is none: in an address every number is text.
SentId = Annotated[int, Field(ge=1, le=LARGEST_ID, strict=True)]
Ms = Annotated[int, Field(ge=0, le=LARGEST_MS, description="ms UTC.")]
Timeframe = Annotated[str, AfterValidator(_timeframe), Field(json_schema_extra={"enum": list(TIMEFRAMES)})]
Capital = Annotated[Decimal, Field(gt=0, lt=Decimal("1e15"), max_digits=38, decimal_places=18, description="In quote.")]
Book = Annotated[
    str,
    AfterValidator(_no_nul),
    Field(max_length=40, pattern=r"^(paper|live):.+$", description="Mode and currency, such as paper:USDT."),
]


def _none_required(schema: dict[str, Any]) -> None:
    schema.pop("required", None)


class Row(BaseModel):
    """One object of an answer. `fields=` may leave any of it out, so nothing in it is required."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_none_required)


class Sent(BaseModel):
    """One object that is sent: a field that is misspelt is refused, where it would be dropped without a word."""

    model_config = ConfigDict(extra="forbid")


class Asked(BaseModel):
    """What every read takes."""

    fields: Annotated[str, Field(max_length=500)] | None = Field(
        None, description="Names of the fields wanted, separated by commas; all when left out."
    )


class Paged(Asked):
    """What every list takes."""

    page: int = Field(1, ge=1, le=10_000)
    page_size: int = Field(100, ge=10, le=1_000)
    cursor: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="next_cursor of the page before: as fast at the end as at the beginning."
    )


R = TypeVar("R", bound=Row)


class Page(BaseModel, Generic[R]):
    """A page of a list. page: null of a page that a cursor led to; total_exact: false where counting was cut short."""

    items: list[R]
    page: int | None
    page_size: int
    total: int
    total_exact: bool
    total_pages: int
    has_next: bool
    has_previous: bool
    next_cursor: str | None


class Curve(Row):
    """Columns; time in ms UTC, equity and pnl in the book's currency. base: pnl as the period began."""

    book: str
    base: float = Field(description="What pnl was as the period began: its gain is measured from it.")
    time: list[int]
    equity: list[float]
    pnl: list[float]


def _in_utc(time: datetime) -> datetime:
    """PostgreSQL takes fewer zones than Python, and neither takes what lies outside of the years from 1 to 9999."""
    try:
        moved = time.astimezone(UTC)
    except OverflowError:
        moved = None
    if moved is None or not 1970 <= moved.year <= 9998:
        raise ValueError(f"time must be in the years from 1970 to 9998, not {time.isoformat()}.")
    return moved


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Since(BaseModel):
    """Bounds in time of a list, both ISO 8601; since is included, until is not."""

    since: Moment | None = None
    until: Moment | None = None
