"""What a person may do with bots. Every change and its Event are committed together; a refusal changes nothing."""

from __future__ import annotations

from bots.guards import Refused
from bots.services.accounts import deposit, open_paper_account
from bots.services.changing import Change, change, foresee
from bots.services.configuration import ALIVE, FIXED_WHILE_ALIVE, configure, name_taken, plain_params, validate
from bots.services.ends import end_live, ending, stop
from bots.services.kept import dismiss
from bots.services.lifecycle import new_run, now_of, pause, resume, start, withdraw

__all__ = [
    "ALIVE",
    "FIXED_WHILE_ALIVE",
    "Change",
    "Refused",
    "change",
    "configure",
    "deposit",
    "dismiss",
    "end_live",
    "ending",
    "foresee",
    "name_taken",
    "new_run",
    "now_of",
    "open_paper_account",
    "pause",
    "plain_params",
    "resume",
    "start",
    "stop",
    "validate",
    "withdraw",
]
