/*
 * channels.WebSocketBridge: JSON over a WebSocket that comes back, and the streams of a demultiplexer.
 *
 *     var bridge = new channels.WebSocketBridge();
 *     bridge.connect('/chat/');
 *     bridge.listen(function (content, stream) { ... });
 *     bridge.demultiplex('intval', function (payload, stream) { ... });
 *     bridge.send({text: 'hello'});
 *     bridge.stream('intval').send({pk: 1});
 *     bridge.socket.addEventListener('open', function () { ... });
 *
 * It is written for browsers without a build step, old ones too (ECMAScript 5).
 */
(function (root) {
  'use strict';

  var CONNECTING = 0, OPEN = 1, CLOSING = 2, CLOSED = 3;

  // The third argument of connect() may change these.
  var DEFAULTS = {
    constructor: undefined,           // what makes sockets; the browser's WebSocket
    minReconnectionDelay: 1500,       // ms before the first attempt to connect again; up to twice that, by chance,
                                      // so that the pages of a server that was restarted do not come all at once
    reconnectionDelayGrowFactor: 1.3, // each further attempt waits longer
    maxReconnectionDelay: 10000,      // ms at most
    connectionTimeout: 4000,          // ms in which an attempt has to succeed
    maxRetries: Infinity,             // attempts in a row that fail before it gives up
    maxQueued: 64                     // messages that wait for the socket to open; see send()
  };

  function merged(options) {
    var result = {}, name;
    for (name in DEFAULTS) {
      result[name] = DEFAULTS[name];
      if (options && Object.prototype.hasOwnProperty.call(options, name)) {
        result[name] = options[name];
      }
    }
    return result;
  }

  // -- a socket that comes back -----------------------------------------------------------------------------------

  /*
   * Like a WebSocket, but it connects again when it was closed, with growing delays. Its listeners stay, and hear each
   * 'open' and 'close'. It gives up after maxRetries, or when it is closed with {keepClosed: true}.
   */
  function ReconnectingWebSocket(url, protocols, options) {
    this.url = url;
    this.onopen = this.onmessage = this.onclose = this.onerror = null;
    this._protocols = protocols;
    this._options = merged(options);
    this._listeners = {open: [], message: [], close: [], error: []};
    this._queue = [];         // what was sent while it was not open
    this._failed = 0;         // attempts in a row
    this._ended = false;      // it will not connect again
    this._timer = null;       // until the next attempt, or the end of this one
    this._binaryType = null;
    this._ws = null;          // the socket of now; events of earlier ones are not heard any more
    this._connect();
  }

  ReconnectingWebSocket.prototype = {
    constructor: ReconnectingWebSocket,
    CONNECTING: CONNECTING, OPEN: OPEN, CLOSING: CLOSING, CLOSED: CLOSED,

    get readyState() { return this._ws ? this._ws.readyState : CLOSED; },
    get protocol() { return this._ws ? this._ws.protocol : ''; },
    get extensions() { return this._ws ? this._ws.extensions : ''; },
    get bufferedAmount() { return this._ws ? this._ws.bufferedAmount : 0; },
    get binaryType() { return this._binaryType || (this._ws ? this._ws.binaryType : 'blob'); },
    set binaryType(type) {
      this._binaryType = type;
      if (this._ws) {
        this._ws.binaryType = type;
      }
    },

    /*
     * Send now, or when the socket is open (again): then maxQueued messages may wait, in their order. One more throws,
     * and so does sending on a socket that will not open any more. What the browser took before the connection broke
     * is not sent again.
     */
    send: function (data) {
      if (this.readyState === OPEN) {
        this._ws.send(data);
      } else if (this._ended) {
        throw new Error('this WebSocket was closed, and will not connect again');
      } else if (this._queue.length >= this._options.maxQueued) {
        throw new Error('this WebSocket is not open, and ' + this._queue.length + ' messages wait for it already');
      } else {
        this._queue.push(data);
      }
    },

    /*
     * Close. As ever in this script, it connects again: {keepClosed: true} ends it. {fastClose: false}: 'close' is told
     * when the server has closed, too, and not at once. {delay: ms}: before the next attempt.
     */
    close: function (code, reason, options) {
      var ws = this._ws, how = options || {};
      if (how.keepClosed) {
        this._end();
      }
      if (!ws || ws.readyState >= CLOSING) {
        return;
      }
      if (how.fastClose === false) {
        this._delay = how.delay;
      } else {
        this._forget();
      }
      ws.close(code || 1000, reason || '');
      if (how.fastClose !== false) {
        this._closed({type: 'close', code: code || 1000, reason: reason || '', wasClean: true}, how.delay);
      }
    },

    addEventListener: function (type, listener) {
      var listeners = this._listeners[type];
      if (listeners && listener && listeners.indexOf(listener) < 0) {
        listeners.push(listener);
      }
    },

    removeEventListener: function (type, listener) {
      var listeners = this._listeners[type] || [], position = listeners.indexOf(listener);
      if (position >= 0) {
        listeners.splice(position, 1);
      }
    },

    _connect: function () {
      var self = this, Socket = this._options.constructor || root.WebSocket, ws;
      ws = this._protocols === undefined ? new Socket(this.url) : new Socket(this.url, this._protocols);
      this._ws = ws;
      this._delay = undefined;
      if (this._binaryType) {
        ws.binaryType = this._binaryType;
      }
      function heard(handle) {
        return function (event) {
          if (self._ws === ws) {
            handle(event);
          }
        };
      }
      ws.onopen = heard(function (event) { self._opened(event); });
      ws.onmessage = heard(function (event) { self._tell(event); });
      ws.onerror = heard(function (event) { self._tell(event); });
      ws.onclose = heard(function (event) {
        self._forget();
        self._closed(event, self._delay);
      });
      this._wait(this._options.connectionTimeout, function () {
        self._forget();
        ws.close(1000, '');
        self._tell({type: 'error', code: 'ETIMEDOUT', message: 'the attempt to connect took too long'});
        self._closed({type: 'close', code: 1006, reason: '', wasClean: false});
      });
    },

    _opened: function (event) {
      var queued;
      this._wait(null);
      this._failed = 0;
      this._tell(event);  // first: who listens may have to say who it is, before what waits is of any use
      while (this._queue.length && this.readyState === OPEN) {
        queued = this._queue.shift();
        this._ws.send(queued);
      }
    },

    _closed: function (event, delay) {
      var self = this, options = this._options, wait;
      if (!this._ended && this._failed >= options.maxRetries) {
        this._end();
        this._tell({type: 'error', code: 'EHOSTDOWN', message: 'too many attempts to connect have failed'});
      }
      if (!this._ended) {
        wait = options.minReconnectionDelay * (1 + Math.random());
        wait *= Math.pow(options.reconnectionDelayGrowFactor, this._failed);
        wait = Math.min(wait, options.maxReconnectionDelay);
        this._failed += 1;
        this._wait(delay === undefined ? wait : delay, function () { self._connect(); });
      }
      this._tell(event);
    },

    _forget: function () {
      this._ws = null;
      this._wait(null);
    },

    _end: function () {
      this._ended = true;
      this._queue = [];
      this._wait(null);
    },

    _wait: function (ms, then) {
      if (this._timer !== null) {
        root.clearTimeout(this._timer);
        this._timer = null;
      }
      if (ms !== null) {
        this._timer = root.setTimeout(then, ms);
      }
    },

    _tell: function (event) {
      var self = this, property = this['on' + event.type];
      this._listeners[event.type].concat(property || []).forEach(function (listener) {
        try {
          if (typeof listener === 'function') {
            listener.call(self, event);
          } else {
            listener.handleEvent(event);
          }
        } catch (error) {
          root.setTimeout(function () { throw error; }, 0);  // to the browser's console, and the others hear it too
        }
      });
    }
  };

  // -- the bridge -------------------------------------------------------------------------------------------------

  function WebSocketBridge(options) {
    this.socket = null;
    this.streams = {};
    this.default_cb = null;
    this.options = options || {};
  }

  WebSocketBridge.prototype = {
    constructor: WebSocketBridge,

    /*
     * Connect to a path of this page's host ('/chat/'), to a URL as it is, or without one to '/' of this page's host.
     * `protocols` as for a WebSocket; `options`: see DEFAULTS.
     */
    connect: function (url, protocols, options) {
      var location = root.location, target = url;
      if (target === undefined || target === null || target.charAt(0) === '/') {
        target = (location.protocol === 'https:' ? 'wss://' : 'ws://') + location.host + (target || '');
      }
      this.socket = new ReconnectingWebSocket(target, protocols, options);
    },

    /*
     * Hear what comes: callback(content, null). What comes on a stream goes to that stream's callback instead, and
     * nowhere if it has none. Call it without a callback where all is on streams.
     */
    listen: function (callback) {
      var self = this;
      this.default_cb = callback;
      this._connected().onmessage = function (event) {
        var message = JSON.parse(event.data), heard;
        if (message && message.stream !== undefined) {
          heard = Object.prototype.hasOwnProperty.call(self.streams, message.stream) && self.streams[message.stream];
          if (heard) {
            heard(message.payload, message.stream);
          }
        } else if (self.default_cb) {
          self.default_cb(message, null);
        }
      };
    },

    /* Hear what comes on a stream: callback(payload, stream), once listen() was called. */
    demultiplex: function (stream, callback) {
      this.streams[stream] = callback;
    },

    /* Send, as JSON. */
    send: function (message) {
      this._connected().send(JSON.stringify(message));
    },

    /* Give what sends on a stream: stream('intval').send(payload). */
    stream: function (stream) {
      var self = this;
      return {
        send: function (payload) {
          self.send({stream: stream, payload: payload});
        }
      };
    },

    _connected: function () {
      if (this.socket === null) {
        throw new Error('WebSocketBridge: call connect() first');
      }
      return this.socket;
    }
  };

  if (typeof module === 'object' && module && module.exports) {
    module.exports = {WebSocketBridge: WebSocketBridge};
  } else {
    root.channels = root.channels || {};
    root.channels.WebSocketBridge = WebSocketBridge;
  }
}(typeof self !== 'undefined' ? self : this));
