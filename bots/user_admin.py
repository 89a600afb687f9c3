from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest

from bots import halts

if TYPE_CHECKING:
    UserModelAdmin = DjangoUserAdmin[User]
else:
    UserModelAdmin = DjangoUserAdmin


class UserAdmin(UserModelAdmin):
    """Django's own; who is made inactive has no bot that trades from the same moment on."""

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            done = halts.Halted() if obj.is_active else halts.pause_deactivated()
        if done.paused:
            messages.warning(request, f"{done}: orders are withdrawn, positions are kept.")
