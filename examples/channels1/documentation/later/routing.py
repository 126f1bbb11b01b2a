from channels import route

from . import consumers

channel_routing = [
    # The delay server (manage.py rundelay) sends them on, when it is time.
    route("websocket.connect", consumers.accept, path=r"^/reminders/$"),
    route("websocket.receive", consumers.remind, path=r"^/reminders/$"),
    route("reminders.due", consumers.due),
    # Work that need not be done by the workers that answer sockets: runworker --only-channels=jobs.*
    route("websocket.connect", consumers.accept, path=r"^/jobs/$"),
    route("websocket.receive", consumers.order_job, path=r"^/jobs/$"),
    route("jobs.run", consumers.run_job),
    # A request that is answered when there is something to tell.
    route("http.request", consumers.wait_for_news, path=r"^/news/$"),
    route("http.disconnect", consumers.wait_no_longer, path=r"^/news/$"),
    route("news.publish", consumers.publish_news),
]
