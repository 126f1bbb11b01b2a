"""Background work: ``channels-worker examples.two_machines.summaries:summarise --channels summaries``.

It runs on one machine. A message to the named channel "summaries" finds it from any other.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from .here import HERE


def summarise(message: dict[str, Any]) -> dict[str, Any]:
    """Answer ``{"type": "summary.wanted", "lines": [...]}``. What this returns goes to the message's reply channel."""
    lines: list[str] = message["lines"]
    words = re.findall(r"\w+", " ".join(lines).lower())
    text = f"{len(lines)} messages, {len(words)} words"
    if words:
        word, times = Counter(words).most_common(1)[0]
        text += f", most often “{word}” ({times})"
    return {"type": "summary.made", "text": text, "handled_by": HERE}
