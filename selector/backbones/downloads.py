"""Where pretrained weights lie on this machine; fetched if they are missing and it is allowed."""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch

from selector.errors import UnavailableError
from selector.settings import load_settings

_TIMEOUT_SECONDS = 10.0
_CHUNK_BYTES = 1 << 20


def torch_hub_file(url: str, *, name: str) -> Path:
    """The file of a torch.hub download, from its cache, else fetched there now.

    The name of such a file ends in the first digits of its SHA-256, which a fresh download must
    match. Raises UnavailableError with the file wanted and its place.
    """
    filename = url.rsplit("/", 1)[-1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / filename
    if path.is_file():
        return path
    where = f"{path} (from {url})"
    if load_settings().offline:
        _refuse(name, where, reason="the network is not used (SELECTOR_OFFLINE)")
    try:
        _download(url, path)
    except (OSError, ValueError) as error:
        _refuse(name, where, reason=f"the download failed: {error}")
    return path


def hugging_face_file(repo: str, filenames: Sequence[str], *, name: str) -> Path:
    """The first of `filenames` in a Hugging Face repository, from its cache, else fetched now.

    `repo` may end in `@revision`. Raises UnavailableError with the file wanted and its place.
    """
    import huggingface_hub

    repo, _, revision = repo.partition("@")
    for filename in filenames:
        cached = huggingface_hub.try_to_load_from_cache(repo, filename, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    folder = huggingface_hub.constants.HF_HUB_CACHE
    where = (
        f"{filenames[0]} of huggingface.co/{repo} in the cache {folder} (on a machine with a "
        f"network: `hf download {repo} {filenames[0]}`, then copy its "
        f"models--{repo.replace('/', '--')} folder there)"
    )
    if load_settings().offline or huggingface_hub.constants.HF_HUB_OFFLINE:
        _refuse(name, where, reason="the network is not used (SELECTOR_OFFLINE or HF_HUB_OFFLINE)")
    try:
        # The hub's own client tries again for half a minute where there is no network at all.
        _reach(huggingface_hub.hf_hub_url(repo, filenames[0]))
        return _fetch_from_hub(repo, filenames, revision=revision or None)
    except OSError as error:  # the hub's errors are OSErrors too
        _refuse(name, where, reason=f"the download failed: {str(error).splitlines()[0]}")


def _fetch_from_hub(repo: str, filenames: Sequence[str], *, revision: str | None) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for filename in filenames[:-1]:
        try:
            return Path(
                huggingface_hub.hf_hub_download(
                    repo, filename, revision=revision, etag_timeout=_TIMEOUT_SECONDS
                )
            )
        except LocalEntryNotFoundError:
            raise  # no answer at all, so the other names would fail alike
        except EntryNotFoundError:
            continue
    return Path(huggingface_hub.hf_hub_download(repo, filenames[-1], revision=revision))


def _reach(url: str) -> None:
    """Raise OSError where the host does not answer; what it answers is for the hub's client."""
    try:
        urllib.request.urlopen(
            urllib.request.Request(url, method="HEAD"), timeout=_TIMEOUT_SECONDS
        ).close()
    except urllib.error.HTTPError:
        return
    except urllib.error.URLError as error:
        # The hub's client may trust other certificates than urllib does.
        if not isinstance(error.reason, ssl.SSLError):
            raise


def _download(url: str, path: Path) -> None:
    """Fetch `url` to a temporary name, compare its hash with the one in its name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with (
            os.fdopen(descriptor, "wb") as file,
            urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer,
        ):
            while chunk := answer.read(_CHUNK_BYTES):
                sha256.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        expected = path.stem.rsplit("-", 1)[-1]
        if not sha256.hexdigest().startswith(expected):
            raise ValueError(f"its SHA-256 {sha256.hexdigest()[:8]} is not {expected}")
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _refuse(name: str, where: str, *, reason: str) -> NoReturn:
    raise UnavailableError(
        f"Pretrained weights of '{name}' are not on this machine and {reason}. Wanted: {where}. "
        f"Or give a file of your own: backbones: {name}: {{weights: FILE}}."
    )
