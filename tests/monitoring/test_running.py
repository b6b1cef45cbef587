"""What a run's events come to as metrics, read the way Prometheus reads them."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from selector.errors import UnavailableError
from selector.events import (
    EpochEnded,
    PrefixUsed,
    RunReady,
    StoreAnswers,
    StoreSilent,
    TrialEnded,
    TrialLost,
    TrialStarted,
    WriterFailed,
)
from selector.monitoring import RunMetrics, serving
from selector.records import TrialCounts

READY = RunReady(
    study="flowers",
    store="sqlite:///selector.db",
    device="cpu",
    metric="f1_macro",
    goal="maximize",
    epochs=3,
    trials=4,
    earlier=TrialCounts(),
    best_score=None,
    counts={"train": 8, "validation": 4, "test": 4},
    classes=2,
    backbones=("toy:cnn",),
)


def started(number: int) -> TrialStarted:
    return TrialStarted(number=number, backbone="toy:cnn", params={"lr": 0.1}, origin="sampler")


def ended(number: int, state: str, best: float | None = 0.5) -> TrialEnded:
    return TrialEnded(
        number=number,
        backbone="toy:cnn",
        state=state,  # type: ignore[arg-type]
        score=best,
        best_epoch=1,
        epochs=1,
        seconds=2.0,
        failure=None,
        counts=TrialCounts(),
        best_score=best,
        best_trial=number,
    )


def samples(text: str) -> dict[tuple[str, str], float]:
    """Values by name and labels other than the study."""
    return {
        (s.name, ",".join(v for k, v in sorted(s.labels.items()) if k != "study")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


@pytest.fixture
def metrics(tmp_path: Path) -> RunMetrics:
    found = RunMetrics(cache=tmp_path)
    found(READY)
    return found


def read(metrics: RunMetrics) -> dict[tuple[str, str], float]:
    return samples(generate_latest(metrics.registry).decode())


def test_trials_are_counted_by_how_they_ended(metrics: RunMetrics) -> None:
    for number, state in enumerate(("complete", "pruned", "complete")):
        metrics(started(number))
        metrics(ended(number, state, 0.25 * (number + 1)))
    metrics(started(3))
    metrics(started(4))
    metrics(TrialLost(number=4, reason="its lease ran out"))
    found = read(metrics)
    assert found["selector_trials_total", "search,complete"] == 2
    assert found["selector_trials_total", "search,pruned"] == 1
    assert found["selector_trials_total", "search,failed"] == 0
    assert found["selector_trials_running", ""] == 1
    assert found["selector_leases_lost_total", ""] == 1
    assert found["selector_best_score", ""] == 0.75


def test_epochs_fill_a_histogram(metrics: RunMetrics) -> None:
    for seconds in (0.2, 0.2, 20.0):
        metrics(EpochEnded(number=0, epoch=1, epochs=3, score=0.5, best_score=0.5, seconds=seconds))
    found = read(metrics)
    assert found["selector_epoch_seconds_count", ""] == 3
    assert found["selector_epoch_seconds_sum", ""] == pytest.approx(20.4)
    assert found["selector_epoch_seconds_bucket", "0.25"] == 2
    assert found["selector_epoch_seconds_bucket", "30.0"] == 3


def test_the_cache_is_counted_and_its_files_are_measured(
    metrics: RunMetrics, tmp_path: Path
) -> None:
    use = {"backbone": "toy:cnn", "freeze_depth": 5, "view": 0, "seconds": 0.1}
    for outcome, size in (("filled", 100), ("hit", 100), ("declined", 0)):
        metrics(PrefixUsed(outcome=outcome, bytes=size, **use))  # type: ignore[arg-type]
    entry = tmp_path / "prefixes" / "0123"
    entry.mkdir(parents=True)
    (entry / "rows.npy").write_bytes(bytes(512))
    found = read(metrics)
    assert [
        found["selector_prefix_cache_requests_total", each]
        for each in ("hit", "filled", "declined")
    ] == [1, 1, 1]
    assert found["selector_prefix_cache_read_bytes_total", ""] == 200
    assert found["selector_prefix_cache_bytes", ""] == 512


def test_an_outage_is_one_however_many_workers_say_so(metrics: RunMetrics) -> None:
    for event in (StoreSilent(reason="away"), StoreSilent(reason="away")):
        metrics(event)
    assert read(metrics)["selector_store_silent", ""] == 1
    for event in (StoreAnswers(seconds=4.0), StoreAnswers(seconds=5.0)):
        metrics(event)
    metrics(WriterFailed(writer="mlflow", reason="away"))
    found = read(metrics)
    assert found["selector_store_silent", ""] == 0
    assert found["selector_store_outages_total", ""] == 1
    assert found["selector_store_outage_seconds_total", ""] == 4.0
    assert found["selector_side_failures_total", "writer"] == 1


def test_names_and_help_follow_the_conventions(metrics: RunMetrics) -> None:
    families = list(text_string_to_metric_families(generate_latest(metrics.registry).decode()))
    ours = [family for family in families if family.name.startswith("selector_")]
    assert len(ours) >= 10
    for family in ours:
        assert family.documentation.endswith("."), family.name
        if family.type == "counter":
            assert all(s.name.endswith("_total") for s in family.samples), family.name
        else:
            assert not family.name.endswith("_total"), family.name


def test_gpus_are_reported_as_the_driver_sees_them(metrics: RunMetrics) -> None:
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    except (FileNotFoundError, subprocess.CalledProcessError):
        listed = []
    found = read(metrics)
    sizes = [v for (name, _), v in found.items() if name == "selector_gpu_memory_bytes"]
    used = [v for (name, _), v in found.items() if name == "selector_gpu_memory_used_bytes"]
    assert [round(size / 2**20) for size in sizes] == [int(size) for size in listed]
    assert all(0 <= u <= s for u, s in zip(used, sizes, strict=True))


def test_metrics_are_served_over_http_until_the_run_ends(metrics: RunMetrics) -> None:
    with serving(metrics.registry, host="127.0.0.1", port=0) as address:
        port = int(address.split(":")[2].split("/")[0])
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert ("selector_trials_running", "") in samples(answer.read().decode())
        with (
            pytest.raises(UnavailableError, match=rf"port {port}.*--metrics-port"),
            serving(metrics.registry, host="127.0.0.1", port=port),
        ):
            pass
    with pytest.raises(OSError):
        urllib.request.urlopen(address, timeout=60)


@pytest.mark.parametrize("package", ["prometheus_client", "pynvml"])
def test_without_its_packages_the_command_says_what_to_install(
    package: str, tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from selector.cli import main; main(['worker', 'tiny', '--metrics-port', '0'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert done.stderr == (
        f"error: Metrics need a package that is not installed ({package}). "
        "Install it: pip install 'selector-finetune[metrics]'.\n"
    )
