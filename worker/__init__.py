"""The consumer side: hosts the code that answers, owns no socket."""
