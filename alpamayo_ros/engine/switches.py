"""What the engine does for speed: every optimisation is one switch, and each may be off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Float8 = Literal["off", "weights", "weights_and_activations"]


@dataclass(frozen=True)
class Switches:
    """Exact ones give the tokens of plain `vla` and its trajectory within rounding; they are on. In float32 that
    changes no word; in bfloat16, whose scores of words are coarse, it may.

    Over the plans of one drive, where a `Memory` is given:
    vision_cache: only frames that were not there in the last plan are resized and encoded.
    speculation: the last plan's reasoning is the draft of this one's, checked in one pass with the draws of this one.

    Within one plan:
    prefix_cache: keys and values of the prompt's constant head stay in the cache.
    joined_projections: queries, keys and values are one product, gate and up another; the weights are joined once.
        fused_kernels and native join what suits them, whatever this says.
    text_head: logits of the words that reasoning may use only; those of trajectory tokens are never looked at.
    quick_choice: a token is drawn from the likeliest 64; where these do not settle it, from all, as in plain `vla`.
    packed_weights: on the CPU in float32, products run in oneDNN over weights in its own layout: a second copy of them.
    native: on the CPU in float32, the vision tower, a prompt and flow matching (with guidance each step of it) are one
        call of our own library, over a second copy of their weights.
    matrix_units: where a processor has them (AMX), products of `native` with weights that consist of bfloat16 numbers,
        as those of the releases and of alpamayo-tiny do, are three products there: of the first, middle and last eight
        bits of the activations. Only the sums round, as in float32.
    fused_kernels: on CUDA, what lies between two products of the decoders and the vision tower is one kernel of our
        own; so are attention to the cache and products of few rows.
    static_graphs: every pass reads and writes buffers that stay where they are; on CUDA it is recorded and replayed.

    Approximate ones change the plan; they are off. The README says what they cost in quality, where it was measured.
    float8: weights of the decoders' layers as float8 (e4m3, a scale for each row), or activations too (a scale for each
        token). On CUDA with activations it is a float8 product; else weights are widened for each product, which costs
        time except in those of few rows on CUDA.
    shared_reasoning: all samples follow the reasoning of the first.
    skip_reasoning: no reasoning at all, straight to the trajectory.
    streaming: of frames that the last plan read too, keys and values are moved to their new places in the prompt, and
        only the rest is read; what a kept token saw is the older prompt. It takes a `Memory`, and two drives that take
        turns keep nothing. Refused for models with tubelets (frames of a camera joined to one picture, as in
        alpamayo-tiny): none is in two plans.
    Fewer flow steps are an option of each plan (`flow_steps`).
    """

    vision_cache: bool = True
    speculation: bool = True
    prefix_cache: bool = True
    joined_projections: bool = True
    text_head: bool = True
    quick_choice: bool = True
    packed_weights: bool = True
    native: bool = True
    matrix_units: bool = True
    fused_kernels: bool = True
    static_graphs: bool = True
    float8: Float8 = "off"
    shared_reasoning: bool = False
    skip_reasoning: bool = False
    streaming: bool = False


EXACT = Switches()
"""Every exact one on, no approximate one: the default everywhere."""
PLAIN = Switches(
    vision_cache=False,
    speculation=False,
    prefix_cache=False,
    joined_projections=False,
    text_head=False,
    quick_choice=False,
    packed_weights=False,
    native=False,
    matrix_units=False,
    fused_kernels=False,
    static_graphs=False,
)
"""Nothing on: the engine's own passes, as they are."""
