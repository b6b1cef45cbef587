"""Training, seen from outside: a network, the loop over epochs, predictions, checkpoints, costs."""

from selector.training.checkpoints import (
    LoadedCheckpoint,
    SavedCheckpoint,
    load_checkpoint,
    load_metadata,
    named_sha256,
    save_checkpoint,
)
from selector.training.cost import latency_ms, measure_step
from selector.training.evaluation import predict_log_probabilities
from selector.training.loop import train
from selector.training.memory import out_of_memory_fails_the_trial
from selector.training.network import Network
from selector.training.portions import Portions, trains_batch_norm
from selector.training.process import prepare_process
from selector.training.resume import Keeper, TrainingState

__all__ = [
    "Keeper",
    "LoadedCheckpoint",
    "Network",
    "Portions",
    "SavedCheckpoint",
    "TrainingState",
    "latency_ms",
    "load_checkpoint",
    "load_metadata",
    "measure_step",
    "named_sha256",
    "out_of_memory_fails_the_trial",
    "predict_log_probabilities",
    "prepare_process",
    "save_checkpoint",
    "train",
    "trains_batch_norm",
]
