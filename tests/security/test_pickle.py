"""Nothing is ever unpickled from a file: not by our own calls, and not by those of libraries."""

from __future__ import annotations

import ast
import io
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import selector
from selector import backbones
from selector.errors import SelectorError
from selector.predict import load_predictor
from selector.training.cache import entries

PACKAGE = Path(selector.__file__).parent
# What unpickles or runs what it reads. `pickle` itself is imported for the name of its error.
BANNED = {
    *(f"{m}.{f}" for m in ("pickle", "dill", "cloudpickle", "marshal") for f in ("load", "loads")),
    *("pickle.Unpickler", "shelve.open", "joblib.load", "runpy.run_path", "eval", "exec"),
    *("pandas.read_pickle", "pd.read_pickle", "torch.jit.load", "torch.package.PackageImporter"),
    *("torch.hub.load", "torch.hub.load_state_dict_from_url", "hub.load", "yaml.load"),
    *("model_zoo.load_url", "yaml.unsafe_load", "yaml.full_load"),
}
REQUIRED = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call in the package: where, the dotted name, the call."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                yield where, ast.unparse(node.func), node


def test_no_call_of_the_package_unpickles() -> None:
    assert [where for where, name, _ in calls() if name in BANNED] == []


def test_every_reader_that_could_unpickle_is_told_not_to() -> None:
    found = [(where, name, call) for where, name, call in calls() if name in REQUIRED]
    assert {name for _, name, _ in found} == set(REQUIRED)
    for where, name, call in found:
        wanted, value = REQUIRED[name]
        given = {k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}
        assert given.get(wanted) is value, where


def test_nobody_is_asked_to_run_code_from_a_hub() -> None:
    named = [
        where
        for where, _, call in calls()
        for keyword in call.keywords
        if keyword.arg in ("trust_remote_code", "trust_repo")
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
    ]
    assert named == []


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._trace,)


@pytest.fixture
def trace(tmp_path: Path) -> Iterator[Path]:
    """The file that a bomb leaves behind: it must not be there when the test ends."""
    path = tmp_path / "unpickled"
    yield path
    assert not path.exists()


def planted(kind: str, trace: Path) -> bytes:
    """The bytes of a file that does something when it is unpickled."""
    content, bomb = io.BytesIO(), Bomb(trace)
    match kind:
        case "pickle":
            return pickle.dumps(bomb)
        case "state of old torch":
            torch.save({"w": bomb}, content, _use_new_zipfile_serialization=False)
        case "state of torch":
            torch.save({"w": torch.zeros(2), "more": bomb}, content)
        case "array":
            np.save(content, np.array([bomb], dtype=object), allow_pickle=True)
        case "arrays":
            np.savez(content, weight=np.array([bomb], dtype=object), allow_pickle=True)
        case "zip":
            with zipfile.ZipFile(content, "w") as archive:
                archive.writestr("archive/data.pkl", pickle.dumps(bomb))
                archive.writestr("archive/version", "3")
    return content.getvalue()


KINDS = ("pickle", "state of old torch", "state of torch", "array", "arrays", "zip")


def test_the_bombs_are_live(tmp_path: Path) -> None:
    path = tmp_path / "went-off"
    pickle.loads(planted("pickle", path))  # noqa: S301 - it is ours
    assert path.exists()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_as_a_file_of_weights_is_refused(
    kind: str, suffix: str, tmp_path: Path, trace: Path
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(planted(kind, trace))

    with pytest.raises(SelectorError, match=r"weights\.\w+' cannot be read"):
        backbones.load("toy:cnn", weights=str(path), image_size=16, seed=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_as_a_checkpoint_is_refused(kind: str, tmp_path: Path, trace: Path) -> None:
    path = tmp_path / "trial-0000-0123456789ab.safetensors"
    path.write_bytes(planted(kind, trace))

    with pytest.raises(SelectorError, match="is not a complete safetensors file"):
        load_predictor(path, device=torch.device("cpu"))


def test_a_bomb_in_the_cache_counts_as_no_entry(tmp_path: Path, trace: Path) -> None:
    writer = entries.EntryWriter(
        tmp_path, "entry", samples=2, layout=entries.Layout((3,), (1,)), dtype=torch.float32
    )
    writer.add(torch.ones(2, 3))
    folder = writer.finish(compute_seconds=1.0, read_seconds=0.1)
    assert entries.open_entry(folder, verify=False) is not None
    (folder / entries.ROWS).write_bytes(planted("array", trace))

    assert entries.open_entry(folder, verify=False) is None
