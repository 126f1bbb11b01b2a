/* The page asks for changes, and shows those that come back: its own, and those of everybody else. */
(function () {
  "use strict";
  var list = document.getElementById("counters");
  var state = document.getElementById("state");
  var bridge = new channels.WebSocketBridge();
  var stream = bridge.stream("counter");

  function button(text, click) {
    var made = document.createElement("button");
    made.textContent = text;
    made.addEventListener("click", click);
    return made;
  }

  function show(item, name, value) {
    var pk = Number(item.dataset.pk);
    item.dataset.name = name;
    item.dataset.value = value;
    item.textContent = name + ": " + value + " ";
    item.appendChild(button("+1", function () {
      stream.send({action: "update", pk: pk, data: {value: Number(item.dataset.value) + 1}});
    }));
    item.appendChild(button("Delete", function () {
      stream.send({action: "delete", pk: pk});
    }));
  }

  function find(pk) {
    return list.querySelector("[data-pk='" + pk + "']");
  }

  var changes = {
    create: function (pk, data) {
      var item = document.createElement("li");
      item.dataset.pk = pk;
      show(item, data.name, data.value);
      list.appendChild(item);
    },
    update: function (pk, data) {
      show(find(pk), data.name, data.value);
    },
    "delete": function (pk) {
      list.removeChild(find(pk));
    }
  };

  [].forEach.call(list.children, function (item) {
    show(item, item.dataset.name, item.dataset.value);
  });
  bridge.connect("/counters/socket/");
  bridge.listen();
  bridge.demultiplex("counter", function (payload) {
    changes[payload.action](payload.pk, payload.data);
  });
  bridge.socket.addEventListener("open", function () {
    state.textContent = "Connected";
  });
  document.getElementById("new").addEventListener("submit", function (event) {
    event.preventDefault();
    var name = document.getElementById("name");
    stream.send({action: "create", data: {name: name.value, value: 0}});
    name.value = "";
  });
})();
