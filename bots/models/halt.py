from __future__ import annotations

from django.db import models
from django.db.models import Q


class Halt(models.Model):
    """While its one row is there, nothing starts or resumes on any account, those made meanwhile included."""

    halted_at = models.DateTimeField()
    reason = models.CharField(max_length=200)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="halt_one_row")]

    def __str__(self) -> str:
        return self.reason
