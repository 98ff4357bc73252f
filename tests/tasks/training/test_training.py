"""Training: examples have the requested amounts, and a stopped fit continues."""

import functools
import io
import json

import numpy as np
import pytest
import skimage.data
from PIL import Image

torch = pytest.importorskip("torch", reason="fitting needs torch, which `make test` installs")

from storage.enums import Category, Degradation
from tasks.evaluation import manifest
from tasks.imaging.veil_figures import FIGURES, GRID
from tasks.lite import fusion
from tasks.training import export, fit, fit_fusion, objectives, pack, targets, testset
from tasks.training.data import (
    augmentations,
    blur,
    classifier_examples,
    compression,
    degradations,
    motion_kernels,
    noise,
    photo_pool,
    veil_examples,
)
from tasks.training.data.degradations import Recipe
from tasks.training.data.photo_pool import Pool
from tasks.training.nets.restorer import ResidualNet

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiles():
    """Tiles of the photographs of scikit-image."""
    photos = (skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee())
    cut = [np.pad(p, ((0, 512), (0, 512), (0, 0)), mode="reflect")[:512, :512] for p in photos]
    return torch.from_numpy(np.stack(cut).transpose(0, 3, 1, 2).copy())


def rng(seed=1):
    return torch.Generator().manual_seed(seed)


def psnr(one, other):
    return float(-10 * (one - other).square().mean().log10())


@pytest.mark.parametrize("recipe", list(Recipe))
def test_a_batch_is_in_range_and_the_same_for_the_same_seed(tiles, recipe):
    batch = degradations.make(recipe, tiles, 6, 96, rng())
    assert batch.clean.shape == batch.degraded.shape == (6, 3, 96, 96)
    assert 0 <= batch.degraded.min() <= batch.degraded.max() <= 1
    assert torch.equal(batch.degraded, degradations.make(recipe, tiles, 6, 96, rng()).degraded)
    assert not torch.equal(batch.degraded, degradations.make(recipe, tiles, 6, 96, rng(2)).degraded)


@pytest.mark.parametrize("recipe", list(Recipe))
def test_some_images_stay_nearly_as_they_are(tiles, recipe):
    batch = degradations.make(recipe, tiles, 64, 96, rng())
    similarity = [psnr(*pair) for pair in zip(batch.degraded, batch.clean, strict=True)]
    assert sum(each > 32 for each in similarity) >= 9  # an unmoved photo may be noisy
    degraded = 40 if recipe is Recipe.NOISE else 36  # cameras at low ISO have little noise
    assert sum(each < degraded for each in similarity) >= 24


@pytest.mark.parametrize("recipe", [Recipe.SOFTNESS, Recipe.MOTION])
def test_blurred_photos_come_from_a_camera_whose_noise_their_truths_lack(recipe):
    grey = torch.full((1, 3, 512, 512), 110, dtype=torch.uint8)
    batch = degradations.make(recipe, grey, 40, 96, rng())
    taken = slice(0, round(degradations.CAMERA_SHARE * 40))
    deviations = [255 * images[taken].std((1, 2, 3)) for images in (batch.degraded, batch.clean)]
    levels = batch.clean[taken].mean((1, 2, 3)) * 255
    assert deviations[0].max() > 4
    for clean, level in zip(deviations[1], levels, strict=True):
        assert clean < 0.3
        assert level == pytest.approx(110, abs=1)
    part = batch.degraded[int(deviations[0].argmax())]
    part = part - part.mean((1, 2), keepdim=True)
    neighbours = (part[0, :, 1:] * part[0, :, :-1]).mean() / part[0].square().mean()
    assert neighbours > 0.2  # demosaicing correlates the noise of neighbours; white noise has none


def test_blurred_lights_stay_white_over_an_area():
    light = torch.full((64, 3, 64, 64), 0.02)
    light[:, :, 28:36, 28:36] = 1
    images = light ** (1 / 2.2)
    bright = degradations._with_lights(images, rng())
    assert torch.allclose(bright[:, :, :20], light[:, :, :20])
    assert 0.2 < (bright.amax((1, 2, 3)) > 1.05).float().mean() < 0.45
    spread = [blur.soft_light(each, 2, 2.01, rng()).clamp(0, 1) for each in (light, bright)]
    white = [(each > 0.99).sum() for each in spread]
    assert white[1] > 1.2 * white[0] + 64


def test_the_quality_loss_is_given_for_most_compressed_images_and_no_good_one(tiles):
    batch = degradations.make(Recipe.COMPRESSION, tiles, 64, 96, rng())
    assert batch.inputs.shape == (64, 4, 96, 96)
    losses = batch.inputs[:, 3].amax((1, 2))
    assert torch.equal(losses, batch.inputs[:, 3].amin((1, 2)))
    similarity = torch.tensor(
        [psnr(*pair) for pair in zip(batch.degraded, batch.clean, strict=True)]
    )
    assert not losses[similarity > 46].any()
    assert 0.4 < (losses > 0).float().mean() < 0.75
    given = losses > 0
    ranks = [each[given].argsort().argsort().float() for each in (losses, -similarity)]
    assert torch.corrcoef(torch.stack(ranks))[0, 1] > 0.4  # the loss also depends on the photo


def test_noise_has_the_requested_sigma(tiles):
    images = tiles.float() / 255
    drawn = noise.noise(images, torch.tensor([5, 15, 25]).view(3, 1, 1, 1) / 255, rng())
    assert (255 * drawn.std((1, 2, 3))).tolist() == pytest.approx([5, 15, 25], rel=0.02)


def test_the_noise_of_a_sensor_is_coloured_and_stronger_in_the_shadows(tiles):
    dark, bright = (torch.full((1, 3, 128, 128), value) for value in (0.1, 0.7))
    spread = [noise.of_sensor(image, rng()).std() for image in (dark, bright)]
    assert spread[0] > 1.5 * spread[1]
    drawn = noise.of_sensor(bright, rng())[0, 0]
    neighbours = torch.stack([drawn[:, :-1].flatten(), drawn[:, 1:].flatten()])
    assert torch.corrcoef(neighbours)[0, 1] > 0.2  # white noise has none


@pytest.mark.parametrize("quality", [15, 40, 75, 92])
def test_compression_is_that_of_a_jpeg_file(tiles, quality):
    image = tiles[:1].float() / 255
    ours = compression.jpeg(image, torch.tensor([float(quality)]), rng())
    theirs = []
    for sampling in (0, 2):
        file = io.BytesIO()
        Image.fromarray(tiles[0].permute(1, 2, 0).numpy()).save(
            file, "JPEG", quality=quality, subsampling=sampling
        )
        decoded = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1) / 255
        theirs.append(psnr(ours[0], decoded))
    assert max(theirs) > psnr(ours, image) + 6


def test_blocks_may_begin_elsewhere(tiles):
    image, quality = tiles[:1].float() / 255, torch.tensor([8.0])

    def border(examples):
        steps = (examples[..., 1:] - examples[..., :-1]).abs().mean((0, 1, 2))
        return max(range(8), key=lambda phase: float(steps[phase::8].mean()))

    here = border(compression.jpeg(image, quality, rng()))
    assert here == 7
    assert border(compression.jpeg_elsewhere(image, quality, rng())) == (here - 5) % 8


def test_kernels_sum_to_one_and_have_the_requested_extent():
    kernels = motion_kernels.kernels(40, 8, 28, rng())
    assert kernels.sum((1, 2)).tolist() == pytest.approx([1] * 40, abs=1e-4)
    extents = []
    for kernel in kernels:
        rows, columns = (torch.nonzero(kernel.sum(axis) > 1e-4).flatten() for axis in (1, 0))
        extents.append(int(max(rows.max() - rows.min(), columns.max() - columns.min())) + 1)
    assert min(extents) >= 8
    assert max(extents) <= 30


def test_tiles_of_one_source_are_never_on_both_sides(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (60, 3), np.uint8)
    for number, colour in enumerate(colours):
        for part in ("0", "512"):
            file = tmp_path / f"album__{number}_s0.5_{part}_0.png"
            Image.fromarray(np.full((512, 512, 3), colour, np.uint8)).save(file)
    split = photo_pool.load([tmp_path])
    fitted, held_out = ({tuple(t[:, 0, 0].tolist()) for t in part} for part in (
        split.fitted, split.held_out,
    ))  # fmt: skip
    assert len(split.fitted) + len(split.held_out) == 120
    assert held_out
    assert not fitted & held_out


def test_packing_takes_one_tile_of_each_source_before_a_second(tmp_path):
    for name, size in {
        "a_s1_0": 40, "a_s1_1": 30, "a_s1_2": 10, "b": 40, "c_s1_0": 500, "d": 5,
    }.items():  # fmt: skip
        (tmp_path / f"{name}.png").write_bytes(bytes(size))
    chosen = [path.stem for path in pack.packed(photo_pool.photos_of([tmp_path]), 100)]
    assert chosen == ["a_s1_0", "b", "d", "a_s1_2"]


def test_packing_never_empties_a_folder(tmp_path, monkeypatch):
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "album").mkdir(parents=True)
    (photos / "album" / "a.png").write_bytes(b"a photo")
    monkeypatch.setattr("sys.argv", ["pack", "--photos", str(photos), "--out", str(out)])
    pack.main()
    assert (out / "album" / "a.png").read_bytes() == b"a photo"
    with pytest.raises(SystemExit, match="exists already"):
        pack.main()
    assert (out / "album" / "a.png").exists()


def test_an_untrained_net_changes_nothing():
    image = torch.rand((1, 3, 64, 40), generator=rng())
    assert torch.equal(ResidualNet()(image), image)


@functools.cache
def objective_of(tiles, name):
    """Return an objective; its held-out images take seconds to make, so all fits of it share them."""
    photos = Pool(tiles, tiles)
    if name == objectives.CLASSIFIER:
        return objectives.classifier_objective(photos, CPU)
    if name == objectives.REFLECTION:
        return objectives.reflection_objective(photos, CPU, 20)
    return objectives.restorer_objective(name, photos, CPU)


def fitting_of(tiles, steps, name=Recipe.NOISE):
    """Return a fit of 60 steps after so many of them."""
    fitting = fit.Fit(objective_of(tiles, name), CPU)
    for _ in range(steps):
        fitting.take_step(60)
    return fitting


@pytest.mark.parametrize("name", [Recipe.NOISE, objectives.CLASSIFIER, objectives.REFLECTION])
def test_a_continued_fit_equals_an_uninterrupted_one(tiles, tmp_path, name, synced):
    whole = fitting_of(tiles, 4, name)
    fitting_of(tiles, 2, name).save(tmp_path / "half.pt")
    assert len(synced) == 2 and synced[1] == str(tmp_path)
    resumed = fitting_of(tiles, 0, name)
    resumed.load(tmp_path / "half.pt")
    for _ in range(2):
        resumed.take_step(60)
    for key, value in whole.average.state_dict().items():
        assert torch.allclose(value, resumed.average.state_dict()[key], atol=1e-6), key


def test_a_short_fit_removes_noise_and_reports_it(tiles):
    fitting = fitting_of(tiles, 60)
    batch = degradations.make(Recipe.NOISE, tiles, 12, 96, rng(99))
    before, after = objectives.gains(fitting.net.eval(), batch)
    assert (after - before)[before < 26].min() > 0.02
    assert "from 0-26 dB: +" in fitting.report()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (Recipe.NOISE, (3, 128)),
        (Recipe.COMPRESSION, (4, 128)),
        (objectives.CLASSIFIER, (3, 128)),
        (objectives.REFLECTION, (FIGURES, GRID)),
    ],
)
def test_an_exported_net_equals_the_fitted_one_and_can_start_a_fit(tiles, tmp_path, name, shape):
    fitting = fitting_of(tiles, 2, name)
    (tmp_path / "net.onnx").write_bytes(export.export(fitting.average, shape, {"recipe": "noise"}))
    parameters = sum(weight.numel() for weight in fitting.average.parameters())
    assert (tmp_path / "net.onnx").stat().st_size < 2.5 * parameters  # half precision
    again = fitting_of(tiles, 0, name).net
    again.load_state_dict(fit.weights_of(tmp_path / "net.onnx"), strict=False)
    tile = torch.rand((1, shape[0], shape[1], shape[1]), generator=rng())
    with torch.inference_mode():
        expected, found = (net.eval()(tile) for net in (fitting.average, again))
    for one, other in zip([*expected], [*found], strict=True):
        assert torch.allclose(one, other, atol=1e-2)


def test_half_of_the_examples_have_added_light_and_the_rest_has_none(tiles):
    examples = veil_examples.veiled(tiles, 60, rng())
    there = examples.severities > 0
    assert 0.2 < there.float().mean() < 0.8
    assert examples.light.min() >= 0
    assert not examples.light[~there].mean((1, 2, 3)).gt(0.01).any()
    assert examples.light[examples.changes > 0.1].mean((1, 2, 3)).min() > 0.01
    unveiled, veiled = veil_examples.unveiled(examples), examples.figures[:, :3].float()
    assert (unveiled <= veiled + 0.06).all()  # the darkest light


def test_examples_and_their_light_are_rotated_alike(tiles):
    examples = veil_examples.veiled(tiles, 10, rng())
    turned = examples.at(torch.arange(10), rng(3))
    assert not torch.equal(turned.light, examples.light)
    before, after = (
        (veil_examples.unveiled(each)).flatten(1).sort(1)[0] for each in (examples, turned)
    )
    assert torch.allclose(before, after, atol=5e-3)  # the figures are of half precision


def test_photos_with_black_in_every_block_keep_the_weights_finite(tiles):
    striped = tiles.clone()
    striped[:, :, ::4] = 0  # so every error is 0
    fitted = fitting_of(striped, 3, objectives.REFLECTION)
    assert all(weight.isfinite().all() for weight in fitted.net.parameters())


def test_whole_photos_are_cut_into_squares_of_one_size(tmp_path):
    for number, size in enumerate([(400, 330), (1300, 640), (320, 319), *[(500, 500)] * 30]):
        Image.new("RGB", size, (number, 0, 0)).save(tmp_path / f"{number}.png")
    squares = photo_pool.squares([tmp_path])
    both = torch.cat([squares.fitted, squares.held_out])
    assert both.shape[1:] == (3, photo_pool.SIDE, photo_pool.SIDE)
    assert sorted(both[:, 0, 0, 0].tolist())[:3] == [
        0,
        1,
        1,
    ]  # the wide one twice, the small one not
    assert len(both) == 33


def test_labels_match_the_degradations(tiles):
    examples = classifier_examples.labelled(tiles, 96, 96, rng())
    assert examples.images.shape == (96, 3, 96, 96)
    assert 0 <= examples.severities.min() <= examples.severities.max() <= 1
    number = (examples.severities > 0).sum(1)
    assert (number == 0).float().mean() > 0.1  # a quarter is requested
    assert number.max() == 2
    both_blurs = (examples.severities[:, 2] > 0) & (examples.severities[:, 3] > 0)
    assert not both_blurs.any()
    assert ((examples.severities > 0.5).sum(0) > 4).all()


@pytest.mark.parametrize("name", augmentations.AUGMENTATIONS)
def test_augmentations_keep_most_of_a_photo_sharp(tiles, name):
    images = tiles.float() / 255
    varied = augmentations.AUGMENTATIONS[name](images, rng()).clamp(0, 1)
    assert varied.shape == images.shape
    assert not torch.equal(varied, images)
    steps = [(each[..., 1:] - each[..., :-1]).abs().flatten(1) for each in (images, varied)]
    before, after = (torch.quantile(step[:, ::7], 0.995, dim=1) for step in steps)
    assert (after > 0.15 * before).all()  # a fog is the faintest


def test_many_scenes_behind_a_pane_are_parts_of_photos():
    whole = torch.linspace(0, 255, 512).byte().expand(1, 3, 512, 512)  # from black to white
    spans = torch.cat([
        (examples.amax((1, 2, 3)) - examples.amin((1, 2, 3)))
        for examples in (veil_examples._random_scenes(whole, rng(seed)) for seed in range(4))
    ])  # fmt: skip
    assert 8 < (spans < 0.97).sum() < 36
    assert spans.min() > veil_examples.MIN_PART - 0.03


def test_some_photos_are_toned_like_faded_prints_and_some_lose_their_colours(tiles):
    images = (tiles[:1].float() / 255).expand(60, -1, -1, -1)
    images = (images - images.amin()) / (images.amax() - images.amin())  # from black to white
    examples = augmentations.toned(images, rng())
    assert 0 <= examples.min() <= examples.max() <= 1
    darkest = torch.quantile(examples.flatten(1)[:, ::97], 0.002, dim=1)
    assert 8 < (darkest > 0.08).sum() < 30
    colours = (examples.amax(1) - examples.amin(1)).mean((1, 2))
    assert colours.min() < 0.5 * colours.median()


def test_the_same_seed_gives_the_same_augmentations(tiles):
    images = tiles.float() / 255
    taken = [augmentations.augmented(images, rng(5)) for _ in range(2)]
    assert torch.equal(*taken)
    assert 0 <= taken[0].min() <= taken[0].max() <= 1


def test_a_fit_can_start_with_the_weights_of_another(tiles, tmp_path):
    fitting_of(tiles, 3).save(tmp_path / "noise.pt")
    fitting = fitting_of(tiles, 0, Recipe.SOFTNESS)
    fitting.load_weights(tmp_path / "noise.pt")
    weights = torch.load(tmp_path / "noise.pt", weights_only=True)["average"]
    for key, value in fitting.net.state_dict().items():
        assert torch.equal(value, weights[key])
    assert fitting.step == 0


def test_a_fit_from_a_shipped_net_counts_its_steps_and_uses_other_images(
    tiles, tmp_path, monkeypatch
):
    photos, shipped = tmp_path / "photos", tmp_path / "noise.onnx"
    photos.mkdir()
    for number, tile in enumerate(tiles[[*range(3)] * 10]):
        Image.fromarray(tile.permute(1, 2, 0).numpy()).save(photos / f"{number}.png")
    seeds = []
    examples = degradations.make
    monkeypatch.setattr(
        degradations, "make", lambda *what: seeds.append(what[-1].initial_seed()) or examples(*what)
    )
    monkeypatch.setattr(export, "weights_path", lambda _: shipped)
    for name, also in (("first", ()), ("second", ("--initial", str(shipped)))):
        out = ["--out", str(tmp_path / name)]
        arguments = ["fit", "noise", "--photos", str(photos), "--steps", "2", *out, *also]
        monkeypatch.setattr("sys.argv", arguments)
        fit.main()
        monkeypatch.setattr("sys.argv", ["export", "noise", *out])
        export.main()
    assert fit.steps_of(shipped, "noise") == 4
    assert fit.steps_of(shipped, "softness") == 0
    assert fit.steps_of(tmp_path / "first" / "noise.pt", "noise") == 0
    assert sorted(set(seeds)) == [objectives.SEED + number for number in range(5)]  # 0: held out


def test_a_shipped_file_is_written_again_with_its_weights_and_facts(tmp_path, monkeypatch):
    shipped, again = export.weights_path("compression"), tmp_path / "again.onnx"
    again.write_bytes(shipped.read_bytes())
    monkeypatch.setattr(export, "weights_path", lambda _: again)
    monkeypatch.setattr("sys.argv", ["export", "compression", "--again"])
    export.main()
    assert fit.steps_of(again, "compression") == fit.steps_of(shipped, "compression") > 0
    old, new = fit.weights_of(shipped), fit.weights_of(again)
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old)


def test_a_further_input_channel_is_ignored_at_first(tiles, tmp_path):
    noise_net = fitting_of(tiles, 3)
    noise_net.save(tmp_path / "noise.pt")
    fitting = fitting_of(tiles, 0, Recipe.COMPRESSION)
    fitting.load_weights(tmp_path / "noise.pt")
    image = torch.rand((1, 3, 64, 64), generator=rng())
    with torch.inference_mode():
        expected = noise_net.average(image)
        for loss in (0.0, 0.8):
            plane = torch.full((1, 1, 64, 64), loss)
            assert torch.allclose(
                fitting.average(torch.cat([image, plane], 1)), expected, atol=1e-6
            )


def test_severities_become_shares_of_the_categories():
    severities = torch.tensor([[0, 0, 0, 0, 0], [1, 0.2, 0, 0, 0], [0.5, 0, 0, 0, 0.5]])
    shares = fit_fusion.shares_of(severities)
    at = {category: fusion.CATEGORIES.index(category) for category in Category}
    assert shares[0, at[Category.CLEAN]] == 1
    assert shares[1, at[Category.SUPER_RESOLUTION]] == 1
    assert shares[2].tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])


def test_the_fusion_is_fitted_written_and_read(tmp_path, monkeypatch):
    figures = torch.randn(400, 13, generator=rng())
    severities = (figures[:, :5] > 0.3).float()
    net = fit_fusion.fitted(figures, severities)
    text = fit_fusion.report(net, figures, severities)
    assert "AUC of noise: 0.9" in text or "AUC of noise: 1.0" in text
    good = int((severities.amax(1) == 0).sum())
    assert f"share of {good} good photos that would be mended: 0.000" in text
    all_bad = fit_fusion.report(net, figures + 4, severities)
    assert f"share of {good} good photos that would be mended: 1.000" in all_bad
    monkeypatch.setattr(fusion, "FILE", tmp_path / "fusion.npz")
    fit_fusion.save(net, torch.zeros(13), torch.ones(13), fusion.FILE)
    fusion._layers.cache_clear()
    try:
        found, scores = fusion.weigh(figures[0].numpy())
    finally:
        fusion._layers.cache_clear()
    with torch.inference_mode():
        expected = net(figures[:1])[0]
    assert list(found.values()) == pytest.approx(expected[:5].sigmoid().tolist(), abs=1e-5)
    assert list(scores.values()) == pytest.approx(expected[5:].softmax(0).tolist(), abs=1e-5)


def test_the_testset_is_reproducible_and_its_files_exist(tiles, tmp_path):
    rows = [list(testset.synthetic(tiles, tmp_path / name, 9)) for name in "ab"]
    assert rows[0] == rows[1]
    groups = {row["group"] for row in rows[0]}
    assert {"clean", "hard negatives", "softness+noise", "12 megapixels"} <= groups
    for row in rows[0]:
        pair = [(tmp_path / name / row["path"]).read_bytes() for name in "ab"]
        assert pair[0] == pair[1]
        assert row["truth"] == "" or (tmp_path / "a" / row["truth"]).is_file()


def figures(**changed):
    """Return the figures of `photomend evaluate --json` that the targets use."""
    return {
        "photos": 10, "pairs": 10, "forced_accuracy": 0.95, "all_found": 0.7,
        "acted_on": {"super-resolution": 0.9, "clean": 0.0}, "clean_touch_rate": 0.0,
        "auc": {kind.value: 0.995 for kind in Degradation}, "psnr_in": 30.0, "gain": 6.0,
        "gain_acted": 6.0, "worst_gain_acted": 0.1, "restored": 8, "poor_pairs": 4,
        "poor_acted_on": 1.0, "baseline_pairs": 10, "baseline_gain": 2.0,
        "baseline_harm_rate": 0.0, "gain_beside_baseline": 6.0, "harm_rate": 0.0,
        "harm_rate_95": [0.0, 0.1], "other_pairs": 10, "other_harm_rate": 0.0,
        "other_harm_rate_95": [0.0, 0.1], "seconds_per_megapixel": 1.0, "peak_mb": 900.0,
    } | changed  # fmt: skip


def test_each_target_is_reached_or_not():
    names = (*targets.MIN_GAIN, "clean", "hard negatives", "softness+noise", "12 megapixels")
    synthetic = {"all": figures(), "groups": {name: figures() for name in names}}
    real = {"all": figures(), "groups": {"drealsr_pairs": figures()}}
    assert all(target.reached for target in targets.compare(synthetic, real))
    synthetic["groups"]["motion"] = figures(gain=0.5)
    synthetic["groups"]["clean"] = figures(clean_touch_rate=0.05)
    synthetic["all"] = figures(harm_rate=0.5)
    synthetic["groups"]["12 megapixels"] = figures(seconds_per_megapixel=1.3)
    missed = [target.what for target in targets.compare(synthetic, real) if not target.reached]
    assert missed == [
        "clean photos touched",
        "gain, motion",
        "harmed, synthetic",
        "12 megapixels, seconds",
    ]


REAL = ("noise_polyu", "noise_polyu as PNG", "drealsr_pairs", "refl_real20", "refl_location")
MOVED = {"super-resolution": 0.9, "motion-blur": 0.5}


def missed_on_real_photos(every=None, **changed):
    """Return the targets that figures of real photos miss; `changed` are those of one group."""
    names = (*targets.MIN_GAIN, "clean", "hard negatives", "softness+noise", "12 megapixels")
    synthetic = {"all": figures(), "groups": {name: figures() for name in names}}
    groups = {name: figures() for name in REAL} | changed
    real = {"all": figures(acted_on=MOVED) | (every or {}), "groups": groups}
    found = list(targets.compare(synthetic, real))
    assert any(target.real for target in found)
    return [target.what for target in found if not target.reached]


def test_each_target_on_real_photos_is_reached_or_not():
    assert missed_on_real_photos() == []
    noise, png = "gain, noise_polyu", {"noise_polyu as PNG": figures(poor_acted_on=0.7)}
    assert missed_on_real_photos(noise_polyu=figures(gain=1.4)) == [noise]
    below_the_peer = figures(gain=2.0, gain_beside_baseline=2.0, baseline_gain=2.1)
    assert missed_on_real_photos(noise_polyu=below_the_peer) == [noise]
    assert missed_on_real_photos(**png) == ["acted on, noise_polyu as PNG below 37 dB"]
    reflections = ["reflections, where acted on"]
    assert missed_on_real_photos(refl_real20=figures(worst_gain_acted=-0.1)) == reflections
    untouched = figures(gain=0.0, gain_acted=None, worst_gain_acted=None, restored=0)
    assert missed_on_real_photos(refl_real20=untouched) == []
    neither = {"refl_real20": untouched, "refl_location": untouched}
    assert missed_on_real_photos(**neither) == reflections
    assert missed_on_real_photos(drealsr_pairs=figures(gain=-0.1)) == ["gain, drealsr_pairs"]
    moved = MOVED | {"motion-blur": 0.2}
    assert missed_on_real_photos({"acted_on": moved}) == ["movements acted on"]
    assert missed_on_real_photos({"clean_touch_rate": 0.03}) == ["good photos touched"]
    assert missed_on_real_photos({"other_harm_rate": 0.2}) == ["harmed, real"]
    assert missed_on_real_photos({"harm_rate": 0.2}) == []  # good photos have a target of their own


def test_made_and_real_photos_are_in_one_table_with_the_peer(tmp_path, capsys):
    names = (*targets.MIN_GAIN, "clean", "hard negatives", "softness+noise", "12 megapixels")
    for name, groups in (("synthetic", names), ("real", REAL)):
        found = {"all": figures(acted_on=MOVED), "groups": {one: figures() for one in groups}}
        (tmp_path / f"{name}.json").write_text(json.dumps(found | {"baseline": "nlm"}))
    targets.main(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    head = lines[0]
    made, real, peer = (head.index(word) for word in ("made photos", "real photos", "nlm"))
    noise = next(line for line in lines if line.strip().startswith("gain, noise "))
    polyu = next(line for line in lines if line.strip().startswith("gain, noise_polyu "))
    assert noise[made:real].startswith("+6.00 dB")
    assert polyu[made:real].strip() == ""
    assert polyu[real:peer].startswith("+6.00 dB")
    assert polyu[peer:].startswith("+2.00 dB")


def test_real_noise_is_in_the_testset_as_jpeg_and_as_png(tmp_path):
    folder = tmp_path / "research" / "noise_polyu"
    folder.mkdir(parents=True)
    pixels = skimage.data.astronaut()[:64, :64]
    names = [f"Canon80D_5_160_book_1_{kind}.JPG" for kind in ("real", "mean")]
    for name in names:
        Image.fromarray(pixels).save(folder / name, "JPEG", quality=97)
    lines = [
        f"research/noise_polyu/{name},noise_polyu,{label},0"
        for name, label in zip(names, ("A", "GT"), strict=True)
    ]
    text = "\n".join(["path,group,suggested_label,sha256", *lines])
    (tmp_path / "files.csv").write_text(text)
    testset._write(tmp_path / "real.csv", testset.real(tmp_path / "research", tmp_path))
    as_jpeg, as_png = manifest.read(tmp_path / "real.csv")
    assert (as_jpeg.group, as_png.group) == ("noise_polyu", "noise_polyu as PNG")
    for row in (as_jpeg, as_png):
        assert row.camera == "Canon80D"
        assert row.label is Category.SUPER_RESOLUTION
        assert row.truth.name == names[1]
    with Image.open(as_jpeg.path) as before, Image.open(as_png.path) as saved:
        assert (before.format, saved.format) == ("JPEG", "PNG")
        assert np.array_equal(np.asarray(before), np.asarray(saved))
