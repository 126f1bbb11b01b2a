"""The URL of an engine: read once, shown without its secrets."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ...shared.errors import ConfigurationError

PREFIX = "cb"
OPTIONS = {"prefix", "ca", "cert", "key", "creds"}
_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")  # what NATS takes as parts of a subject, less wildcards


@dataclass(frozen=True, slots=True)
class EngineUrl:
    """``scheme://[user[:password]@]host[:port][,host[:port]...][/path][?option=value...]``, taken apart."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]  # port 0: the scheme's own
    path: str = ""  # without its slash
    user: str = field(default="", repr=False)  # for NATS without a password this is a token
    password: str = field(default="", repr=False)
    options: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def prefix(self) -> str:
        """The namespace of topics: bridges with different ones share a server and do not meet."""
        return self.options.get("prefix", PREFIX)

    @property
    def shown(self) -> str:
        """The URL without secrets."""
        hosts = ",".join(_shown_host(*host) for host in self.hosts)
        path = f"/{self.path}" if self.path else ""
        prefix = f"?prefix={self.prefix}" if self.prefix != PREFIX else ""
        return f"{self.scheme}://{hosts}{path}{prefix}"

    def hide(self, text: str) -> str:
        """Return the text with every secret of this URL replaced."""
        for secret in filter(None, (self.password, "" if self.password else self.user)):
            text = text.replace(secret, "***")
        return text

    def tls(self) -> ssl.SSLContext:
        """Give what verifies the server: by ``?ca=`` or the system's authorities; ``?cert=&key=`` is for ourselves.

        Raises ``ConfigurationError`` where a file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.options.get("ca"))
            if "cert" in self.options:
                context.load_cert_chain(self.options["cert"], self.options.get("key"))
        except OSError as error:
            raise ConfigurationError(f"{self.shown}: ca, cert or key cannot be used: {error}") from error
        return context


def parse(url: str) -> EngineUrl:
    """Take the URL apart. Raises ``ConfigurationError``, which never shows the URL: it may have a password in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError("the engine's URL is malformed") from None
    if parts.fragment:
        raise ConfigurationError(f"{parts.scheme}://…: write a '#' in the engine's password as %23")
    userinfo, _, hosts = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    return EngineUrl(
        parts.scheme,
        tuple(_host(parts.scheme, host) for host in hosts.split(",")),
        parts.path.strip("/"),
        unquote(user),
        unquote(password),
        _options(parts),
    )


def _host(scheme: str, text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise ConfigurationError(
            f"{scheme}://…: the engine's URL needs host or host:port, several with commas between;"
            " special characters in a password have to be written as %40, %2F and so on"
        )
    return host, port or 0


def _options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options.keys() - OPTIONS:
        known = ", ".join(sorted(OPTIONS))
        raise ConfigurationError(f"{parts.scheme}://…: the engine's URL has an option {name!r}; there are {known}")
    if not _PREFIX.match(options.get("prefix", PREFIX)):
        raise ConfigurationError(f"{parts.scheme}://…: prefix has to be of letters, digits, '-', '_' and single '.'")
    return options


def _shown_host(host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{port}" if port else name
