import click
import pytest

from channels_bridge.worker.sizes import size


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("0", 0),
        ("1000", 1000),
        ("2k", 2048),
        ("2K", 2048),
        ("300M", 300 << 20),
        (" 300 MiB ", 300 << 20),
        ("1GB", 1 << 30),
    ],
)
def test_letters_are_powers_of_1024(given: str, number: int) -> None:
    assert size(given) == size(number) == number


@pytest.mark.parametrize("given", ["", "M", "-1", "1.5G", "3 apples", "1T"])
def test_what_is_no_size_is_refused(given: str) -> None:
    with pytest.raises(click.BadParameter, match="is no size; 300M is one"):
        size(given)
