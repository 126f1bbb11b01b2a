/* New posts come to the top, changed ones stay where they are. */
(function () {
  "use strict";
  var state = document.getElementById("state");
  var posts = document.getElementById("posts");
  var bridge = new channels.WebSocketBridge();

  bridge.connect(posts.dataset.stream);
  bridge.listen(function (message) {
    if (message.error) {
      state.textContent = message.error;
      return;
    }
    var id = "post-" + message.post;
    var article = document.getElementById(id);
    if (!article) {
      article = document.createElement("article");
      article.id = id;
      posts.insertBefore(article, posts.firstChild);
    }
    article.innerHTML = message.html;
    var time = document.createElement("time");
    time.textContent = message.created;
    article.insertBefore(time, article.firstChild);
  });
  bridge.socket.addEventListener("open", function () {
    state.textContent = "Live";
  });
})();
