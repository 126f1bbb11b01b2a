"""Tests that are marked with ``pytest.mark.anyio`` run on each of the three loops."""

import pytest

LOOPS: dict[str, tuple[str, dict[str, bool]]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


@pytest.fixture(params=[pytest.param(backend, id=name) for name, backend in LOOPS.items()])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param
