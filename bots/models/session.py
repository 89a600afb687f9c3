from __future__ import annotations

from django.db import models

from bots.models.run import Run


class LiveSession(models.Model):
    """How far a live run has followed its exchange; written with the state that came of it."""

    class Stopping(models.TextChoices):
        NOT = "", "no"
        KEEP = "keep", "keep the position"
        CLOSE = "close", "close the position when all orders are withdrawn"
        CLOSING = "closing", "the position is being closed"

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="session")
    moment = models.IntegerField(default=0, help_text="Number of the last moment it reacted to.")
    execution = models.BigIntegerField(default=0, help_text="Id of the last execution that is booked.")
    acts = models.IntegerField(default=0, help_text="What happened in the bar so far: executions, triggers.")
    stopping = models.CharField(max_length=10, choices=Stopping, default=Stopping.NOT, blank=True)
    opening = models.CharField(max_length=100, blank=True, help_text="How the Event of its end begins.")
    trouble = models.CharField(max_length=300, blank=True, help_text="Why the exchange cannot be asked now.")

    def __str__(self) -> str:
        return f"{self.run_id} at {self.moment}"
