"""Templates: the tags that load what Django has removed, and the script of Channels 1. Their text is cut into tags."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .djangos import LOADS, LOADS_WITHOUT, shimmed
from .findings import RUNS, Finding, Rule

TAG = re.compile(r"\{%(?P<tag>.*?)%\}|\{#.*?#\}")  # as Django has them: neither goes over the end of a line
UNREAD = {"comment": "endcomment", "verbatim": "endverbatim"}  # tags whose content is no template
SCRIPT = "channels/js/websocketbridge.js"


def tags(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Give the tags: line and column of each, from 1, and its words."""
    until = ""
    for number, line in enumerate(text.split("\n"), 1):
        for match in TAG.finditer(line):
            content = (match["tag"] or "").strip()
            if until:
                until = "" if content == until else until
                continue
            words = content.split()
            if words and words[0] in UNREAD:
                until = " ".join([UNREAD[words[0]], *(words[1:] if words[0] == "verbatim" else [])])
            elif words:
                yield number, match.start() + 1, words


def scan(text: str, file: str, shims: bool) -> Iterator[Finding]:
    """Give what is found in a template."""
    for line, column, words in tags(text):
        if words[0] == "load":
            libraries = words[words.index("from") + 1 :] if "from" in words else words[1:]
            for library in libraries:
                rule = _load(library, shims)
                if rule is not None:
                    yield Finding(file, line, column, f"{{% load {library} %}}", *rule)
        elif words[0] == "static" and len(words) > 1 and words[1].strip("\"'") == SCRIPT:
            yield Finding(file, line, column, SCRIPT, *RUNS)


def _load(library: str, shims: bool) -> Rule | None:
    if library in LOADS:
        return shimmed(LOADS[library], shims)
    return Rule("change", LOADS_WITHOUT[library]) if library in LOADS_WITHOUT else None
