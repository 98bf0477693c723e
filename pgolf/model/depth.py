"""In which order the layers run, and which skips join them.

Depth recurrence runs a span of layers several times with the same weights (#1204, #1394): eleven layers with
3..5 run three times are seventeen deep at the size of eleven. The U-Net skips (modded-nanogpt) go by runs,
not by layers: the first half of the runs leaves its outputs, the second half takes them, last first.
"""

from __future__ import annotations

from pgolf.model.config import GPTConfig


def layer_order(config: GPTConfig) -> tuple[int, ...]:
    """The layer of each run, first to last."""
    before, after = range(config.loop_start), range(config.loop_end + 1, config.num_layers)
    looped = range(config.loop_start, config.loop_end + 1)
    return (*before, *(tuple(looped) * config.loop_count), *after)


def num_skips(config: GPTConfig) -> int:
    """How many runs leave their output to a later one: half of them, or none without `unet_skips`."""
    return len(layer_order(config)) // 2 if config.unet_skips else 0
