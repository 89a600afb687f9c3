from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from orchestrator import quickstart


class Command(BaseCommand):
    """For help and call_command; manage.py goes to orchestrator.quickstart without loading the apps."""

    help = "Starts everything on this machine: servers, set-up, web, event stream, worker, beat. Ctrl-C stops it."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        quickstart.run(self.stdout.write)
