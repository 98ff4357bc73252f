"""Checkpoints are read, and no code in them is run."""

import pickle
import random
import warnings
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the paper engine needs torch")

from storage.errors import WeightsMissing, WeightsWrong
from tasks.paper.checkpoints import read_tensors

CONTENT = b"PK\x03\x04" + random.Random(7).randbytes(400_000)


class Runs:
    """What runs when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


def test_a_checkpoint_is_opened_unwrapped_and_named_plainly(tmp_path):
    tensor = torch.arange(6.0).reshape(2, 3)
    for wrapped in (
        {"a.b": tensor}, {"module.a.b": tensor}, {"params_ema": {"a.b": tensor}, "params": {}},
        {"model": {"a.b": tensor}, "iteration": 3}, {"state_dict": {"_orig_mod.a.b": tensor}},
    ):  # fmt: skip
        torch.save(wrapped, tmp_path / "net.pth")
        [(name, found)] = read_tensors(tmp_path / "net.pth").items()
        assert name == "a.b"
        assert torch.equal(found, tensor)


def test_safetensors_are_opened(tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from safetensors.torch import save_file

    save_file({"a": torch.arange(3)}, tmp_path / "net.safetensors")
    assert torch.equal(read_tensors(tmp_path / "net.safetensors")["a"], torch.arange(3))
    (tmp_path / "net.safetensors").write_bytes(b"\xff" * 30)
    with pytest.raises(WeightsWrong, match="cannot be read"):
        read_tensors(tmp_path / "net.safetensors")


def test_no_code_in_a_checkpoint_is_run(tmp_path):
    ran = tmp_path / "ran"
    torch.save({"a": Runs(ran)}, tmp_path / "zip.pth")
    torch.save({"a": Runs(ran)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Runs(ran), protocol=2))
    for name in ("zip.pth", "old.pth", "pickle.pt"):
        with pytest.raises(WeightsWrong, match=r"refused|cannot be read"):
            read_tensors(tmp_path / name)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["net.ckpt", "net.pkl", "net.bin", "net.onnx", "net"])
def test_files_of_other_kinds_are_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with pytest.raises(WeightsWrong, match=r"only \.safetensors, \.pth and \.pt"):
        read_tensors(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_no_checkpoint_is_an_error_in_one_sentence(tmp_path):
    for content in (b"", b"PK\x03\x04 cut", b"\x80\x02K\x01.", b"\x80\x02cut", CONTENT):
        (tmp_path / "net.pth").write_bytes(content)
        with pytest.raises(WeightsWrong, match=r"net\.pth"):
            read_tensors(tmp_path / "net.pth")
    for held in ({}, [1], {"a": 3}, {1: torch.zeros(1)}):
        torch.save(held, tmp_path / "net.pth")
        with pytest.raises(WeightsWrong, match="holds"):
            read_tensors(tmp_path / "net.pth")
    with pytest.raises(WeightsMissing):
        read_tensors(tmp_path / "none.pth")


@pytest.fixture
def traced(tmp_path):
    """A network as TorchScript, as LaMa comes, with a shared part and a turned buffer."""
    inner = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    inner.register_buffer("turned", torch.arange(6).reshape(2, 3).half().t())
    net = torch.nn.Sequential(inner, torch.nn.ReLU(), torch.nn.Sequential(inner[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.trace(net.eval(), torch.zeros(1, 3, 8, 8)).save(tmp_path / "net.pt")
    return tmp_path / "net.pt", net.state_dict()


def test_tensors_of_torchscript_are_read_without_running_it(traced):
    file, expected = traced
    found = read_tensors(file)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_torchscript_with_a_foreign_name_is_refused(traced, tmp_path):
    file, _ = traced
    evil = pickle.dumps(Runs(tmp_path / "ran"), protocol=2)
    with zipfile.ZipFile(file) as good, zipfile.ZipFile(tmp_path / "evil.pt", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, evil if name.endswith("/data.pkl") else good.read(name))
    with pytest.raises(WeightsWrong, match="is refused: it holds more than tensors"):
        read_tensors(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()
