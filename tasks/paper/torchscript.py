"""Read the tensors of a TorchScript archive (LaMa comes as one) without running the program in it.

torch.jit.load runs code of the archive, and torch.load(weights_only=True) refuses the archive.
So the pickle of its modules is read here. Modules become placeholders; other classes are refused.
The file is checked by `tasks.paper.archives` before.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip


MAX_PARTS = 100_000
"""Most attributes of modules, counted wherever a module stands; LaMa has some thousand."""


def is_archive(file: Path) -> bool:
    """Return whether a file is a TorchScript archive, by the same entry as torch."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_tensors(file: Path) -> "dict[str, Tensor]":
    """Read parameters and buffers by name, on the CPU.

    Raises:
        pickle.UnpicklingError: the pickle names a class or function that no network needs.
        ValueError, KeyError, RuntimeError, zipfile.BadZipFile: the file is damaged.

    """
    import torch

    with zipfile.ZipFile(file) as archive:
        [name] = [one for one in archive.namelist() if one.partition("/")[2] == "data.pkl"]
        reader = _Reader(archive, name.removesuffix("data.pkl"))
        parts = list(islice(_parts(reader.load(), ""), MAX_PARTS + 1))
    if len(parts) > MAX_PARTS:
        raise ValueError(f"it has more than {MAX_PARTS:,} parts")
    return {name: part for name, part in parts if isinstance(part, torch.Tensor)}


class _Module:
    """A placeholder for a module of the archive: its attributes by name."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.parts = dict(state)


class _Reader(pickle._Unpickler):
    """Builds tensors and placeholders, and refuses every other name in the pickle.

    That in C would make a list as long as the largest number that a pickle gives to an object.
    """

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(BytesIO(archive.read(root + "data.pkl")))
        self._archive = archive
        self._root = root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if module == "torch.jit._pickle" and name.startswith("build_") and name.endswith("list"):
            return list
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")

    def persistent_load(self, pid: Any, /) -> "Tensor":
        import torch

        kind, dtype_name, key, _device, count = pid
        dtype = getattr(torch, dtype_name)
        entry = f"{self._root}data/{key}"
        size = self._archive.getinfo(entry).file_size
        if kind != "storage" or size != count * dtype.itemsize:
            raise ValueError(f"the storage {key} has {size} bytes")
        if key not in self._storages:
            content = bytearray(self._archive.read(entry))
            tensor = (
                torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
            )
            self._storages[key] = tensor
        return self._storages[key]


def _tensor(
    storage: "Tensor", offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> "Tensor":
    """Build a tensor as torch._utils._rebuild_tensor_v2 does; torch checks its bounds."""
    return storage.as_strided(size, stride, offset)


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "device"): str,
}


def _parts(module: _Module, prefix: str) -> Iterator[tuple[str, object]]:
    """Yield the attributes of a module and of the modules in it, by their names in a state dict."""
    for name, part in module.parts.items():
        yield prefix + name, part
        if isinstance(part, _Module):
            yield from _parts(part, f"{prefix}{name}.")
