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
from selector.records.comparison import (
    ClassDifference,
    ComparedCandidate,
    Comparison,
    Disagreement,
)
from selector.records.costs import (
    NetworkCost,
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
    Cost,
    Leaderboard,
    LeaderboardRow,
    PickedScore,
    ProxyAudit,
)
from selector.records.results import (
    Candidate,
    ClassScore,
    RunRow,
    RunStart,
    StoredCheckpoint,
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
    "ClassDifference",
    "ClassScore",
    "ComparedCandidate",
    "Comparison",
    "Cost",
    "DataSummary",
    "Disagreement",
    "EpochRecord",
    "EpochResult",
    "Floats",
    "Goal",
    "Ints",
    "Leaderboard",
    "LeaderboardRow",
    "NetworkCost",
    "Origin",
    "PickedScore",
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
    "StoredCheckpoint",
    "StudyRow",
    "StudySummary",
    "TrainingData",
    "TrialCounts",
    "TrialEnd",
    "TrialOutcome",
    "TrialRow",
    "TrialStart",
    "TrialState",
]
