"""The vocabulary of a small model: the words that the composer can say, instead of 150,000 of Qwen's.

Special tokens and trajectory tokens are those of the releases, by name and order. The two sentences that stand in every
prompt are one token each. What is no word of ours, as in a question, is spelled in bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from alpamayo_ros.reasoning import VocabularyError, canonical_components, phrasings
from alpamayo_ros.types import Decision, LateralDecision, LongitudinalDecision
from alpamayo_ros.vla.config import ModelType
from alpamayo_ros.vla.prompt import CAMERA_NAMES, REQUEST, SYSTEM
from alpamayo_ros.vla.tokenizer import AlpamayoTokenizer, special_token_names

_SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"
"""A word with the space before it; digits one by one."""
_QWEN = ("endoftext", "im_start", "im_end", "vision_start", "vision_end", "image_pad")
"""Of Qwen's own added tokens, those that a prompt has."""
_PROMPT = ("system\n", "user\n", "assistant\n", "frame 0123456789 ", *(f"{name}: " for name in CAMERA_NAMES))
_NAVIGATION = (
    "Turn left in 0 m", "Turn right in 0 m", "Change to the left lane in 0 m", "Change to the right lane in 0 m",
    "Merge on to the highway in 0 m", "Take the exit on the right in 0 m", "Take the exit on the left in 0 m",
    "Pull over on the right in 0 m", "Pull over on the left in 0 m", "Continue straight for 0 m",
)  # fmt: skip
"""Instructions as the simulator's routes give them, and their like."""


def make_tokenizer(model_type: ModelType, traj_vocab_size: int) -> AlpamayoTokenizer:
    """The tokenizer of a small model. The same code gives the same ids."""
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    found = {piece for text in _texts() for piece, _ in splitter.pre_tokenize_str(text)}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *sorted(found - {*alphabet})]
    # No merges: a piece that is a word of ours is taken whole, and any other is spelled.
    bpe = models.BPE({word: number for number, word in enumerate(words)}, [], ignore_merges=True)
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", normalized=False, special=True) for name in _QWEN])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in (SYSTEM, REQUEST)])
    tokenizer.add_tokens([AddedToken(f"<i{i}>", normalized=True) for i in range(traj_vocab_size)])
    tokenizer.add_special_tokens(
        [AddedToken(f"<|{name}|>", normalized=False, special=True) for name in special_token_names(model_type)]
    )
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = []
    return AlpamayoTokenizer(tokenizer, Tokenizer.from_str(json.dumps(document)), model_type)


def _texts() -> Iterator[str]:
    yield from _PROMPT
    yield from _NAVIGATION
    decisions = [
        *(Decision(longitudinal, None) for longitudinal in LongitudinalDecision),
        *(Decision(None, lateral) for lateral in LateralDecision),
        Decision(None, None),
    ]
    for component in canonical_components():
        for decision in decisions:
            try:
                sentences = phrasings(decision, [component])
            except VocabularyError:
                continue
            for sentence in sentences:
                yield sentence
                # As the second of two decisions it begins in lower case, behind a blank.
                yield f" {sentence[0].lower()}{sentence[1:]}"
