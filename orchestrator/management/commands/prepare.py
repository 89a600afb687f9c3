from __future__ import annotations

import hashlib
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from orchestrator import demo_login, home


class Command(BaseCommand):
    help = "Brings database, static files, schedules and compiled kernels up to date; does only what is needed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="Leave an empty database empty: a server of yours.")

    def handle(self, *args: Any, **options: Any) -> None:
        self._migrate()
        self._collect_static()
        call_command("sync_schedules", verbosity=0)
        self._warm_kernels()
        if not options["no_demo"]:
            self._seed()

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            self.stdout.write(f"Setting up the database ({len(plan)} migrations) …")
            call_command("migrate", verbosity=0, interactive=False)

    def _collect_static(self) -> None:
        """Development serves the files from where they lie."""
        stamp = home.Stamp("static", _static_digest())
        if not settings.DEBUG and not stamp.is_set():
            self.stdout.write("Collecting and compressing static files …")
            call_command("collectstatic", verbosity=0, interactive=False, clear=True)
            stamp.set()

    def _warm_kernels(self) -> None:
        stamp = home.Stamp("kernels", home.kernel_cache().name)
        if not stamp.is_set():
            self.stdout.write("Compiling the engine …")
            call_command("warm_kernels", verbosity=0, stdout=StringIO())
            stamp.set()

    def _seed(self) -> None:
        if not get_user_model().objects.exists():
            self.stdout.write("Creating the demo: markets with history and running bots …")
            demo_login.seed()
        password = demo_login.password()
        if password:
            self.stdout.write(f"Demo login: user {demo_login.USER}, password {password}")


def _static_digest() -> str:
    """Changes with the names and contents of the static files.

    Not with their times, which `npm ci` renews: the start that trusts its own stamp has web read the manifest while
    this step would clear it.
    """
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            digest.update(f"{path}\n".encode() + Path(storage.path(path)).read_bytes())
    return digest.hexdigest()
