from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from orchestrator import garbage, tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
tracing.start("web")  # before the middleware is put together, of which it becomes a part
_django = get_wsgi_application()

from orchestrator import priority, warming  # noqa: E402  its settings are set up by now
from orchestrator.page_store import PageStore  # noqa: E402

application = PageStore(_django)
get_resolver().url_patterns  # noqa: B018  the views, which would else be imported by the first request
garbage.freeze()
# Each of the server's processes, not those that borrow its application.
if "granian" in os.environ.get("ORCHESTRATOR_PROCESS", ""):
    priority.pages_come_second()
    warming.begin()
