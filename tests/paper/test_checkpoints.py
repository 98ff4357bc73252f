"""Checkpoints are read, and no code in them is run."""

import copy
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


def rewrite(file, made, content):
    """Copy an archive with another pickle of its modules."""
    with zipfile.ZipFile(file) as good, zipfile.ZipFile(made, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, content if name.endswith("/data.pkl") else good.read(name))


def test_torchscript_with_a_foreign_name_is_refused(traced, tmp_path):
    file, _ = traced
    rewrite(file, tmp_path / "evil.pt", pickle.dumps(Runs(tmp_path / "ran"), protocol=2))
    with pytest.raises(WeightsWrong, match="is refused: it holds more than tensors"):
        read_tensors(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def unfolding(file, how):
    """Make an archive of torch that unfolds to more than it has, in one of the ways there are."""
    torch.save({"a": torch.zeros(1_000_000)}, file)
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
        [data] = [info for info in archive.infolist() if info.filename.endswith("/data/0")]
        start = archive.start_dir
    if how == "comment":
        return file.write_bytes(whole[:-2] + (4).to_bytes(2, "little") + b"PK\5\6")
    if how == "two directories":
        directory = whole[start : whole.index(b"PK\6\6", start)]
        return file.write_bytes(whole[:start] + directory + whole[start:])
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            deflated = how == "deflated" and name == data.filename
            archive.writestr(name, content, zipfile.ZIP_DEFLATED if deflated else None)
        if how == "overlap":  # each further entry names the bytes of the first one
            [shared] = [info for info in archive.infolist() if info.filename == data.filename]
            for number in range(1, 50):
                archive.filelist.append(copied := copy.copy(shared))
                copied.filename = f"{data.filename}{number}"
        if how == "directory":
            for number in range(60_000):
                archive.filelist.append(copied := copy.copy(archive.filelist[0]))
                copied.filename = f"{number:0200}"
    return None


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("deflated", "is compressed"),
        ("overlap", "to 200,"),
        ("directory", "directory has"),
        ("comment", "not where it says"),
        ("two directories", "not where it says"),
    ],
)
def test_an_archive_that_unfolds_to_more_than_its_file_is_refused(tmp_path, how, reason):
    unfolding(tmp_path / "net.pth", how)
    with pytest.raises(WeightsWrong, match=reason):
        read_tensors(tmp_path / "net.pth")


def test_a_safetensors_file_with_an_endless_header_is_refused(tmp_path):
    header = b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header += b"".join(
        b',"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % number
        for number in range(200_000)
    )
    header += b"}"
    (tmp_path / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(WeightsWrong, match="its header has"):
        read_tensors(tmp_path / "net.safetensors")


def test_a_tensor_without_its_values_is_refused(tmp_path):
    tensors = (
        torch.zeros(1).expand(1 << 40), torch.empty(1 << 40, device="meta"),
        torch.zeros(1, 1).to_sparse(),
    )  # fmt: skip
    for tensor in tensors:
        torch.save({"a": tensor}, tmp_path / "net.pth")
        with pytest.raises(WeightsWrong, match=r"'a' without its values|too many values"):
            read_tensors(tmp_path / "net.pth")


def test_torchscript_whose_parts_multiply_is_refused(traced, tmp_path):
    file, _ = traced
    part = b"c__torch__\nM\n)\x81}"  # a module, whose attributes follow
    many = (
        b"\x80\2"
        + part
        + b"b"
        + b"".join(b"q\1c__torch__\nM\n)\x81}(X\1\0\0\0ah\1X\1\0\0\0bh\1ub" for _ in range(40))
        + b"."
    )
    rewrite(file, tmp_path / "many.pt", many)
    with pytest.raises(WeightsWrong, match="more than 100,000 parts"):
        read_tensors(tmp_path / "many.pt")


def test_torchscript_that_numbers_its_objects_far_away_is_read_in_little_memory(traced, tmp_path):
    file, _ = traced
    rewrite(file, tmp_path / "far.pt", b"\x80\2c__torch__\nM\n)\x81}br\xff\xff\xff\xff.")
    with pytest.raises(WeightsWrong, match="no state dict"):
        read_tensors(tmp_path / "far.pt")
