"""The vision-language model: pictures and a prompt in, key-value cache and next-token logits out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alpamayo_ros.vla.config import DecoderConfig, ModelConfig
from alpamayo_ros.vla.decoder import Decoder, KVCache
from alpamayo_ros.vla.vision import VisionFeatures, VisionTower


class LanguageModel(Decoder):
    def __init__(self, config: DecoderConfig, vocab_size: int) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(vocab_size, config.hidden_size)


class VisualLanguageStack(nn.Module):
    """Holds the two halves under the names that the checkpoints use."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.visual = VisionTower(config.vision)
        self.language_model = LanguageModel(config.language, config.vocab_size)


class VisionLanguageModel(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.image_token_id = config.image_token_id
        self.model = VisualLanguageStack(config)
        self.lm_head = nn.Linear(config.language.hidden_size, config.vocab_size, bias=False)

    def forward(
        self,
        ids: Tensor,
        positions: Tensor,
        cache: KVCache,
        mask: Tensor | None,
        features: VisionFeatures | None = None,
    ) -> Tensor:
        """Run tokens (B, T) at positions (3, B, T), append them to the cache, return hidden states (B, T, hidden).

        With `features`, they replace the embeddings of the image tokens in order; `mask` as in `Decoder.run`.
        """
        hidden = self.model.language_model.embed_tokens(ids)
        deepstack = None
        if features is not None:
            where = ids == self.image_token_id
            hidden = hidden.masked_scatter(where[..., None], features.tokens.to(hidden.dtype))
            deepstack = (where, features.deepstack)
        hidden = self.model.language_model.run(hidden, positions, cache, mask, deepstack)
        cache.length += ids.shape[1]
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits (…, vocab) float32 of hidden states (…, hidden)."""
        return self.lm_head(hidden).float()

    def encode_images(self, pixel_values: Tensor, grid_thw: Tensor) -> VisionFeatures:
        """Vision features of patch rows (P, 1536) with grids (images, 3)."""
        return self.model.visual(pixel_values, grid_thw)


def causal_mask(key_is_real: Tensor, queries: int) -> Tensor | None:
    """Who may look where when the last `queries` of the columns (B, S) are asked: (B, 1, queries, S), True = may.

    None when that is plain causal attention over all columns. A padding column sees itself, so that no row is empty.
    """
    columns = key_is_real.shape[1]
    if queries == columns and bool(key_is_real.all()):
        return None
    column = torch.arange(columns, device=key_is_real.device)
    query = column[columns - queries :, None]
    allowed = (column <= query) & key_is_real[:, None, :]
    return (allowed | (column == query))[:, None]
