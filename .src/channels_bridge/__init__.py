"""The socket lives in one process, the code that answers it in another."""
