"""The demo login: made once, shown at every start for as long as its password is the one that was made."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management import call_command

from orchestrator import env, home

USER = "demo"


def seed() -> None:
    """Fill an empty database with the demo, and keep its password where only the owner of this home can read it."""
    password = env.given("DEMO_PASSWORD") or secrets.token_urlsafe(9)
    os.environ["DEMO_PASSWORD"] = password
    call_command("seed_demo", verbosity=0)
    home.write_private(_file(), json.dumps({"password": password, "stored": _stored()}))


def password() -> str:
    """The demo user's password, "" when there is no such user or the password has been changed since."""
    if not _file().exists():
        return ""
    made = json.loads(_file().read_text())
    # Comparing what the database holds says whether it was changed, without the cost of hashing at every start.
    return str(made["password"]) if made["stored"] and made["stored"] == _stored() else ""


def _stored() -> str:
    found = get_user_model().objects.filter(username=USER, is_active=True).values_list("password", flat=True)
    return next(iter(found), "")


def _file() -> Path:
    return home.folder() / "demo.json"
