"""A vocabulary for models without one: a text of ours is as many tokens as in Qwen's.

With the size of Qwen's, all special tokens have their released ids. The words of the prompt are single tokens, as they
are in Qwen's vocabulary, but for one: with `-thought` as two the prompt of 16 pictures has the 3006 tokens that a
public log of the released R1 shows. Every other id is a filler.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers.pre_tokenizers import ByteLevel

from alpamayo_ros.vla.prompt import REQUEST, SYSTEM
from alpamayo_ros.vla.tokenizer import AlpamayoTokenizer

QWEN_SIZE = 151_643
"""Tokens of Qwen's byte-pair vocabulary; its added tokens follow."""
_ADDED = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|> "
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|> "
    "<tool_response> </tool_response> <think> </think>"
).split()
"""Qwen3's added tokens in the order of their ids, as its tokenizer_config.json lists them."""
_SPACE = "Ġ"
"""How byte-level vocabularies write a space."""
_WITHOUT_SPACE = ("You", "output", "system", "user", "assistant", "-of", "-th", "ought")
"""Pieces that begin a text, or stand behind a line break or a hyphen."""


@cache
def stand_in_tokenizer(size: int = QWEN_SIZE) -> AlpamayoTokenizer:
    """R1's tokenizer, made from files as the release makes it from Qwen's. size: tokens before the added ones."""
    merges = _merges(_words())
    known = [*sorted(ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    vocabulary = [*known, *(f"<filler {i}>" for i in range(size - len(known)))]
    added = {
        str(size + i): {"content": token, "special": token.startswith("<|"), "normalized": False}
        for i, token in enumerate(_ADDED)
    }
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
        (folder / "merges.txt").write_text("".join(f"{left} {right}\n" for left, right in merges))
        (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
        return AlpamayoTokenizer.from_language_model(folder, "alpamayo_r1", traj_vocab_size=4000)


def _words() -> list[str]:
    """What the prompt's text is cut into before its words are looked up, spaces as `_SPACE`."""
    text = f"{SYSTEM} {REQUEST}".replace("chain-of-thought", "chain")
    return [*(_SPACE + word.rstrip(".,") for word in text.split()), *_WITHOUT_SPACE]


def _merges(words: list[str]) -> list[tuple[str, str]]:
    """Merges that build each word from its left; of two that could be made in one text, the earlier wins."""
    return list(dict.fromkeys((word[:end], word[end]) for word in words for end in range(1, len(word))))
