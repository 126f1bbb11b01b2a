"""The same application, direct and through the bridge: what it and its clients see must be the same.

``scenario``      what a scenario is: an application's side and a client's side, next to each other
``scenarios/``    all scenarios, by topic
``tap``           the application's side: receives and sends, and takes notes
``wires/``        the client's side: sockets, h11, h2 and wsproto, and takes notes
``probe``         the ASGI application that plays the scenarios; ``bridged`` is the bridge in front of it
``transcript``    the notes of both sides, freed of what differs from run to run
``differences``   what may differ through the bridge, each with its reason
``sites``         a server, direct or bridged, that runs for as long as its tests
"""
