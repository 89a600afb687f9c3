"""What our management commands share: bad input ends with status 2 and one sentence on stderr."""

from __future__ import annotations

import re
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

BAD_INPUT = 2
NUMBERS = {"int": "a whole number", "float": "a number"}


def bad_input(sentence: str) -> CommandError:
    """What was asked cannot be done; raise it anywhere in a command."""
    return CommandError(sentence, returncode=BAD_INPUT)


class SentenceCommand(BaseCommand):
    """A command that refuses a bad argument in a sentence, where argparse would print its whole usage before it."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.error = _refuse  # type: ignore[method-assign]
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            # Django turns the errors of handle() into an exit status, but not those of the parser.
            self.stderr.write(f"CommandError: {error}")
            sys.exit(error.returncode)


def _refuse(message: str) -> NoReturn:
    """argparse's "argument --end: must be …" as the sentence "--end must be …"."""
    _, argument, rest = message.rpartition("argument ") if message.startswith("argument ") else ("", "", message)
    sentence = rest.replace(": ", " ", 1) if argument else rest
    sentence = re.sub(r"invalid (int|float) value: (.*)", lambda found: _number(*found.groups()), sentence)
    raise bad_input(sentence if sentence.endswith(".") else f"{sentence}.")


def _number(kind: str, value: str) -> str:
    return f"must be {NUMBERS[kind]}, not {value}"
