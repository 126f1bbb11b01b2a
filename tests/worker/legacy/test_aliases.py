"""Modules under the names of Channels 1. In processes of their own: this one has Channels 4."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from channels1_programs import TESTS, run, run_aliased
from channels_bridge.worker.legacy import aliases


def test_nothing_is_imported_until_it_is_asked_for() -> None:
    run_aliased(
        """
        import sys
        assert "channels" not in sys.modules
        assert not [name for name in sys.modules if name.startswith(("django", "anyio", "zmq", "asgiref"))]
        import channels
        assert not [name for name in sys.modules if name.startswith(("django", "anyio", "zmq", "asgiref"))]
        """
    )


def test_modules_are_the_same_under_both_names() -> None:
    run_aliased(
        """
        import sys
        import channels.security, channels.exceptions
        import channels_bridge.worker.legacy as ours
        from channels_bridge.worker.legacy import exceptions, security
        assert channels is ours and channels.exceptions is exceptions and channels.security is security
        assert sys.modules["channels.exceptions"] is exceptions
        for module in (ours, exceptions, security):
            assert module.__name__ == module.__spec__.name
            assert module.__name__.startswith("channels_bridge.worker.legacy"), module.__name__
        from channels import Channel, Group, route
        from channels.routing import Route
        assert route is Route and Route.__module__ == "channels_bridge.worker.legacy.routing"
        """
    )


def test_what_comes_by_the_other_name_first_is_the_same_as_well() -> None:
    run_aliased(
        """
        from channels_bridge.worker.legacy import exceptions
        import channels_bridge.worker.legacy.security as security
        import channels.exceptions, channels.security
        assert channels.exceptions is exceptions and channels.security is security
        """
    )


def test_the_test_helpers_have_two_names() -> None:
    run_aliased(
        """
        import django; django.setup()
        import channels.tests, channels.test
        from channels import tests
        from channels.tests.base import Client
        assert channels.tests is channels.test is tests and channels.test.Client is Client
        """
    )


def test_tools_that_look_at_modules_work() -> None:
    run_aliased(
        """
        import importlib, importlib.resources, inspect, pickle, pkgutil
        import channels, channels.exceptions, channels.message
        from channels.exceptions import ConsumeLater
        assert pickle.loads(pickle.dumps(ConsumeLater)) is ConsumeLater
        assert pickle.loads(b"cchannels.exceptions\\nConsumeLater\\n.") is ConsumeLater
        assert "class ConsumeLater" in inspect.getsource(channels.exceptions)
        assert inspect.getmodule(ConsumeLater) is channels.exceptions
        found = {module.name for module in pkgutil.iter_modules(channels.__path__, "channels.")}
        assert {"channels.routing", "channels.generic"} <= found
        assert (importlib.resources.files("channels") / "static/channels").is_dir()
        assert importlib.util.find_spec("channels.exceptions") is channels.exceptions.__spec__
        assert importlib.reload(channels.exceptions) is channels.exceptions
        assert importlib.reload(channels) is channels
        assert channels.exceptions.ConsumeLater is not ConsumeLater
        from django.utils import autoreload
        from pathlib import Path
        assert Path(channels.exceptions.__file__).resolve() in set(autoreload.iter_all_python_module_files())
        """
    )


def test_applications_are_found_under_the_names_of_channels_1() -> None:
    run_aliased(
        """
        import django
        from django.conf import settings
        settings.INSTALLED_APPS = [
            "django.contrib.contenttypes", "django.contrib.auth", "channels", "channels.delay",
        ]
        django.setup()
        from django.apps import apps
        assert apps.get_app_config("channels").name == "channels_bridge.worker.legacy"
        import channels.delay.models
        model = channels.delay.models.DelayedMessage
        assert apps.get_containing_app_config("channels_bridge.worker.legacy.delay.models").get_models
        assert model in apps.get_models()
        assert model._meta.db_table == "channels.delay_delayedmessage"
        """
    )


@pytest.mark.parametrize(
    "line",
    [
        "import channels.layers",
        "import channels.generic.websocket",
        "from channels import layers",
        "from channels.db import database_sync_to_async",
        "from channels.consumer import AsyncConsumer",
        "from channels.routing import ProtocolTypeRouter",
    ],
)
def test_code_for_channels_2_is_told_where_it_belongs(line: str) -> None:
    told = run_aliased(line, code=1)
    assert "came with Channels 2; this process runs Channels 1 code" in told
    assert "without --interface channels1" in told


def test_other_names_are_missing_as_ever() -> None:
    run_aliased(
        """
        import channels.routing
        try:
            import channels.nonsense
        except ModuleNotFoundError as error:
            assert error.name == "channels.nonsense" and str(error) == "Channels 1 has no module 'channels.nonsense'"
        assert not hasattr(channels.routing, "nonsense") and not hasattr(channels, "nonsense")
        try:
            import channels.consumers  # not taken for channels.consumer
        except ModuleNotFoundError as error:
            assert "Channels 2" not in str(error)
        """
    )


def test_modules_of_the_packages_around_it() -> None:
    run_aliased(
        """
        import asgiref.sync
        from asgiref.base_layer import BaseChannelLayer
        from asgiref.inmemory import ChannelLayer
        from channels_bridge.worker.legacy import memory
        assert ChannelLayer is memory.ChannelLayer and BaseChannelLayer is memory.BaseChannelLayer
        import asgi_ipc, asgi_rabbitmq, asgi_redis
        layer = asgi_redis.RedisChannelLayer(hosts=["redis://localhost"], prefix="mine:", expiry=30)
        assert layer.expiry == 30
        asgi_ipc.IPCChannelLayer(prefix="mine", message_memory=1), asgi_rabbitmq.RabbitmqChannelLayer(url="amqp://x")
        """
    )


def test_an_installed_layer_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "asgi_redis.py").write_text("real = True")
    run_aliased("import asgi_redis; assert asgi_redis.real", PYTHONPATH=f"{TESTS}{os.pathsep}{tmp_path}")


def test_channels_itself_must_not_be_there_already() -> None:
    told = run("import channels; from channels_bridge.worker.legacy import aliases; aliases.install()", code=1)
    assert "RuntimeError" in told
    assert "was imported as 'channels' before the aliases of Channels 1 were installed" in told


def test_again_is_no_error() -> None:
    run_aliased(
        """
        import sys
        before = list(sys.meta_path)
        aliases.install()
        import channels
        aliases.install()
        assert sys.meta_path == before
        """
    )


def test_the_environment_can_tell_a_process() -> None:
    program = "from channels_bridge.worker.legacy import aliases; aliases.install_as_told(); import channels; {}"
    run(program.format("assert channels.__version__[0] == '4'"))
    run(program.format("assert channels.__version__[0] == '1'"), CHANNELS_BRIDGE_CHANNELS1="1")
    shims = program.format("from django.utils import six")
    run(shims, CHANNELS_BRIDGE_CHANNELS1="django-shims")
    assert "--django-shims" in run(shims, CHANNELS_BRIDGE_CHANNELS1="1", code=1)


def test_children_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "before")
    monkeypatch.setenv(aliases.VARIABLE, "")
    aliases.tell_children()
    assert (os.environ[aliases.VARIABLE], os.environ["PYTHONPATH"]) == ("1", f"{aliases.STARTUP}{os.pathsep}before")
    aliases.tell_children(django_shims=True)
    assert os.environ[aliases.VARIABLE] == "django-shims"
    assert os.environ["PYTHONPATH"] == f"{aliases.STARTUP}{os.pathsep}before"
