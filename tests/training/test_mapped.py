"""Rows go to a GPU's memory only where it has room for them."""

from __future__ import annotations

import torch

from selector.training.mapped import MappedRows, place_rows

GPU = torch.device("cuda")


def test_rows_stay_in_their_file_where_a_gpu_has_little_room(monkeypatch):
    rows = torch.zeros(10, 10)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2 * rows.nbytes - 2, 10**9))
    assert isinstance(place_rows(rows, GPU, resident_bytes=10**6), MappedRows)


def test_rows_stay_in_their_file_where_a_gpu_runs_out_of_memory(monkeypatch):
    class Large(torch.Tensor):
        def to(self, *_):
            raise torch.OutOfMemoryError("CUDA out of memory")

    rows = torch.zeros(10, 10).as_subclass(Large)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10**9, 10**9))
    assert isinstance(place_rows(rows, GPU, resident_bytes=10**6), MappedRows)
