// A page with a WebSocket and a clock of its own. What a test prints with tell() is its result.
'use strict';

const sockets = [];
const timers = [];
let now = 0;

class FakeWebSocket {
  constructor(...args) {
    [this.url, this.protocols] = args;
    this.arguments = args.length;
    this.readyState = 0;
    this.sent = [];
    this.closed = null;
    this.protocol = '';
    this.extensions = '';
    this.bufferedAmount = 0;
    this.binaryType = 'blob';
    sockets.push(this);
  }

  send(data) {
    if (this.readyState !== 1) {
      throw new Error('InvalidStateError');
    }
    this.sent.push(data);
  }

  close(code, reason) {
    this.closed = [code, reason];
    this.readyState = 2;
  }

  // What the server does.
  opens() { this.readyState = 1; this.onopen({type: 'open'}); }
  says(value) { this.onmessage({type: 'message', data: typeof value === 'string' ? value : JSON.stringify(value)}); }
  ends(code = 1006) { this.readyState = 3; this.onclose({type: 'close', code, reason: '', wasClean: code !== 1006}); }
}

globalThis.self = globalThis;
globalThis.WebSocket = FakeWebSocket;
globalThis.location = {protocol: 'https:', host: 'example.com:8443', pathname: '/page/'};
globalThis.setTimeout = (run, ms) => timers.push({at: now + ms, run, live: true});
globalThis.clearTimeout = (number) => { timers[number - 1].live = false; };
Math.random = () => 0;

// Let time pass, in ms. Gives what timers have thrown.
function pass(ms) {
  const errors = [];
  for (const end = now + ms; ;) {
    const [next] = timers.filter((timer) => timer.live && timer.at <= end).sort((a, b) => a.at - b.at);
    if (!next) {
      now = end;
      return errors;
    }
    now = Math.max(now, next.at);
    next.live = false;
    try { next.run(); } catch (error) { errors.push(error.message); }
  }
}

const last = () => sockets[sockets.length - 1];
const failure = (run) => { try { run(); return null; } catch (error) { return error.message; } };
const tell = (value) => console.log(JSON.stringify(value));

// A bridge that is connected and listens; `heard`: what came.
const heard = [];
function connected(options) {
  const bridge = new channels.WebSocketBridge();
  bridge.connect('/ws/', undefined, options);
  bridge.listen((content, stream) => heard.push([content, stream]));
  for (const type of ['open', 'close', 'error']) {
    bridge.socket.addEventListener(type, (event) => heard.push(event.code ? `${type} ${event.code}` : type));
  }
  return bridge;
}
