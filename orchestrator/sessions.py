"""Django's sessions in the database, read by SQL that is made once: every page begins with this query."""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from orchestrator.prepared import Given, Prepared

_LIVING = Prepared(lambda: Session.objects.filter(session_key=Given("key"), expire_date__gt=Given("now")))


class SessionStore(db.SessionStore):
    """Of this name, because Django signs what is stored with it."""

    def _get_session_from_db(self) -> Session | None:
        for session in _LIVING.rows(key=self.session_key, now=timezone.now()):
            return session
        self._session_key = None
        return None
