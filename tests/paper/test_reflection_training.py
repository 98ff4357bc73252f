"""The detectors of reflections can be fitted: their examples are right, and both learn."""

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
pytest.importorskip("safetensors", reason="a segmenter is kept as safetensors")

from typer.testing import CliRunner

from daemon.commands.app import app
from storage.errors import WeightsMissing
from tasks.paper.detectors import reflections, yolo
from tasks.paper.nets.yoso import Sizes, YosoNet
from tasks.training.data import photo_pool
from tasks.training.reflection_detector import strong_reflections, yoso
from tasks.training.reflection_detector import yolo as detector
from tasks.training.reflection_detector.fit import (
    DETECTOR,
    SEGMENTER,
    SMOKE,
    TooFewPhotos,
    fit,
    photos,
)

CPU = torch.device("cpu")
TINY = Sizes(8, 4, 16, 32, 6, 1)


@pytest.fixture
def tiles():
    chosen = (data.astronaut(), data.coffee()[:, 40:440], data.chelsea()[:, 60:360])
    squares = [cv2.resize(photo, (192, 192), interpolation=cv2.INTER_AREA) for photo in chosen]
    torch.set_num_threads(1)
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture
def gallery(tmp_path):
    """Some photos, of which at least one is held out."""
    (folder := tmp_path / "photos").mkdir()
    names = [folder / f"photo {number}.jpg" for number in range(60)]
    kept = [name for name in names if not photo_pool.is_held_out(name)][:4]
    for name in (*kept, next(filter(photo_pool.is_held_out, names))):
        Image.fromarray(data.coffee()).save(name)
    return folder


def rng(seed=1):
    return torch.Generator().manual_seed(seed)


def test_masked_pixels_are_bright_and_the_rest_is_visible(tiles):
    black = torch.zeros_like(tiles)
    scenes = strong_reflections.make(tiles, 16, 128, rng())
    assert scenes.images.shape == (16, 3, 128, 128)
    assert scenes.masks.shape == (16, 1, 128, 128)
    assert 0 <= scenes.images.min() <= scenes.images.max() <= 1
    assert set(scenes.masks.unique().tolist()) == {0.0, 1.0}
    shares = scenes.masks.mean((1, 2, 3))
    assert 0 < (shares == 0).sum() < 12  # some have none, most have some
    assert shares.max() < 0.9
    dark = strong_reflections.make(
        black, 16, 128, rng()
    )  # whatever light there is, it is reflected
    seen = dark.images.mean(1, keepdim=True)
    assert seen[dark.masks == 1].mean() > 0.4
    assert seen[dark.masks == 0].mean() < 0.1


def test_an_outline_encloses_its_reflection():
    mask = np.zeros((96, 128), np.float32)
    cv2.ellipse(mask, (40, 50), (30, 14), 20, 0, 360, 1.0, -1)
    mask[10:30, 90:120] = 1
    mask[80:82, 100:103] = 1  # too small
    drawn = np.zeros_like(mask)
    found = list(detector.outlines(mask))
    assert len(found) == 2
    for outline in found:
        assert 0 <= outline.min() <= outline.max() <= 1
        corners = np.rint(outline * (128, 96) - 0.5).astype(np.int32)
        cv2.fillPoly(drawn, [corners], 1.0)
    mask[80:82, 100:103] = 0
    assert (drawn * mask).sum() / np.maximum(drawn, mask).sum() > 0.93


def test_a_segmenter_learns_a_batch(tiles):
    scenes = strong_reflections.make(tiles, 4, 128, rng(5))
    assert 0.01 < float(scenes.masks.mean()) < 0.3
    torch.manual_seed(0)
    net = yoso.initial_net(SMOKE.net, None)
    optimiser = torch.optim.AdamW(net.parameters(), SMOKE.rate, weight_decay=0)
    losses = []
    for _ in range(60):
        net.train()
        losses.append(yoso.loss(net, scenes))
        optimiser.zero_grad()
        losses[-1].backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    assert losses[-1] < losses[0] / 2
    found = yoso.overlap(net.eval(), scenes)
    assert found > 0.35, found  # calling everything a reflection gives at most 0.3


def test_inference_weights_give_the_same_results(tiles):
    torch.manual_seed(0)
    net = yoso.initial_net(TINY, None)
    for _ in range(3):  # learns the statistics
        net.train()(tiles[..., :64, :96] / 255)
    same = YosoNet.of(yoso.inference_weights(net))
    with torch.inference_mode():
        seen, expected = same(tiles[..., :70, :50] / 255), net.eval()(tiles[..., :70, :50] / 255)
    assert torch.allclose(seen.masks, expected.masks, atol=1e-4)
    assert torch.allclose(seen.logits, expected.logits, atol=1e-3)  # they are divided by 0.05


def test_a_fit_can_start_with_a_net_of_other_classes(tmp_path):
    torch.manual_seed(0)
    given = YosoNet(TINY._replace(classes=133)).state_dict()
    torch.save({"model": given}, tmp_path / "coco.pth")
    net = yoso.initial_net(SMOKE.net, tmp_path / "coco.pth")
    state = net.state_dict()
    other = {name for name in state if state[name].shape != given[name].shape}
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in other} == {"criterion", "fc_cls"}
    assert all(torch.equal(state[name], given[name]) for name in set(state) - other)
    YosoNet.of(yoso.inference_weights(net))


def test_a_stopped_fit_continues(tiles, tmp_path):
    def run(steps, of):
        objective = yoso.segmenter_objective(
            photo_pool.Pool(tiles, tiles), 64, 2, TINY, 1e-3, None, CPU
        )
        lines = []
        fitted = yoso.fit(objective, steps, tmp_path / of, CPU, lines.append)
        return fitted, lines

    run(4, "stopped.pt")
    _, lines = run(6, "stopped.pt")
    assert [line.split(",")[0] for line in lines] == ["step 5 of 6", "step 6 of 6"]
    assert run(6, "stopped.pt")[1] == []


def test_a_stopped_detector_fit_continues(tiles, tiny_yolo, tmp_path):
    class Stopped(Exception):
        pass

    lines = []

    def stop(line):
        lines.append(line)
        raise Stopped

    dataset = detector.write_images(photo_pool.Pool(tiles, tiles), tmp_path / "images", 4, 64)
    arguments = str(tiny_yolo), dataset, 2, 64, 4, CPU
    with pytest.raises(Stopped):
        detector.fit(*arguments, stop)
    fitted = detector.fit(*arguments, lines.append)
    assert [line.split(",")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert fitted.is_file()


def test_an_unknown_architecture_is_not_downloaded(ultralytics):
    for name in ("nothing-seg", "yolov9c-seg.pt"):
        with pytest.raises(WeightsMissing, match=name):
            detector._net(name)


def test_too_few_photos_are_an_error(tmp_path):
    Image.fromarray(data.coffee()[:100]).save(tmp_path / "small.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(TooFewPhotos, match="0 of 2 photos"):
        photos(tmp_path, 192)


def test_the_command_writes_the_files_for_the_settings(gallery, tiny_yolo, tmp_path, synced):
    out = tmp_path / "fit"
    command = ["train", "reflection-detector", str(gallery), "--out", str(out), "--smoke"]
    done = CliRunner().invoke(app, [*command, "--steps", "1", "--yolo", str(tiny_yolo)])
    assert done.exit_code == 0, done.output
    assert synced.count(str(out)) >= 2  # each of both was renamed
    assert f'reflection_segmenter = "{out / SEGMENTER}"' in done.output
    assert "epoch 1 of 1" in done.output
    image = data.coffee()[:200, :300].astype(np.float32) / 255
    assert reflections.load_segmenter(out / SEGMENTER, CPU)(image).shape == (200, 300)
    yolo.load(out / DETECTOR, ("reflection",), CPU)(image)
    again = fit(tmp_path / "nowhere", out, SMOKE, print)  # both files exist
    assert again == (out / DETECTOR, out / SEGMENTER)
