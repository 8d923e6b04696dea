"""Section `compute` of `params.yaml`: what computes."""

from typing import Literal

from pydantic import Field

from vaeline.params.base import Section


class ComputeParams(Section):
    """Threads of the CPU, device, precision of a training's networks, and processes that train one model together.

    Each of them is a part of what makes a run: another value gives other bits. `auto` may mean another device
    elsewhere.
    """

    threads: int = Field(ge=1, le=1024)
    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["float32", "bfloat16"]
    workers: int = Field(ge=1, le=1024)
