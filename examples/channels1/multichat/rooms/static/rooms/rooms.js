/* One socket for all rooms: the number of the room is in each message. */
(function () {
  "use strict";
  var state = document.getElementById("state");
  var open = document.getElementById("open");
  var bridge = new channels.WebSocketBridge();

  function element(name, text) {
    var made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  function sectionOf(room) {
    return document.getElementById("room-" + room);
  }

  function addLine(room, text, kind) {
    var section = sectionOf(room);
    if (section) {
      var line = element("li", text);
      line.className = kind;
      section.querySelector("ul").appendChild(line);
    }
  }

  function openRoom(room, name) {
    if (sectionOf(room)) {
      return;
    }
    var section = document.createElement("section");
    section.id = "room-" + room;
    section.appendChild(element("h2", name));
    section.appendChild(document.createElement("ul"));
    var form = document.createElement("form");
    var input = document.createElement("input");
    form.appendChild(input);
    form.appendChild(element("button", "Say"));
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      bridge.send({command: "say", room: room, text: input.value});
      input.value = "";
    });
    section.appendChild(form);
    open.appendChild(section);
  }

  bridge.connect("/rooms/socket/");
  bridge.listen(function (message) {
    if (message.error) {
      state.textContent = message.error + " " + message.detail;
    } else if (message.join) {
      openRoom(message.join, message.name);
    } else if (message.leave) {
      open.removeChild(sectionOf(message.leave));
    } else if (message.event === "said") {
      addLine(message.room, message.user + ": " + message.text, "said");
    } else {
      addLine(message.room, message.user + " has " + message.event, "event");
    }
  });
  bridge.socket.addEventListener("open", function () {
    state.textContent = "Connected";
  });
  bridge.socket.addEventListener("close", function () {
    state.textContent = "Disconnected";
  });

  document.getElementById("rooms").addEventListener("click", function (event) {
    var room = Number(event.target.dataset.room);
    if (room) {
      bridge.send({command: sectionOf(room) ? "leave" : "join", room: room});
    }
  });
})();
