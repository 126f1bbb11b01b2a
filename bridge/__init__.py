"""The ASGI side: owns the sockets, runs inside any protocol server, never imports or runs user code."""
