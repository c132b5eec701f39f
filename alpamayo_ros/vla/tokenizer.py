"""Text to token ids and back: Qwen's byte-pair vocabulary, the trajectory tokens and the special tokens.

Two doors, on purpose. `encode` knows special tokens and is for our own templates. `encode_outside` is for text that
comes from elsewhere (navigation commands, questions): it runs through the bare vocabulary, which holds no special
token, so nothing written in it can become one.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from alpamayo_ros.vla.config import ModelType
from alpamayo_ros.vla.errors import CheckpointError

# Qwen2's pre-tokenisation pattern, as published with its tokenizer.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Order is what gives the ids. 1.5 kept the ids of nine names that it no longer uses.
_SPECIAL = (
    "prompt_start prompt_end image_start image_pre_tkn image_end traj_history_start traj_history_pre_tkn "
    "traj_history_end cot_start cot_end meta_action_start meta_action_end traj_future_start traj_future_pre_tkn "
    "traj_future_end traj_history traj_future image_pad vectorized_wm vectorized_wm_start vectorized_wm_end "
    "vectorized_wm_pre_tkn route_start route_pad route_end question_start question_end answer_start answer_end"
).split()
_UNUSED_IN_1_5 = (
    "image_pre_tkn traj_history_pre_tkn meta_action_start meta_action_end traj_future_pre_tkn vectorized_wm "
    "vectorized_wm_start vectorized_wm_end vectorized_wm_pre_tkn"
).split()


class AlpamayoTokenizer:
    """The vocabulary of one model. Ids: bare text, Qwen's added tokens, `<i0>` … , special tokens."""

    def __init__(self, tokenizer: Tokenizer, bare: Tokenizer, model_type: ModelType) -> None:
        self._tokenizer = tokenizer
        self._bare = bare
        self.special_ids = {name: self.token_id(f"<|{name}|>") for name in special_token_names(model_type)}
        self.future_bin_0 = self.token_id("<i0>")
        self.im_end = self.token_id("<|im_end|>")
        self.pad = self.token_id("<|endoftext|>")

    @classmethod
    def from_language_model(cls, folder: Path, model_type: ModelType, traj_vocab_size: int) -> AlpamayoTokenizer:
        """Extend the vocabulary of a Qwen repository as the release does, in the order that gives the ids."""
        for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
            if not (folder / name).is_file():
                raise CheckpointError(f"{folder} has no {name}; give the complete folder of the language model")
        try:
            bpe = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
            added = json.loads((folder / "tokenizer_config.json").read_text())["added_tokens_decoder"]
        # The tokenizers library raises plain Exception.
        except Exception as error:
            raise CheckpointError(f"{folder}: damaged vocabulary ({_first_line(error)}); fetch it again") from None
        tokenizer = Tokenizer(bpe)
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        for expected_id, token in sorted((int(key), value) for key, value in added.items()):
            _add(tokenizer, token["content"], special=token["special"], normalized=token["normalized"])
            if tokenizer.token_to_id(token["content"]) != expected_id:
                raise CheckpointError(
                    f"{folder}/tokenizer_config.json gives {token['content']} id {expected_id}, but vocab.json leads "
                    f"to {tokenizer.token_to_id(token['content'])}; the files are not of one model"
                )
        tokenizer.add_tokens([AddedToken(f"<i{i}>", normalized=True) for i in range(traj_vocab_size)])
        for name in special_token_names(model_type):
            _add(tokenizer, f"<|{name}|>", special=True, normalized=False)
        return cls(tokenizer, _without_added_tokens(tokenizer), model_type)

    @classmethod
    def from_file(cls, path: Path, model_type: ModelType) -> AlpamayoTokenizer:
        """Read what `save` wrote."""
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; a model folder holds config.json, tokenizer.json and weights")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        # The tokenizers library raises plain Exception.
        except Exception as error:
            raise CheckpointError(f"{path} is damaged ({_first_line(error)}); fetch it again") from None
        return cls(tokenizer, _without_added_tokens(tokenizer), model_type)

    def save(self, path: Path) -> None:
        self._tokenizer.save(str(path))

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def token_id(self, token: str) -> int:
        """Id of one token. Raises CheckpointError when the vocabulary lacks it."""
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise CheckpointError(f"the vocabulary has no token {token}; it is not that of an Alpamayo model")
        return int(found)

    def encode(self, text: str) -> list[int]:
        """Ids of a template of ours; special tokens in it are special."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_outside(self, text: str) -> list[int]:
        """Ids of text from outside; special tokens written in it are plain characters."""
        return list(self._bare.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: list[int], *, skip_special: bool) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special))

    def vocabulary(self) -> dict[str, int]:
        """Id by token, added tokens included."""
        return dict(self._tokenizer.get_vocab(with_added_tokens=True))

    def added_tokens(self) -> list[str]:
        """Every token beyond the bare vocabulary: Qwen's own, the trajectory's and the special ones."""
        return [token.content for token in self._tokenizer.get_added_tokens_decoder().values()]


def special_token_names(model_type: ModelType) -> list[str]:
    """Names of the special tokens in the order of their ids (`image_pad` is already Qwen's)."""
    if model_type == "alpamayo_r1":
        return list(_SPECIAL)
    numbers = {name: i for i, name in enumerate(_UNUSED_IN_1_5)}
    return [f"_padding_{numbers[name]}" if name in numbers else name for name in _SPECIAL]


def section(text: str, name: str) -> str:
    """What stands in `text` between `<|name_start|>` and `<|name_end|>`: up to the first end, after the last start
    before it, stripped; empty without an end."""
    before, end, _ = text.partition(f"<|{name}_end|>")
    return before.rpartition(f"<|{name}_start|>")[2].strip() if end else ""


def _add(tokenizer: Tokenizer, content: str, *, special: bool, normalized: bool) -> None:
    token = AddedToken(content, normalized=normalized, special=special)
    if special:
        tokenizer.add_special_tokens([token])
    else:
        tokenizer.add_tokens([token])


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _without_added_tokens(tokenizer: Tokenizer) -> Tokenizer:
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(document))
