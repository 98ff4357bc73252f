"""How many patches fit is chosen from the free memory before the first is computed."""

import pytest

torch = pytest.importorskip("torch", reason="the paper engine needs torch")

from tasks.paper import room

GIB = 2**30
CUDA = torch.device("cuda")


@pytest.fixture
def card(home, monkeypatch):
    """A GPU of 12 GiB; a patch needs one, `held` is what others hold and `cached` is torch's cache."""
    (home / "state").mkdir(exist_ok=True)

    class Card:
        held, cached, patch, runs = 1, 0, 1, 0

        def run(self):
            self.runs += 1
            self.cached = max(self.cached, self.patch)

    card = Card()
    fakes = {
        "empty_cache": lambda: setattr(card, "cached", 0),
        "mem_get_info": lambda device: ((12 - card.held - card.cached) * GIB, 12 * GIB),
        "reset_peak_memory_stats": lambda device: None,
        "memory_allocated": lambda device: 3 * GIB,
        "max_memory_allocated": lambda device: (3 + card.patch) * GIB,
        "get_device_name": lambda device: "RTX 3060",
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return card


def fitting(card, most=8):
    return room.fitting("InvSR", CUDA, most, card.run)


def test_the_number_is_chosen_from_the_free_memory(card):
    assert fitting(card) == 8  # 80 % of 11 GiB
    card.held = 7
    assert fitting(card) == 4
    card.held = 11.5
    assert fitting(card) == 1


def test_what_a_patch_needs_is_measured_once_on_a_device(card, monkeypatch):
    fitting(card)
    fitting(card)
    assert card.runs == 1
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "RTX 4090")
    fitting(card)
    assert card.runs == 2


def test_what_was_loaded_before_makes_no_difference(card):
    fresh = fitting(card)
    card.cached = 10  # by networks that are not loaded any more
    assert fitting(card) == fresh


def test_a_number_that_fitted_after_a_failure_is_kept(card):
    fitting(card)
    room.note("InvSR", CUDA, 4)
    assert fitting(card) == 4
    card.held = 6.5
    assert fitting(card) == 2
    assert card.runs == 1


def test_a_cpu_is_not_measured(card):
    assert room.fitting("InvSR", torch.device("cpu"), 8, card.run) == 8
    assert card.runs == 0
