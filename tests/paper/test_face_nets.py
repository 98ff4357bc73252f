"""Face nets are built from their files without running code in them, and take and return [-1, 1]."""

import inspect
from functools import partial
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
pytest.importorskip("spandrel_extra_arches", reason="spandrel builds the face nets")

from spandrel.architectures.GFPGAN import GFPGAN
from spandrel_extra_arches.architectures.CodeFormer import CodeFormer

from storage.errors import WeightsWrong
from tasks.paper.restorers.face_nets import codeformer, gfpgan, loaded_when_needed

CPU = torch.device("cpu")
FACE = torch.linspace(-1, 1, 3 * 512 * 512).reshape(1, 3, 512, 512)
SMALL_CODEFORMER = partial(
    CodeFormer, dim_embd=64, n_layers=1, codebook_size=16, latent_size=256,
    connect_list=["32", "64", "128", "256"],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def written(path, make, **values):
    """Write the weights of a net that returns its biases."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in make().state_dict().items()}
    one = {
        name: torch.full((1,) * len(shape), values.get(name, 0.0)) for name, shape in shapes.items()
    }
    torch.save({"params_ema": {name: one[name].expand(shapes[name]) for name in shapes}}, path)
    return path


@pytest.fixture(params=["CodeFormer", "GFPGAN"])
def made(request, tmp_path):
    """Return a net, on a device, that returns -0.7 for each face."""
    if request.param == "CodeFormer":
        bias = {"generator.blocks.24.bias": -0.7}
        return partial(codeformer, written(tmp_path / "net.pth", SMALL_CODEFORMER, **bias))
    bias = {f"stylegan_decoder.to_rgbs.{number}.bias": -0.1 for number in range(7)}
    return partial(gfpgan, written(tmp_path / "net.pth", GFPGAN, **bias))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="it takes a CPU a minute")
@torch.inference_mode()
def test_a_net_takes_and_returns_an_aligned_face(made):
    answer = made(torch.device("cuda"))(FACE.cuda()).cpu()
    assert answer.shape == FACE.shape
    assert torch.allclose(answer, torch.tensor(-0.7), atol=1e-4)  # of [-1, 1]: nothing is clamped


@pytest.mark.parametrize(
    "net, load, options",
    [
        (CodeFormer, partial(codeformer, fidelity=0.9), {"weight": 0.9}),
        (GFPGAN, gfpgan, {"return_rgb": False, "randomize_noise": False}),
    ],
)
def test_the_settings_are_passed_to_the_net(tmp_path, monkeypatch, net, load, options):
    """The computation is left out, because it takes a minute on a CPU."""

    def forward(self, face, **given):
        assert not self.training
        assert inspect.signature(published).bind(self, face, **given)
        asked.append(given)
        return -face, None

    asked, published = [], net.forward
    monkeypatch.setattr(net, "forward", forward)
    small = SMALL_CODEFORMER if net is CodeFormer else net
    answered = load(written(tmp_path / "net.pth", small), CPU)
    assert torch.equal(answered(FACE), -FACE)
    assert asked == [options]


def test_weights_of_another_net_are_refused(tmp_path):
    file = written(tmp_path / "net.pth", GFPGAN)
    with pytest.raises(WeightsWrong, match="not of CodeFormer"):
        codeformer(file, CPU)
    torch.save({"kernel": torch.zeros(1)}, file)
    with pytest.raises(WeightsWrong, match="not of GFPGAN"):
        gfpgan(file, CPU)


@pytest.mark.parametrize("load", [codeformer, gfpgan])
def test_a_file_with_code_in_it_is_refused(tmp_path, load):
    torch.save({"params_ema": Path("/")}, tmp_path / "net.pth")
    with pytest.raises(WeightsWrong, match="could run code"):
        load(tmp_path / "net.pth", CPU)


def test_a_net_is_loaded_once_and_not_before_it_is_needed():
    loads = []

    def load():
        loads.append("loaded")
        return lambda face: face + 1

    net = loaded_when_needed(load)
    assert loads == []
    assert [net(1), net(2)] == [2, 3]
    assert loads == ["loaded"]
