from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers


class Compression(GZipMiddleware):
    """gzip for what the views answer; static files are compressed once, by whitenoise.

    The length of a compressed page tells who can have it asked for again and again what stands beside his own words in
    it (BREACH). So every answer has a random length and its CSRF token a new mask, and what must not be stored, such as
    a page that shows a new API token or one of the admin, is not compressed at all. Exports are: they hold rows alone.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if "no-store" in response.headers.get("Cache-Control", "") and not response.streaming:
            return response
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            patch_vary_headers(response, ["Accept-Encoding"])  # as the answer had that it is about
        return super().process_response(request, response)
