"""What the stages of a plan have to do at least: products with weights, attention, and values moved.

    product      (rows, inner) by weights (inner, columns): 2 · rows · inner · columns FLOP, the weights read once
    attention    4 · queries · keys · heads · head_dim FLOP (scores and mixing); in the prefill a query sees half of
                 the keys on average, L (L + 1) / 2 pairs, in decoding and in the expert all that there are
    moved        inputs, outputs, and the key-value cache: 2 · layers · kv_heads · head_dim values a column, written
                 by the prefill, read by every later pass

Norms, activations, rotary embedding, softmax and sampling are left out: they are small next to this, and what they
move could stay in a cache. So are scales of float8 weights, logits of trajectory tokens, which reasoning may not use,
and work that a stage repeats without need. A floor that is made of these counts is one that a perfect implementation
could reach.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

from alpamayo_ros.evaluation.drivers.model import picture_size
from alpamayo_ros.vla.config import DecoderConfig, ModelConfig, VisionConfig


@dataclass(frozen=True)
class Load:
    """What one plan is asked for.

    pictures: that are encoded. patches: of each. known, prompt: tokens of the prompt, of which the first are in the
    cache from before. tokens: that are said and fed after it; passes: of the language model for these, as many where
    nothing is drafted, fewer where some were read right with the prompt or with each other.
    """

    pictures: int
    patches: int
    known: int
    prompt: int
    tokens: int
    passes: int
    flow_steps: int
    samples: int

    @property
    def tokens_a_pass(self) -> int:
        """That were right on average, the prompt's own pass among them."""
        return max(1, round(self.tokens / (self.passes + 1)))

    @property
    def tokens_with_prompt(self) -> int:
        """Right ones that were read with it."""
        return max(0, self.tokens - self.passes * self.tokens_a_pass)


@dataclass(frozen=True)
class Product:
    """`count` products of the same shape, each with weights of its own or at another time.

    in_decoder: with weights of a decoder's layers, which the engine may hold as float8.
    """

    rows: int
    inner: int
    columns: int
    count: int
    in_decoder: bool = False

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.inner * self.columns * self.count

    @property
    def weights(self) -> int:
        return self.inner * self.columns * self.count


@dataclass(frozen=True)
class Work:
    """moved: values that are read or written besides the weights."""

    products: tuple[Product, ...]
    attention_flops: int
    moved: int

    @property
    def flops(self) -> int:
        return self.attention_flops + sum(product.flops for product in self.products)

    def bytes(self, itemsize: int, *, float8: bool = False) -> int:
        """itemsize: bytes of a value or a weight. float8: the decoders' layers have weights of one byte instead."""
        weights = sum(product.weights * (1 if float8 and product.in_decoder else itemsize) for product in self.products)
        return itemsize * self.moved + weights


def plan_work(config: ModelConfig, load: Load) -> dict[str, Work]:
    """The stages in order, under the names that `Plan.latencies_ms` has."""
    return {
        "vision": vision_work(config.vision, load.pictures, load.patches),
        "prefill": prefill_work(config, load.known, load.prompt, load.tokens_with_prompt),
        "reasoning": reasoning_work(config, load),
        "flow_matching": flow_work(config, load),
    }


def vision_work(config: VisionConfig, pictures: int, patches: int) -> Work:
    rows, size = pictures * patches, config.hidden_size
    frames = config.in_channels * config.temporal_patch_size
    pixels = rows * config.patch_size**2
    products = []
    # A convolution of stride 2 is a product for each pixel that it leaves.
    for layer, (before, after) in enumerate(itertools.pairwise([frames, *config.stem_channels]), start=1):
        products.append(Product(pixels // 4**layer, 9 * before, after, 1))
    side = config.patch_size // 2 ** len(config.stem_channels)
    channels = config.stem_channels[-1] if config.stem_channels else frames
    products += [
        Product(rows, channels * side**2, size, 1),
        Product(rows, size, 3 * size, config.depth),
        Product(rows, size, size, config.depth),
        Product(rows, size, config.intermediate_size, config.depth),
        Product(rows, config.intermediate_size, size, config.depth),
    ]
    merged = config.spatial_merge_size**2
    mergers = 1 + len(config.deepstack_visual_indexes)
    products.append(Product(rows // merged, size * merged, size * merged, mergers))
    products.append(Product(rows // merged, size * merged, config.out_hidden_size, mergers))
    attention = 4 * config.depth * size * pictures * patches**2
    moved = frames * pixels + mergers * rows // merged * config.out_hidden_size
    return Work(tuple(products), attention, moved)


def prefill_work(config: ModelConfig, known: int, prompt: int, drafted: int = 0) -> Work:
    """drafted: tokens that are read with the prompt because they may be said. Of the last layer only the keys and
    values of all tokens are needed, and what it makes of the last and of the drafted ones."""
    asked, prompt = 1 + drafted, prompt + drafted
    language, rows = config.language, prompt - known
    size, keys = language.hidden_size, language.num_key_value_heads * language.head_dim
    whole = dataclasses.replace(language, num_hidden_layers=language.num_hidden_layers - 1)
    queries, *others = _decoder_products(dataclasses.replace(language, num_hidden_layers=1), asked, 1)
    cached = Product(rows, size, 2 * keys, 1, in_decoder=True)
    last = [cached, dataclasses.replace(queries, columns=_query_size(language)), *others]
    pairs = (prompt * (prompt + 1) - known * (known + 1)) // 2
    attention = 4 * _query_size(language) * (whole.num_hidden_layers * pairs + asked * prompt)
    moved = rows * size + prompt * cache_values(config)
    head = Product(asked, size, words(config), 1)
    return Work((*_decoder_products(whole, rows, 1), *last, head), attention, moved)


def reasoning_work(config: ModelConfig, load: Load) -> Work:
    """Every sample feeds as many tokens a pass as were right; what was drafted in vain is not counted."""
    language, passes, tokens, each = config.language, load.passes, load.tokens, load.tokens_a_pass
    rows = load.samples * each
    head = Product(rows, language.hidden_size, words(config), passes)
    pairs = sum(load.prompt + spoken for spoken in range(tokens - passes * each + 1, tokens + 1))
    attention = 4 * language.num_hidden_layers * _query_size(language) * load.samples * pairs
    read = sum(load.prompt + tokens - number * each for number in range(passes))
    products = (*_decoder_products(language, rows, passes), head) if passes else ()
    return Work(products, attention, load.samples * read * cache_values(config))


def flow_work(config: ModelConfig, load: Load) -> Work:
    """64 action tokens of every sample a step, which see the prompt, what was said, and each other."""
    expert, steps = config.expert, load.flow_steps
    rows = load.samples * config.action_space.n_waypoints
    into = config.action_in_proj
    sizes = [3 * into.num_fourier_feats, *[into.hidden_size] * into.num_enc_layers, expert.hidden_size]
    products = [Product(rows, inner, columns, steps) for inner, columns in itertools.pairwise(sizes)]
    products += [*_decoder_products(expert, rows, steps), Product(rows, expert.hidden_size, 2, steps)]
    read = load.prompt + load.tokens
    seen = read + config.action_space.n_waypoints
    attention = 4 * expert.num_hidden_layers * _query_size(expert) * rows * seen * steps
    return Work(tuple(products), attention, load.samples * read * cache_values(config) * steps)


def words(config: ModelConfig) -> int:
    """The vocabulary without trajectory tokens."""
    return config.vocab_size - config.traj_vocab_size


def cache_values(config: ModelConfig) -> int:
    """Values in one column of one row of the key-value cache."""
    language = config.language
    return 2 * language.num_hidden_layers * language.num_key_value_heads * language.head_dim


def cache_bytes(config: ModelConfig, samples: int, columns: int, itemsize: int) -> int:
    """The cache of a plan: a row for each sample, each with the prompt."""
    return samples * columns * cache_values(config) * itemsize


def activation_bytes(config: ModelConfig, columns: int, itemsize: int) -> int:
    """The widest that is there at a time: gate, up and their product in one MLP of the prefill, or one of the vision
    tower's hidden layers before and after its activation."""
    prefill = 3 * columns * config.language.intermediate_size
    pictures, patches = picture_counts(config)
    vision = 2 * pictures * patches * config.vision.intermediate_size
    return itemsize * max(prefill, vision)


def picture_counts(config: ModelConfig) -> tuple[int, int]:
    """Pictures (tubelets, where there are any) of all cameras, and patches of one of the largest size."""
    width, height = picture_size(config)
    frames = config.frames_per_camera
    if config.vision.tubelets:
        frames //= config.vision.temporal_patch_size
    return len(config.camera_roles) * frames, width * height // config.vision.patch_size**2


def _query_size(config: DecoderConfig) -> int:
    return config.num_attention_heads * config.head_dim


def _decoder_products(config: DecoderConfig, rows: int, passes: int) -> list[Product]:
    """Queries, keys and values are one product here, gate and up another: they read the same input."""
    size, queries = config.hidden_size, _query_size(config)
    keys = config.num_key_value_heads * config.head_dim
    shapes = [
        (size, queries + 2 * keys),
        (queries, size),
        (size, 2 * config.intermediate_size),
        (config.intermediate_size, size),
    ]
    count = passes * config.num_hidden_layers
    return [Product(rows, inner, columns, count, in_decoder=True) for inner, columns in shapes]
