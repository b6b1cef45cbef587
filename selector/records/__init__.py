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
    AlikePictures,
    DataAudit,
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
from selector.records.workers import (
    Assignment,
    Seat,
)

__all__ = [
    "AlikePictures",
    "Assignment",
    "BackboneProxies",
    "Bytes",
    "Candidate",
    "ClassScore",
    "DataAudit",
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
    "Seat",
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
