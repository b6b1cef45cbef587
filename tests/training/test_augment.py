"""Every augmentation preset, on batches."""

from __future__ import annotations

import pytest
import torch

from selector.errors import UnknownNameError
from selector.training import augment

N = 64


def images(size=16):
    return torch.randn(N, 3, size, size, generator=torch.Generator().manual_seed(0))


def view(name, x, *, seed=0, epoch=1, indices=None):
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.arange(len(x)) if indices is None else indices
    return augment.apply(name, x, generator=generator, epoch=epoch, indices=chosen)


@pytest.fixture(params=augment.names())
def name(request):
    return request.param


def test_the_presets_are_the_documented_ones():
    assert augment.names() == ("none", "flip", "light", "trivial", "strong")


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"Unknown augmentation 'ligth'.*'light'"):
        view("ligth", images())


def test_shape_type_and_memory_order_stay(name):
    x = images().contiguous(memory_format=torch.channels_last)
    out = view(name, x)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.isfinite(out).all()


def test_same_seed_gives_the_same_views(name):
    assert torch.equal(view(name, images(), seed=3), view(name, images(), seed=3))


def test_input_is_left_alone(name):
    x = images()
    view(name, x)
    assert torch.equal(x, images())


@pytest.mark.parametrize("random", ["light", "trivial", "strong"])
def test_another_seed_gives_other_views(random):
    assert not torch.equal(view(random, images(), seed=3), view(random, images(), seed=4))


@pytest.mark.parametrize("random", ["light", "trivial", "strong"])
def test_images_of_one_batch_get_different_views(random):
    same = images()[:1].expand(N, -1, -1, -1)
    out = view(random, same, indices=torch.zeros(N, dtype=torch.int64))
    assert len({tuple(v.flatten().tolist()) for v in out}) > N // 4


@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_small_and_odd_sizes_work(name, size):
    assert view(name, images(size)).shape == (N, 3, size, size)


def test_none_gives_the_images_themselves():
    x = images()
    assert view("none", x) is x


def test_flip_shows_each_sample_both_ways_in_two_epochs():
    x = images()
    first, second, third = (view("flip", x, epoch=epoch) for epoch in (1, 2, 3))
    mirrored = (first == x.flip(3)).all(dim=(1, 2, 3))
    assert torch.equal(second[mirrored], x[mirrored])
    assert torch.equal(second[~mirrored], x[~mirrored].flip(3))
    assert torch.equal(first, third)
    assert N // 4 < int(mirrored.sum()) < 3 * N // 4


def test_flip_goes_by_sample_not_by_place_in_the_batch():
    x, order = images(), torch.randperm(N, generator=torch.Generator().manual_seed(1))
    whole = view("flip", x)
    assert torch.equal(view("flip", x[order], indices=order), whole[order])


def test_flip_and_crop_move_whole_bytes_too():
    x = (images() * 50 + 128).clamp(0, 255).to(torch.uint8)
    for preset in ("flip", "light"):
        out = view(preset, x)
        assert out.dtype == torch.uint8
        assert set(out.unique().tolist()) <= set(x.unique().tolist())


def test_crop_is_a_shift_of_the_reflected_image():
    x = images()
    reach = 16 // 8
    padded = torch.nn.functional.pad(x, (reach,) * 4, mode="reflect")
    moved = view("light", x)
    for i in range(8):
        places = [
            torch.equal(moved[i], window) or torch.equal(moved[i], window.flip(2))
            for top in range(2 * reach + 1)
            for left in range(2 * reach + 1)
            for window in [padded[i, :, top : top + 16, left : left + 16]]
        ]
        assert any(places)


def test_trivial_leaves_some_images_as_they_are_and_changes_most():
    x = images()
    out = view("trivial", x)
    alike = [
        torch.allclose(a, b, atol=1e-4) or torch.allclose(a, b.flip(2), atol=1e-4)
        for a, b in zip(out, x, strict=True)
    ]
    assert 0 < sum(alike) < N // 2


def test_erasing_leaves_holes_of_the_average_colour_in_about_half():
    x = images() + 10
    holes = (view("strong", x) == 0).all(dim=1)
    shares = holes.float().mean(dim=(1, 2))
    erased = shares > 0
    assert N // 4 < int(erased.sum()) < 3 * N // 4
    assert float(shares.max()) < 0.25
