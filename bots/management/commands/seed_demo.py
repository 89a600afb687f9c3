from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from bots import demo
from orchestrator import env


class Command(BaseCommand):
    help = "Fill an empty database with the demonstration: a simulated exchange and running bots."

    def handle(self, **options: Any) -> None:
        if get_user_model().objects.filter(username=demo.USER).exists():
            raise CommandError(f"user {demo.USER} exists already: the demonstration is there.", returncode=2)
        password = env.given("DEMO_PASSWORD") or secrets.token_urlsafe(9)
        demo.seed(password)
        if not env.given("DEMO_PASSWORD"):
            self.stdout.write(f"Demo login: user {demo.USER}, password {password}")
