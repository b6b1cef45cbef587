from __future__ import annotations

import torch

from selector.data.normalize import normalize
from selector.records import Preprocessing


def test_values_are_scaled_then_normalised_per_channel(preprocessing: Preprocessing) -> None:
    images = torch.randint(0, 256, (4, 6, 5, 3), dtype=torch.uint8)
    result = normalize(images, preprocessing)
    mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
    expected = ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)
    assert result.shape == (4, 3, 6, 5)
    torch.testing.assert_close(result, expected)


def test_the_result_is_channels_last_and_the_input_untouched(preprocessing: Preprocessing) -> None:
    for images in (torch.full((2, 4, 4, 3), 9, dtype=torch.uint8), torch.full((2, 4, 4, 3), 9.0)):
        result = normalize(images, preprocessing)
        assert result.is_contiguous(memory_format=torch.channels_last)
        assert (images == 9).all()
