"""The vision-language model: pictures and a prompt in, key-value cache and next-token logits out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alpamayo_ros.vla.config import DecoderConfig, ModelConfig
from alpamayo_ros.vla.decoder import Decoder, KVCache, Mask
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
        mask: Mask,
        features: VisionFeatures | None = None,
    ) -> Tensor:
        """Run tokens (B, T) at positions (3, B, T) behind the cache's filled columns: hidden states (B, T, hidden).

        With `features`, they replace the embeddings of the image tokens in order. The rest is as in `Decoder`.
        """
        hidden = self.model.language_model.embed_tokens(ids)
        deepstack = None
        if features is not None:
            where = ids == self.image_token_id
            hidden = hidden.masked_scatter(where[..., None], features.tokens.to(hidden.dtype))
            deepstack = (where, features.deepstack)
        return self.model.language_model(hidden, positions, cache, mask, deepstack)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits (…, vocab) float32 of hidden states (…, hidden)."""
        return self.lm_head(hidden).float()

    def encode_images(self, pixel_values: Tensor, grid_thw: Tensor) -> VisionFeatures:
        """Vision features of patch rows (P, 1536) with grids (images, 3)."""
        return self.model.visual(pixel_values, grid_thw)


def causal_mask(key_is_real: Tensor, queries: int) -> Mask:
    """The mask for the last `queries` of the columns (B, S), which see all real ones up to themselves.

    A padding column sees itself, so that no row of the mask is empty.
    """
    columns = key_is_real.shape[1]
    if queries in (1, columns) and bool(key_is_real.all()):
        return "causal" if queries == columns else None
    column = torch.arange(columns, device=key_is_real.device)
    query = column[columns - queries :, None]
    allowed = (column <= query) & key_is_real[:, None, :]
    return (allowed | (column == query))[:, None]
