from channels_bridge.worker.settings import INTERFACES, LIFESPANS, LOOPS, Settings


def test_what_is_not_said_is_found_out() -> None:
    settings = Settings(app="x:app", urls=("ipc:///run/a/",))
    assert (settings.interface, settings.lifespan, settings.loop) == ("auto", "auto", "auto")
    for choices in (INTERFACES, LIFESPANS, LOOPS):
        assert choices[0] == "auto"


def test_a_worker_serves_the_pool_that_a_bridge_uses_by_default() -> None:
    assert Settings(app="x:app", urls=()).pools == ("default",)
    assert Settings(app="x:app", urls=()).threads >= 1
