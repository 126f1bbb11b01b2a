"""A FastAPI application whose sockets outlive their worker."""
