"""What names stand for across files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from channels_bridge.bridge.migration.judging import is_known
from channels_bridge.bridge.migration.modules import Module, read
from channels_bridge.bridge.migration.project import Own, Project
from channels_bridge.bridge.migration.scanning import parts
from scanned import project


def last(module: Module) -> ast.expr:
    """Give the expression that is the last line of a file."""
    line = module.tree.body[-1]
    assert isinstance(line, ast.Expr)
    return line.value


def meaning(folder: Path, files: dict[str, str]) -> object:
    """Give what the last line of ``chat/a.py`` stands for."""
    whole, modules = project(folder, files)
    return whole.resolve(modules["chat/a.py"], last(modules["chat/a.py"]))


COMPAT = {
    "core/__init__.py": "",
    "core/compat.py": "from channels import Group as G\nimport channels.generic.websockets as ws",
}


@pytest.mark.parametrize(
    "source",
    [
        "import channels\nchannels.Group",
        "from channels import Group as G\nG",
        "import channels as c\nc.Group",
        "from channels import Group\nMine = Group\nAgain = Mine\nAgain",
        "from core.compat import G\nG",
        "from core import compat\ncompat.G",
        "import core.compat\ncore.compat.G",
        "import core.compat as compat\ncompat.G",
        "from ..core.compat import G\nG",
        "from ..core import compat as c\nc.G",
        "from core.compat import *\nG",
        "from channels import *\nGroup",
        "from ..other import *\nG",
        "from site.core.compat import G\nG",
    ],
)
def test_one_name_by_many_ways(tmp_path: Path, source: str) -> None:
    others = {"__init__.py": "", "other.py": "from .core.compat import *", "chat/__init__.py": ""}
    assert meaning(tmp_path, {**COMPAT, **others, "chat/a.py": source}) == "channels.Group"


@pytest.mark.parametrize(
    "source",
    [
        "def f(): pass\nf",
        "unknown",
        "x = 1\nx.real",
        "from .gone import G\nG",
        "from channels import Group\ndef Group(): pass\nGroup",
        "from ......x import G\nG",
        "f().x",
        "a = b\nb = a\na",
        "a = a\na",
        "from core.compat import *\n_hidden",
        "from channels import *\nNothing",
        "from json import *\nloads",
    ],
)
def test_what_is_not_known_stays_so(tmp_path: Path, source: str) -> None:
    assert meaning(tmp_path, {**COMPAT, "chat/__init__.py": "", "chat/a.py": source}) is None


def test_imports_in_circles_end(tmp_path: Path) -> None:
    files = {
        "chat/__init__.py": "",
        "chat/a.py": "from .b import *\nfrom .b import G\nG",
        "chat/b.py": "from .a import *\nfrom .a import G",
    }
    assert meaning(tmp_path, files) is None


def test_a_file_of_the_project_does_not_hide_channels(tmp_path: Path) -> None:
    """A folder of scripts may well have a channels.py: only the real one is a package that others import."""
    files = {"chat/channels.py": "class Group: pass", "chat/a.py": "from channels import Group\nGroup"}
    assert meaning(tmp_path, files) == "channels.Group"
    files = {"chat/channels.py": "class Group: pass", "chat/a.py": "from .channels import Group\nGroup"}
    assert isinstance(meaning(tmp_path, files), Own)


def test_a_folder_that_is_named_like_channels_is_the_projects(tmp_path: Path) -> None:
    files = {"chat/a.py": "from .nothing import Group\nfrom ..core import Group as G\nG", "core.py": "Group = 1"}
    whole, modules = project(tmp_path, {})
    (tmp_path / "site").rename(tmp_path / "channels")
    for name, source in files.items():
        file = tmp_path / "channels" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(source)
    top = tmp_path / "channels"
    modules = {name: read(top / name, name, parts(top / name, top)) for name in files}
    whole = Project(modules.values(), is_known)
    here = modules["chat/a.py"]
    assert [whole.resolve(here, ast_name(here, name)) for name in ("Group", "G")] == [None, None]


def ast_name(module: Module, name: str) -> ast.Name:
    """Give a name as one that is used at the top of a module."""
    node = ast.Name(name, ast.Load())
    module.reader.scope_of[node] = module.scope
    return node


def test_a_star_brings_no_private_names(tmp_path: Path) -> None:
    assert meaning(tmp_path, {"chat/a.py": "from channels import *\n__version__"}) is None


def test_of_modules_with_one_name_the_nearest_is_meant(tmp_path: Path) -> None:
    near = {"chat/lib/x.py": "from channels import Group as G"}
    far = {"aaa/lib/x.py": "from channels import Channel as G", "zzz/lib/x.py": "from channels import Channel as G"}
    assert meaning(tmp_path, {**far, **near, "chat/a.py": "from lib.x import G\nG"}) == "channels.Group"


def test_a_module_inside_a_package_is_not_found_by_its_bare_name(tmp_path: Path) -> None:
    files = {
        "core/__init__.py": "",
        "core/json.py": "from channels import Group as G",
        "chat/a.py": "from json import G\nG",
    }
    assert meaning(tmp_path, files) == "json.G"


def test_ancestors_are_followed_through_files_and_circles(tmp_path: Path) -> None:
    whole, modules = project(
        tmp_path,
        {
            "chat/__init__.py": "",
            "chat/base.py": """
                import channels.generic.websockets as g
                class Base(Mixin, g.WebsocketConsumer): pass
                class Mixin: pass
            """,
            "chat/a.py": "from . import base\nclass A(B, base.Base): pass\nclass B(A, object): pass\nA",
        },
    )
    own = whole.resolve(modules["chat/a.py"], last(modules["chat/a.py"]))
    assert isinstance(own, Own)
    assert list(whole.ancestors(own)) == ["channels.generic.websockets.WebsocketConsumer"]


def test_attributes_of_own_classes_are_not_followed(tmp_path: Path) -> None:
    assert meaning(tmp_path, {"chat/a.py": "class A:\n  G = 1\nA.G"}) is None


def test_a_module_can_be_found_by_its_full_name(tmp_path: Path) -> None:
    whole, modules = project(tmp_path, COMPAT)
    assert isinstance(whole, Project)
    near = modules["core/__init__.py"]
    assert whole.find(".site.core.compat", near) is modules["core/compat.py"]
    assert whole.find("core.compat", near) is modules["core/compat.py"]
    assert whole.find("compat", near) is None
    assert whole.find("channels", near) is None


def test_what_a_name_may_mean(tmp_path: Path) -> None:
    files = {"chat/__init__.py": "", "chat/a.py": "", "other/chat/a.py": "", "top.py": ""}
    found, modules = project(tmp_path, files)
    assert {one.file for one in found.named("chat.a")} == {"chat/a.py", "other/chat/a.py"}
    assert found.named("chat.b") == found.named("channels.a") == []
    lengths = {"chat/__init__.py": 1, "chat/a.py": 2, "other/chat/a.py": 2, "top.py": 1}
    rooted = {file: found.is_rooted(modules[file], length) for file, length in lengths.items()}
    assert rooted == {"chat/__init__.py": True, "chat/a.py": True, "other/chat/a.py": False, "top.py": True}
    assert not found.is_rooted(modules["chat/a.py"], 1)


def test_modules_that_could_not_be_read() -> None:
    found = Project([], is_known=lambda _: False, unread=[("site", "chat", "old")])
    assert found.is_unread("chat.old")
    assert found.is_unread("site.chat.old")
    assert not found.is_unread("chat")
