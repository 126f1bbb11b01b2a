"""Django's views behind ``http.request``: a message becomes a request, and the response becomes messages."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from io import BytesIO
from typing import Any, ClassVar

from django.conf import settings
from django.core import signals
from django.core.handlers.base import BaseHandler
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseServerError,
    QueryDict,
    parse_cookie,
)
from django.urls import set_script_prefix
from django.utils.functional import cached_property

from .exceptions import RequestAborted, RequestTimeout
from .exceptions import ResponseLater as _ResponseLater
from .message import Message

logger = logging.getLogger("django.request")

TIMED_OUT = b"408 Request Timeout (upload too slow)"
FAILED = "Internal Server Error"
OWN_NAMES = {"content-length": "CONTENT_LENGTH", "content-type": "CONTENT_TYPE"}  # all others begin with HTTP_


class AsgiRequest(HttpRequest):
    """Django's request, made of a message of ``http.request``, or of another that has ``path`` and ``method``.

    Its body is there as a whole. Raises ``UnicodeDecodeError`` for a query string that is not UTF-8, and while it
    reads a ``body_channel`` ``RequestTimeout`` and ``RequestAborted``.
    """

    ResponseLater = _ResponseLater  # for views: raise request.ResponseLater()
    body_receive_timeout = 60  # seconds for each part that comes on a body channel

    def __init__(self, message: Message) -> None:
        self.message = message
        self.reply_channel = message.reply_channel
        self._post_parse_error = False
        self._read_started = False
        self.resolver_match = None
        self.script_name = script_name(message)
        self.path: str = message["path"]
        self.path_info = _below(self.path, self.script_name)
        self.method = message["method"].upper()
        self.META = self._meta()
        body = self._whole_body()
        if body and "CONTENT_LENGTH" not in self.META:  # a chunked upload: whoever parses it asks for this
            self.META["CONTENT_LENGTH"] = str(len(body))
        self._set_content_type_params(self.META)
        self._stream = BytesIO(body)

    def _meta(self) -> dict[str, Any]:
        client, server = self.message.get("client"), self.message.get("server")
        meta: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "QUERY_STRING": _text(self.message.get("query_string", ""), "utf-8"),
            "SCRIPT_NAME": self.script_name,
            "PATH_INFO": self.path_info,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "SERVER_NAME": server[0] if server else "unknown",
            "SERVER_PORT": str(server[1]) if server else "0",
        }
        if client:
            meta.update(REMOTE_ADDR=client[0], REMOTE_HOST=client[0], REMOTE_PORT=client[1])
        meta.update(_header_meta(self.message.get("headers", ())))
        return meta

    def _whole_body(self) -> bytes:
        body: bytes = self.message.get("body", b"")
        channel = self.message.get("body_channel")
        return body + b"".join(self._parts(channel)) if channel else body

    def _parts(self, channel: str) -> Iterator[bytes]:
        """Receive the rest of a body that was too long for its message: no bridge sends any, other layers may."""
        while True:
            part = self._part(channel)
            if part.get("closed"):
                raise RequestAborted("the client has gone before its body was there")
            yield part.get("content", b"")
            if not part.get("more_content"):
                return

    def _part(self, channel: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + self.body_receive_timeout
        while time.monotonic() < deadline:
            found, part = self.message.channel_layer.receive([channel], block=True)
            if found is not None:
                return part
        raise RequestTimeout(f"no more of the body came within {self.body_receive_timeout} s")

    @cached_property
    def GET(self) -> Any:  # noqa: N802 - Django's name
        """Give what is in the query string."""
        return QueryDict(self.META["QUERY_STRING"], encoding=self._encoding)

    @cached_property
    def COOKIES(self) -> dict[str, str]:  # noqa: N802 - Django's name
        """Give the cookies: name -> value."""
        return parse_cookie(self.META.get("HTTP_COOKIE", ""))

    def _get_scheme(self) -> Any:
        return self.message.get("scheme") or "http"

    def _get_post(self) -> Any:
        if not hasattr(self, "_post"):
            self._load_post_and_files()
        return self._post

    def _set_post(self, post: Any) -> None:
        self._post = post

    def _get_files(self) -> Any:
        if not hasattr(self, "_files"):
            self._load_post_and_files()
        return self._files

    POST = property(_get_post, _set_post)
    FILES = property(_get_files)

    def close(self) -> None:
        """Close what was uploaded, and the body."""
        super().close()
        self._stream.close()


def script_name(message: Message) -> str:
    """Give where the project is mounted: FORCE_SCRIPT_NAME, else what the server says."""
    return settings.FORCE_SCRIPT_NAME or message.get("root_path") or ""


def _below(path: str, root: str) -> str:
    """Give the path within ``root``. One that is not in there is left as it is: a proxy has cut it already."""
    root = root.rstrip("/")
    if path == root:
        return "/"
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _text(value: str | bytes, encoding: str) -> str:
    return value.decode(encoding) if isinstance(value, bytes) else value


def _header_meta(headers: Any) -> dict[str, str]:
    """Give headers, pairs or a dict, as META has them. Several of one name are joined."""
    pairs: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers
    meta: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = _text(raw_name, "latin-1").lower(), _text(raw_value, "latin-1")
        if "_" in name:  # it would pass for the one with a hyphen
            continue
        key = OWN_NAMES.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
        separator = "; " if name == "cookie" else ","  # HTTP/2 may send each cookie by itself: RFC 9113, 8.2.3
        meta[key] = f"{meta[key]}{separator}{value}" if key in meta else value
    return meta


class AsgiHandler(BaseHandler):
    """Answers requests with Django's views: ``handler(message)`` gives the messages to send on its reply channel."""

    request_class: ClassVar[Any] = AsgiRequest
    chunk_size = 512 * 1024  # bytes of content in one message

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.load_middleware()

    def __call__(self, message: Message) -> Iterator[dict[str, Any]]:
        """Give the messages of the response, each when it is there. None if another consumer answers, or nobody can."""
        set_script_prefix(script_name(message))
        signals.request_started.send(sender=type(self), message=message)
        response = self._response(message)
        if response is None:
            return
        response._handler_class = type(self)  # the sender of request_finished
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        try:
            if not isinstance(response, _Later):
                yield from self.encode_response(response)
        finally:
            response.close()

    def _response(self, message: Message) -> Any:
        """Give the response, or one that says what went wrong around the views. None: there is nobody to answer."""
        try:
            return self.get_response(self.request_class(message))
        except UnicodeDecodeError:
            logger.warning("Bad Request (UnicodeDecodeError): %s", message.get("path"), exc_info=True)
            return HttpResponseBadRequest()
        except RequestTimeout:
            return HttpResponse(TIMED_OUT, status=408)
        except RequestAborted:
            return None
        except Exception:
            logger.exception("Error around the views: %s", message.get("path"))
            return _failed(traceback.format_exc() if settings.DEBUG else FAILED)

    def process_exception_by_middleware(self, exception: Exception, request: Any) -> Any:
        """Let ``ResponseLater`` through, which Django would answer as an error of the view."""
        if isinstance(exception, _ResponseLater):
            return _Later()
        return super().process_exception_by_middleware(exception, request)

    @classmethod
    def encode_response(cls, response: Any) -> Iterator[dict[str, Any]]:
        """Give the messages of a Django response, for its request's reply channel."""
        start = {"status": response.status_code, "headers": _headers(response)}
        if not response.streaming:
            for chunk, is_last in cls.chunk_bytes(response.content):
                yield {**start, "content": chunk, "more_content": not is_last}
                start = {}
            return
        for part in response:
            for chunk, _ in cls.chunk_bytes(part):
                yield {**start, "content": chunk, "more_content": True}
                start = {}
        yield {**start, "more_content": False}

    @classmethod
    def chunk_bytes(cls, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Cut content into pieces of ``chunk_size``: (piece, is it the last). Of no content there is one piece."""
        for position in range(0, len(data) or 1, cls.chunk_size):
            end = position + cls.chunk_size
            yield data[position:end], end >= len(data)


class _Later(HttpResponse):
    """Goes through the middleware in place of a response that another consumer gives."""

    status_code = 204


def _failed(text: str) -> HttpResponse:
    return HttpResponseServerError(text.encode(), content_type="text/plain; charset=utf-8")


def _headers(response: Any) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    cookies = [cookie.output(header="").strip().encode("ascii") for cookie in response.cookies.values()]
    return headers + [(b"Set-Cookie", cookie) for cookie in cookies]


class ViewConsumer:
    """The consumer of ``http.request`` that answers with Django's views.

    What they give goes to the client as it comes, no faster than the client reads; once that is gone, it ends.
    """

    handler_class: ClassVar[Any] = AsgiHandler

    def __init__(self) -> None:
        self.handler = self.handler_class()

    def __call__(self, message: Message, **kwargs: Any) -> None:
        """Answer a request. Raises what a response raises while its content is made; its client does not wait then."""
        channel: Any = message.reply_channel
        is_gone = getattr(message.channel_layer, "is_gone", None)  # other layers cannot tell
        begun = False
        with closing(self.handler(message)) as replies:
            try:
                for reply in replies:
                    channel.send(reply, immediately=True)
                    begun = True
                    if is_gone is not None and is_gone(channel.name):
                        return
            except Exception:
                ending = [{"abort": True}] if begun else self.handler.encode_response(_failed(FAILED))
                for reply in ending:
                    channel.send(reply, immediately=True)
                raise
