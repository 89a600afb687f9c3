from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from orchestrator import views

urlpatterns = [
    path("admin/cache/", admin.site.admin_view(views.cache_page), name="cache"),
    path("admin/", admin.site.urls),
    path("", include("dashboard.urls")),
]
if settings.DEBUG:
    urlpatterns += [
        path("__debug__/", include("debug_toolbar.urls")),
    ]
if settings.SILK_PERCENT:
    urlpatterns += [path("silk/", include("silk.urls", namespace="silk"))]
