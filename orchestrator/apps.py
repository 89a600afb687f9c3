from __future__ import annotations

from django.apps import AppConfig

from orchestrator.celery import app

# Made before any module of tasks is loaded, which are its own then; who only reads the settings does without.
celery_app = app


class OrchestratorConfig(AppConfig):
    name = "orchestrator"
