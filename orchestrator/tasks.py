from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.utils.module_loading import import_string

from orchestrator import cache
from orchestrator.cache import warming
from orchestrator.observability import samples


@shared_task
def warm_cache() -> int:
    return sum(warming.warm(cache.of_this_process(), import_string(source)) for source in settings.CACHE_SOURCES)


@shared_task
def sample_performance() -> int:
    return samples.take()


@shared_task
def apply_retention() -> int:
    return samples.apply_retention()
