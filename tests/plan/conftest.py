"""Protocols to plan, made from the one that ships with labctl."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.protocol.lab import Lab
from labctl.protocol.load import load_lab, load_protocol
from labctl.protocol.model import Protocol

Variant = Callable[..., Protocol]


@pytest.fixture(scope="session")
def lab(protocols: Path) -> Lab:
    """The simulated lab that ships with labctl."""
    return load_lab(protocols / "labs" / "simulated.yaml").model


@pytest.fixture(scope="session")
def demo(protocols: Path) -> Protocol:
    """The demonstration protocol."""
    return load_protocol(protocols / "vt_exsy_demo.yaml").model


@pytest.fixture(scope="session")
def variant(protocols: Path) -> Variant:
    """Make the demonstration protocol with other keys of `vt_exsy` (None: without that key)."""
    data: Any = load_protocol(protocols / "vt_exsy_demo.yaml").located.data

    def make(**keys: Any) -> Protocol:
        changed = copy.deepcopy(data)
        block = changed["procedures"][0]["vt_exsy"]
        for name, value in keys.items():
            if value is None:
                block.pop(name, None)
            else:
                block[name] = value
        return Protocol.model_validate(changed)

    return make
