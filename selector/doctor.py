"""What this machine has and lacks: a look at everything that a run needs, changing nothing."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selector import uploads
from selector.errors import SelectorError
from selector.settings import Settings, load_settings

Status = Literal["ok", "note", "problem"]

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "optuna",
    "sqlalchemy",
    "numpy",
    "pillow",
    "safetensors",
)
_LITTLE_SPACE = 2_000_000_000  # bytes; a few checkpoints and the decoded images of a small study


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. A `problem` stops runs, a `note` is only worth knowing."""

    name: str
    status: Status
    value: str
    advice: str = ""


def examine(*, store: str | None = None) -> tuple[Finding, ...]:
    """Everything there is to know of this machine; `store` is a URL, by default the settings'."""
    settings = load_settings()
    return (
        Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}"),
        *_packages(),
        _device(),
        _store(store or settings.store),
        _folder("cache", settings.cache, "SELECTOR_CACHE"),
        _folder("artifacts", settings.artifacts, "SELECTOR_ARTIFACTS"),
        *_behind_url(settings),
        _network(settings),
        *_weights(),
        *_sources(),
    )


def _behind_url(settings: Settings) -> Iterator[Finding]:
    if settings.artifacts_url is None:
        return
    try:
        uploads.check()
    except SelectorError as error:
        yield Finding("artifacts' URL", "problem", settings.artifacts_url, str(error))
    else:
        yield Finding("artifacts' URL", "ok", settings.artifacts_url)


def _packages() -> Iterator[Finding]:
    for name in ("selector-finetune", *PACKAGES):
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            ours = name == "selector-finetune"
            yield Finding(
                name,
                "note" if ours else "problem",
                "run from a source tree" if ours else "not installed",
                "" if ours else f"pip install {name}",
            )


def _device() -> Finding:
    try:
        torch = importlib.import_module("torch")
        importlib.import_module("torchvision")
    except (ImportError, OSError, RuntimeError) as error:
        # A torchvision built for another torch fails with a RuntimeError.
        reason = str(error).partition("\n")[0]
        advice = "Install torch and torchvision together, from one index."
        return Finding("device", "problem", f"torch cannot be used: {reason}", advice)
    threads = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        return Finding("device", "ok", f"cpu ({threads}); no CUDA device found")
    gpus = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return Finding("device", "ok", f"CUDA {torch.version.cuda}: {gpus} ({threads})")


def _store(url: str) -> Finding:
    """The store, without creating or upgrading it."""
    from selector.store.engine import connect, parse_url, reaching, safe_url, sqlite_file
    from selector.store.migrate import HEAD, current_revision, is_newer

    try:
        parsed = parse_url(url)
        file = sqlite_file(parsed)
        if file is not None and not file.exists():
            return _new_file(file, safe_url(url))
        engine = connect(parsed)
        try:
            with reaching(parsed), engine.connect() as connection:
                revision = current_revision(connection)
        finally:
            engine.dispose()
    except SelectorError as error:
        return Finding("store", "problem", safe_url(url), str(error))
    schema = f"schema {revision}" if revision else "empty, the first run makes its tables"
    advice = ""
    if revision is not None and revision != HEAD:
        advice = (
            f"A newer selector made it. This one knows up to {HEAD}; upgrade it."
            if is_newer(revision)
            else f"An earlier selector made it; this one needs {HEAD}: selector db upgrade."
        )
    status: Status = "problem" if advice else "ok"
    return Finding("store", status, f"{safe_url(url)} ({schema})", advice)


def _new_file(file: Path, shown: str) -> Finding:
    if os.access(file.parent, os.W_OK):
        return Finding("store", "ok", f"{shown} (the first run creates it)")
    advice = f"The folder '{file.parent}' cannot be written to. Set SELECTOR_STORE."
    return Finding("store", "problem", shown, advice)


def _folder(name: str, folder: Path, variable: str) -> Finding:
    """A folder that runs write to, or the one it will be made in."""
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        advice = f"'{existing}' cannot be written to. Set {variable} to another folder."
        return Finding(name, "problem", str(folder), advice)
    free = shutil.disk_usage(existing).free
    little = free < _LITTLE_SPACE
    return Finding(
        name,
        "note" if little else "ok",
        f"{folder} ({free / 1e9:.1f} GB free)",
        f"Little space is left. Free some, or set {variable}." if little else "",
    )


def _network(settings: Settings) -> Finding:
    if settings.offline:
        return Finding("network", "ok", "not used (SELECTOR_OFFLINE)")
    return Finding("network", "ok", "used where weights are missing; SELECTOR_OFFLINE=1 forbids it")


def _weights() -> Iterator[Finding]:
    """The networks whose weights come in packages: here, or how to get them."""

    def find() -> Iterator[Finding]:
        from selector import backbones

        for architecture in backbones.known()["bundled"]:
            name = f"bundled:{architecture}"
            try:
                backbones.check(name)
            except SelectorError as missing:
                yield Finding(name, "note", "weights are not installed", str(missing))
            else:
                yield Finding(name, "ok", "weights found")

    return _where_torch_works(find)


def _sources() -> Iterator[Finding]:
    def find() -> Iterator[Finding]:
        from selector import backbones

        for source, names in backbones.known().items():
            yield Finding(f"source {source}", "ok", f"{len(names)} backbones")

    return _where_torch_works(find)


def _where_torch_works(find: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from find()
    except (ImportError, OSError, RuntimeError) as error:
        yield Finding("backbones", "problem", str(error).partition("\n")[0], "Mend torch first.")
