from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from bots import services
from bots.models import Position
from dashboard import row_columns, rows
from dashboard.views.fragments import varies, wants_fragment


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def dismiss(request: HttpRequest, position_id: int) -> HttpResponse:
    """GET says what it means and asks; POST dismisses a kept position."""
    own = Position.objects.filter(owner=request.user.pk, status=Position.Status.KEPT)
    if request.method == "POST":
        found = get_object_or_404(own.select_related("market"), pk=position_id)
        try:
            services.dismiss(found, request.user.get_username())
        except services.Refused as refusal:
            messages.warning(request, str(refusal))
        else:
            messages.success(request, "The position is dismissed.")
        return redirect(f"{reverse('positions')}?state=kept")
    found = get_object_or_404(row_columns.positions().filter(pk__in=own), pk=position_id)
    template = "dashboard/_dismiss_position.html" if wants_fragment(request) else "dashboard/dismiss_position.html"
    context = {"nav": "positions", "position": rows.position_row(found, timezone.now()), "pk": position_id}
    return render(request, template, context)
