"""Background work: small pictures of texts, drawn by workers that no socket waits for.

::

    channels-bridge serve examples.thumbnails.app:application --channels thumbnails=2 --bridge ipc:///tmp/thumbnails/

then http://127.0.0.1:8000/; or, from a script, which waits for the answer::

    python -m examples.thumbnails README.md --bridge ipc:///tmp/thumbnails/ > readme.svg
"""
