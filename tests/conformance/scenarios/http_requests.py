"""What a request looks like to the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..scenario import Scenario

if TYPE_CHECKING:
    from ..tap import Tap
    from ..wires import Wire


class _Answered(Scenario):
    """The application reads the request and answers."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.respond()


class Method(_Answered):
    """Every method arrives as it was sent; what a server makes of HEAD and of unknown ones stays its own."""

    variants = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "BREW")

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request(wire.variant, "/method")
            await http.response()


class RequestHeaders(_Answered):
    """Headers keep their order, their repetitions, their bytes and their odd values."""

    async def client(self, wire: Wire) -> None:
        headers = [
            (b"X-Mixed-Case", b"Keeps Its Case"),
            (b"x-repeated", b"one"),
            (b"cookie", b"a=1"),
            (b"x-between", b"between"),
            (b"x-repeated", b"two, three"),
            (b"cookie", b"b=2; c=3"),
            (b"X-REPEATED", b"one"),
            (b"x-empty", b""),
            (b"x-latin", b"caf\xe9"),
            (b"x-utf8", "café €".encode()),
            (b"x-spaces", b"  around  and   inside  "),
            (b"x-under_score", b"kept or not"),
            (b"x-long", b"long " * 1000),
        ]
        async with wire.http() as http:
            await http.request("GET", "/headers", headers)
            await http.response()


class ManyHeaders(_Answered):
    """A hundred headers are not too many."""

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/", [(b"x-%d" % n, b"value %d" % n) for n in range(90)])
            await http.response()


class Target(_Answered):
    """path, raw_path and query_string are as the server has them, never rebuilt one from another."""

    variants = (
        "/",
        "/a/b/",
        "/a%20b+c",
        "/caf%C3%A9/%E2%82%AC",
        "/slash%2Finside",
        "/100%25",
        "/%zz%4",
        "/%FF%FE",
        "//double//slashes//",
        "/up/../and/./down",
        "/;matrix=1;b",
        "/~tilde!$&'()*,=:@",
        "/question?",
        "/query?a=1&a=2&b=&c",
        "/query?euro=%E2%82%AC&plus=a+b&percent=%",
        "/query?a=/slashes/and?questions",
        "http://absolute.example/form?a=1",
        "/" + "long/" * 1000,
        "/query?" + "q=1&" * 1000,
    )

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", wire.variant)
            await http.response()


class RawTarget(_Answered):
    """Bytes that have no place in a target: the server refuses them or it does not, and the bridge does not care."""

    async def client(self, wire: Wire) -> None:
        for target in (b"/caf\xc3\xa9", b"/query?caf\xe9", b"/frag#ment?a=1"):
            async with wire.http() as http:
                await http.request("GET", target)
                await http.response()


class OptionsOfTheServer(_Answered):
    """``OPTIONS *`` has no path."""

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("OPTIONS", "*")
            await http.response()


class Http10(_Answered):
    """HTTP/1.0 is told to the application, and answered as such."""

    variants = ("plain", "keep-alive")

    async def client(self, wire: Wire) -> None:
        headers = [(b"connection", b"keep-alive")] if wire.variant == "keep-alive" else []
        async with wire.http() as http:
            await http.request("GET", "/", headers, version="1.0")
            await http.response()


class KeepAlive(_Answered):
    """Several requests on one connection are several scopes, and do not mix."""

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            for number in range(3):
                await http.request("POST", f"/keep/{number}", body=b"body %d" % number)
                await http.response()


class ConnectionClose(_Answered):
    """A client that asks for the connection to be closed has it closed."""

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/", [(b"connection", b"close")])
            await http.response()
            await http.closed()


class Pipelining(_Answered):
    """Requests that are sent before the answers are answered in their order."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.respond(body=tap.scope["path"].encode())

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.pipeline(["/first", "/second", "/third"])


class ExpectContinue(Scenario):
    """A client that waits for 100 gets it when it would without the bridge: on some servers on demand only."""

    variants = ("read", "refused unread")

    async def app(self, tap: Tap) -> None:
        if tap.variant == "read":
            await tap.respond(body=await tap.body())
        else:
            await tap.respond(413, body=b"too much")

    async def client(self, wire: Wire) -> None:
        headers = [(b"expect", b"100-continue"), (b"content-length", b"6")]
        async with wire.http() as http:
            await http.head("POST", "/expect", headers)
            # Whether granian (hyper) says `connection: close` when a body was not read depends on who is faster.
            http.unnoted_headers = (b"connection",) if wire.server == "granian" else ()
            kind = await http.head_within(0.5)
            if kind == "response":
                await http.body()
                return
            await http.write(b"wanted")
            await http.response()


class State(Scenario):
    """What the lifespan put in ``state`` reaches every scope, as a shallow copy for each."""

    async def app(self, tap: Tap) -> None:
        state = tap.scope.get("state")
        tap.note("state", state)
        if state is not None:
            state["added"] = "by one request"
        if tap.scope["type"] == "http":
            await tap.respond()
        else:
            await tap.receive()
            await tap.send({"type": "websocket.close"})

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            for _ in range(2):
                await http.request("GET", "/state")
                await http.response()
        async with wire.websocket() as websocket:
            await websocket.open()
