"""The script for pages, in node: with a WebSocket and a clock that the test has in hand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import channels_bridge.worker.legacy

SCRIPT = Path(channels_bridge.worker.legacy.__file__).parent / "static/channels/js/websocketbridge.js"
PAGE = Path(__file__).with_name("websocketbridge_page.js")
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="no node here to run the script with")


def run(program: str) -> Any:
    """Give what a page tells that has loaded the script."""
    assert NODE is not None
    # Within a function, so that the script sees no module: a page has none.
    text = f"{PAGE.read_text()}\n(function (module) {{\n{SCRIPT.read_text()}\n}}());\n{program}"
    done = subprocess.run([NODE, "-"], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_browsers_without_a_build_step_can_read_it() -> None:
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", SCRIPT.read_text(), flags=re.DOTALL)
    assert re.findall(r"=>|`|\b(?:let|const|class|async|await|import|export)\b|\.\.\.", code) == []


@needs_node
@pytest.mark.parametrize(
    ("url", "protocol", "target"),
    [
        ("'/chat/?a=1'", "https:", "wss://example.com:8443/chat/?a=1"),
        ("'/chat/'", "http:", "ws://example.com:8443/chat/"),
        ("undefined", "https:", "wss://example.com:8443"),
        ("'ws://other/x'", "https:", "ws://other/x"),
    ],
)
def test_where_it_connects_to(url: str, protocol: str, target: str) -> None:
    result = run(
        f"location.protocol = '{protocol}'; const bridge = new channels.WebSocketBridge();"
        f"bridge.connect({url}); bridge.connect({url}, ['a', 'b']);"
        "tell(sockets.map((socket) => [socket.url, socket.arguments, socket.protocols]));"
    )
    assert result == [[target, 1, None], [target, 2, ["a", "b"]]]


@needs_node
def test_json_goes_both_ways() -> None:
    result = run("""
        const bridge = connected();
        last().opens();
        bridge.send({text: 'hi'});
        last().says({answer: 1});
        last().says([2]);
        last().says(null);
        tell({heard, sent: last().sent, url: bridge.socket.url, state: bridge.socket.readyState});
    """)
    assert result == {
        "heard": ["open", [{"answer": 1}, None], [[2], None], [None, None]],
        "sent": ['{"text":"hi"}'],
        "url": "wss://example.com:8443/ws/",
        "state": 1,
    }


@needs_node
def test_streams_have_callbacks_of_their_own() -> None:
    result = run("""
        const bridge = connected();
        bridge.demultiplex('intval', (payload, stream) => heard.push(['intval', payload, stream]));
        last().opens();
        bridge.stream('intval').send({pk: 1});
        last().says({stream: 'intval', payload: {pk: 1}});
        last().says({stream: 'other', payload: {pk: 2}});
        last().says({stream: 'toString', payload: {pk: 3}});
        last().says({plain: true});
        tell({heard: heard.slice(1), sent: last().sent});
    """)
    assert result == {
        "heard": [["intval", {"pk": 1}, "intval"], [{"plain": True}, None]],
        "sent": ['{"stream":"intval","payload":{"pk":1}}'],
    }


@needs_node
def test_listening_needs_no_callback_where_all_is_on_streams() -> None:
    result = run("""
        const bridge = new channels.WebSocketBridge();
        bridge.demultiplex('a', (payload) => heard.push(payload));
        bridge.connect('/ws/');
        bridge.listen();
        last().opens();
        last().says({stream: 'a', payload: 1});
        last().says({plain: true});
        tell(heard);
    """)
    assert result == [1]


@needs_node
def test_it_connects_again_later_and_later() -> None:
    """Until it succeeds, with the same listeners; then it begins with the short delay again."""
    result = run("""
        connected();
        last().opens();
        const waits = [];
        function waited() {
            const before = now, count = sockets.length;
            while (sockets.length === count) { pass(1); }
            waits.push(now - before);
        }
        for (let round = 0; round < 9; round += 1) { last().ends(); waited(); }
        last().opens();
        last().says({back: true});
        last().ends(1012);
        waited();
        tell({waits, heard: heard.slice(-4), closes: heard.filter((one) => one === 'close 1006').length});
    """)
    assert result["waits"] == [1500, 1950, 2535, 3296, 4285, 5570, 7241, 9413, 10000, 1500]
    assert result["heard"] == ["close 1006", "open", [{"back": True}, None], "close 1012"]
    assert result["closes"] == 9


@needs_node
def test_pages_do_not_come_back_all_at_once() -> None:
    """The first attempt is up to twice the delay away, by chance."""
    result = run("""
        Math.random = () => 0.5;
        connected();
        last().opens();
        last().ends();
        pass(2249);
        const early = sockets.length;
        pass(1);
        tell([early, sockets.length]);
    """)
    assert result == [1, 2]


@needs_node
def test_what_is_sent_while_it_is_not_open_waits() -> None:
    result = run("""
        const bridge = connected({maxQueued: 3});
        bridge.socket.addEventListener('open', () => bridge.send('from open'));
        bridge.send(1);
        last().opens();
        last().ends();
        [2, 3, 4].forEach((number) => bridge.send(number));
        const error = failure(() => bridge.send(5));
        pass(1500);
        last().opens();
        bridge.send(6);
        tell({sent: sockets.map((socket) => socket.sent), error});
    """)
    assert result["sent"] == [['"from open"', "1"], ['"from open"', "2", "3", "4", "6"]]
    assert "3 messages wait" in result["error"]


@needs_node
def test_an_attempt_that_takes_too_long_is_given_up_for_another() -> None:
    result = run("""
        connected();
        pass(4000);
        const first = sockets[0];
        pass(1500);
        first.opens();  // too late: nobody listens
        first.says({late: true});
        last().opens();
        tell({heard, closed: first.closed, sockets: sockets.length});
    """)
    assert result == {"heard": ["error ETIMEDOUT", "close 1006", "open"], "closed": [1000, ""], "sockets": 2}


@needs_node
def test_it_gives_up_if_it_is_told_to() -> None:
    result = run("""
        const bridge = connected({maxRetries: 2});
        for (let round = 0; round < 3; round += 1) { last().ends(); pass(3000); }
        tell({heard, sockets: sockets.length, error: failure(() => bridge.send(1)), state: bridge.socket.readyState});
    """)
    assert result["heard"] == ["close 1006", "close 1006", "error EHOSTDOWN", "close 1006"]
    assert (result["sockets"], result["state"]) == (3, 3)
    assert "will not connect again" in result["error"]


@needs_node
def test_closing_it_connects_it_anew_unless_it_is_kept_closed() -> None:
    result = run("""
        const bridge = connected();
        last().opens();
        bridge.socket.close();
        const after = [bridge.socket.readyState, sockets[0].closed, heard.slice()];
        pass(1500);
        last().opens();
        bridge.socket.close(4001, 'bye', {delay: 50});
        pass(50);
        last().opens();
        bridge.socket.close(1000, '', {keepClosed: true});
        bridge.socket.close();
        pass(60000);
        tell({after, closed: sockets.map((socket) => socket.closed), heard, error: failure(() => bridge.send(1))});
    """)
    assert result["after"] == [3, [1000, ""], ["open", "close 1000"]]
    assert result["closed"] == [[1000, ""], [4001, "bye"], [1000, ""]]
    assert result["heard"] == ["open", "close 1000", "open", "close 4001", "open", "close 1000"]
    assert "was closed" in result["error"]


@needs_node
def test_closing_may_wait_for_the_server() -> None:
    result = run("""
        const bridge = connected();
        last().opens();
        bridge.socket.close(4001, 'bye', {fastClose: false, keepClosed: true});
        const before = heard.slice();
        last().ends(4001);
        pass(60000);
        tell([before, heard, sockets.length]);
    """)
    assert result == [["open"], ["open", "close 4001"], 1]


@needs_node
def test_it_can_be_kept_closed_while_it_waits_for_its_next_attempt() -> None:
    result = run("""
        const bridge = connected();
        last().ends();
        bridge.socket.close(1000, '', {keepClosed: true});
        pass(60000);
        tell([heard, sockets.length]);
    """)
    assert result == [["close 1006"], 1]


@needs_node
def test_a_listener_that_throws_keeps_nothing_from_the_others() -> None:
    result = run("""
        const bridge = connected();
        bridge.socket.onopen = () => heard.push('onopen');
        bridge.socket.onmessage = ((listen) => (event) => listen(event))(bridge.socket.onmessage);
        bridge.socket.addEventListener('message', () => { throw new Error('mine'); });
        bridge.socket.addEventListener('message', {handleEvent: (event) => heard.push(event.data)});
        last().opens();
        last().says('{"a":1}');
        const errors = pass(0);
        last().says('no json');
        tell({heard, errors, parsing: pass(0).length});
    """)
    assert result == {
        "heard": ["open", "onopen", '{"a":1}', [{"a": 1}, None], "no json"],
        "errors": ["mine"],
        "parsing": 2,
    }


@needs_node
def test_listeners_are_added_once_and_can_go() -> None:
    result = run("""
        const bridge = connected();
        const listener = () => heard.push('once');
        bridge.socket.addEventListener('open', listener);
        bridge.socket.addEventListener('open', listener);
        last().opens();
        bridge.socket.removeEventListener('open', listener);
        bridge.socket.removeEventListener('open', listener);
        last().ends();
        pass(1500);
        last().opens();
        tell(heard);
    """)
    assert result == ["open", "once", "close 1006", "open"]


@needs_node
def test_it_has_what_a_websocket_has() -> None:
    result = run("""
        const socket = connected().socket;
        socket.binaryType = 'arraybuffer';
        const first = [socket.readyState, socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED];
        last().protocol = 'chat';
        last().bufferedAmount = 7;
        last().opens();
        const open = [socket.readyState, socket.protocol, socket.extensions, socket.bufferedAmount];
        last().ends();
        const closed = [socket.readyState, socket.protocol, socket.bufferedAmount, socket.binaryType];
        pass(1500);
        tell({first, open, closed, binaryTypes: sockets.map((one) => one.binaryType)});
    """)
    assert result == {
        "first": [0, 0, 1, 2, 3],
        "open": [1, "chat", "", 7],
        "closed": [3, "", 0, "arraybuffer"],
        "binaryTypes": ["arraybuffer", "arraybuffer"],
    }


@needs_node
def test_before_it_is_connected_it_says_so() -> None:
    result = run("""
        const bridge = new channels.WebSocketBridge();
        tell([() => bridge.send(1), () => bridge.listen(), () => bridge.stream('a').send(1)].map(failure));
    """)
    assert result == ["WebSocketBridge: call connect() first"] * 3


@needs_node
def test_another_socket_may_be_used() -> None:
    result = run("""
        class Other extends FakeWebSocket {}
        connected({constructor: Other, minReconnectionDelay: 10});
        last().ends();
        pass(10);
        tell(sockets.map((socket) => socket instanceof Other));
    """)
    assert result == [True, True]


@needs_node
def test_bundlers_get_it_as_a_module() -> None:
    program = """
        const bundle = {exports: {}};
        new Function('module', require('fs').readFileSync(path, 'utf8'))(bundle);
        tell([Object.keys(bundle.exports), Object.keys(channels)]);
    """
    assert run(f"const path = {json.dumps(str(SCRIPT))};{program}") == [["WebSocketBridge"], ["WebSocketBridge"]]
