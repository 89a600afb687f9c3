from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from orchestrator.commands import SentenceCommand
from orchestrator.servers.programs import programs
from orchestrator.servers.supervisor import Program


class Command(SentenceCommand):
    help = "Become one process of the platform, for a container or a service unit; `make run` starts them all."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("program", choices=[program.name for program in _programs()], help="Which one.")

    def handle(self, **options: Any) -> None:
        (program,) = (one for one in _programs() if one.name == options["program"])
        command = [str(part) for part in program.command]
        os.execve(command[0], command, {**os.environ, **program.environment})


def _programs() -> list[Program]:
    return programs(settings.HOST, settings.PORT, settings.LIVE_PORT, stream_markets=True)
