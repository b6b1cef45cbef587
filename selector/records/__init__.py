"""The values that cross a module border: frozen, typed, without behaviour of their own."""

from selector.records.aliases import (
    Bytes,
    Floats,
    Goal,
    Ints,
    Origin,
    RunStatus,
    Scalar,
    SplitName,
    TrialState,
)
from selector.records.bundles import (
    ExportedBundle,
    Licence,
    ParityReport,
    Threshold,
)
from selector.records.data import (
    DataSummary,
    Preprocessing,
    Sample,
    SplitImages,
    Splits,
    TrainingData,
)
from selector.records.predictions import (
    Prediction,
)
from selector.records.ranking import (
    Leaderboard,
    LeaderboardRow,
    ProxyAudit,
)
from selector.records.results import (
    Candidate,
    ClassScore,
    RunRow,
    RunStart,
    StudyRow,
    StudySummary,
    TrialCounts,
    TrialEnd,
    TrialOutcome,
    TrialRow,
    TrialStart,
)
from selector.records.training import (
    BackboneProxies,
    EpochRecord,
    EpochResult,
    Recipe,
    StepCost,
)

__all__ = [
    "BackboneProxies",
    "Bytes",
    "Candidate",
    "ClassScore",
    "DataSummary",
    "EpochRecord",
    "EpochResult",
    "ExportedBundle",
    "Floats",
    "Goal",
    "Ints",
    "Leaderboard",
    "LeaderboardRow",
    "Licence",
    "Origin",
    "ParityReport",
    "Prediction",
    "Preprocessing",
    "ProxyAudit",
    "Recipe",
    "RunRow",
    "RunStart",
    "RunStatus",
    "Sample",
    "Scalar",
    "SplitImages",
    "SplitName",
    "Splits",
    "StepCost",
    "StudyRow",
    "StudySummary",
    "Threshold",
    "TrainingData",
    "TrialCounts",
    "TrialEnd",
    "TrialOutcome",
    "TrialRow",
    "TrialStart",
    "TrialState",
]
