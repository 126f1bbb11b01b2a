"""Sync views, and an async one that streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils.html import format_html
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

Request = Any  # Django comes without types


@require_GET
def index(request: Request) -> HttpResponse:
    """Say what there is."""
    page = "<!doctype html><title>Django</title><h1>Hello</h1><p>Sockets: {0}ws/room/lobby/ and {0}ws/reverse/</p>"
    content: Any = format_html(page, request.build_absolute_uri("/").replace("http", "ws", 1))
    return HttpResponse(content)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def visits(request: Request) -> JsonResponse:
    """Count the POSTs of one visitor, in a session that is a signed cookie."""
    if request.method == "POST":
        request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session.get("visits", 0), "body": len(request.body)})


async def count(request: Request, last: int) -> StreamingHttpResponse:  # noqa: ARG001 - it is what views are given
    """Stream the numbers up to ``last``, a line each."""

    async def lines() -> AsyncGenerator[str]:
        for number in range(1, last + 1):
            yield f"{number}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")
