from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from orchestrator import profiling
from tests.orchestrator.processes import manage


def recorded(user, times=200):
    request = RequestFactory().get("/")
    request.user = user
    return sum(profiling.is_recorded(request) for _ in range(times))


@pytest.mark.parametrize(("percent", "least", "most"), [(100.0, 200, 200), (0.0, 0, 0), (50.0, 40, 160)])
def test_a_share_of_what_staff_ask_for_is_recorded(settings, percent, least, most):
    settings.SILK_PERCENT = percent
    assert least <= recorded(get_user_model()(is_staff=True)) <= most


def test_others_are_never_recorded(settings):
    settings.SILK_PERCENT = 100.0
    assert recorded(get_user_model()()) == recorded(AnonymousUser()) == 0


def test_silk_is_left_out_unless_it_is_asked_for(own_home):
    code = "from django.conf import settings; print('silk' in settings.INSTALLED_APPS, settings.SILK_PERCENT)"
    assert manage(own_home, "shell", "--no-imports", "-c", code).stdout.split() == ["False", "0.0"]
    assert manage(own_home, "shell", "--no-imports", "-c", code, SILK_PERCENT=5).stdout.split() == ["True", "5.0"]
