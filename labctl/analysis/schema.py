"""What all entries of ``results.json`` share: unknown keys are refused, and so are numbers JSON does not know."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ResultModel(BaseModel):
    """An entry of ``results.json``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
