from __future__ import annotations

from django.db import models

from bots.models.run import Run


class LiveSession(models.Model):
    """How far a live run has followed its exchange; written with the state that came of it."""

    class Stopping(models.TextChoices):
        NOT = "", "no"
        KEEP = "keep", "keep the position"
        CLOSE = "close", "close the position when all orders are withdrawn"
        FAILED = "failed", "the same, as it could not go on"
        CLOSING = "closing", "the position is being closed"

    class Margin(models.TextChoices):
        NONE = "", "none"
        TO_ADD = "to add", "the exchange is to move it from the account"
        THERE = "there", "on the exchange"
        TO_RETURN = "to return", "the exchange is to move it back"
        STUCK = "stuck", "on the exchange, beside a position that could not be closed"

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="session")
    moment = models.IntegerField(default=0, help_text="Number of the last moment it reacted to.")
    execution = models.BigIntegerField(default=0, help_text="Id of the last execution that is booked.")
    acts = models.IntegerField(default=0, help_text="What happened in the bar so far: executions, triggers.")
    stopping = models.CharField(max_length=10, choices=Stopping, default=Stopping.NOT, blank=True)
    opening = models.CharField(max_length=100, blank=True, help_text="How the Event of its end begins.")
    margin = models.CharField(max_length=10, choices=Margin, default=Margin.NONE, blank=True, help_text="Of a swap.")
    trouble = models.CharField(max_length=300, blank=True, help_text="Why the exchange cannot be asked now.")

    def __str__(self) -> str:
        return f"{self.run_id} at {self.moment}"
