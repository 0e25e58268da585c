"""A Transformer that predicts the next word.

Source: Vaswani et al., "Attention is all you need", 2017, the decoder without the cross-attention; norms before
each part, as is usual since Xiong et al., "On layer normalization in the Transformer architecture", 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Transformer", "transformer"]


class Block(nn.Module):
    """Causal self-attention and a two-layer perceptron, each added to what came in.

    Args:
        width: Numbers a word.
        heads: Of the attention; they share out the width.
        dropout: Share of numbers that are left out in train mode.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.joint = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, length, width]`` to the same; a place sees itself and those before it."""
        b, length, width = x.shape
        parts = self.joint(self.norm1(x)).view(b, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # [b, heads, length, width / heads] each
        seen = nn.functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=self.dropout if self.training else 0.0
        )
        x = x + self.drop(self.out(seen.transpose(1, 2).reshape(b, length, width)))
        added: Tensor = self.drop(self.narrow(nn.functional.relu(self.wide(self.norm2(x)))))
        return x + added


class Transformer(nn.Module):
    """Embeddings of words and places, blocks, and a linear layer to the words.

    Args:
        length: Words of a sequence, at most.
        words: Of the vocabulary.
        width: Numbers a word.
        heads: Of each attention.
        layers: Blocks.
        dropout: As `Block`.

    Raises:
        ValueError: ``heads`` does not divide ``width``.
    """

    def __init__(self, length: int, words: int, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads cannot share out a width of {width}: it must be a multiple of them.")
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.1)  # of the spread that the first norm expects, not 1

    def forward(self, x: Tensor) -> Tensor:
        """Map numbers of words ``[b, length]`` to logits of the next word at each place ``[b, length, words]``."""
        places = self.places(torch.arange(x.shape[1], device=x.device))
        logits: Tensor = self.head(self.norm(self.blocks(self.drop(self.words(x) + places))))
        return logits


def transformer(
    shape: Sequence[int], outputs: int | None, *, width: int, heads: int, layers: int, dropout: float = 0.0
) -> Transformer:
    """Build a language model.

    Args:
        shape: ``(length,)`` of one sequence of words.
        outputs: Words of the vocabulary.
        width: Numbers a word.
        heads: Of each attention.
        layers: Blocks.
        dropout: Share of numbers that are left out in train mode.

    Returns:
        The network: words ``[b, length]`` to logits ``[b, length, outputs]``.

    Raises:
        ValueError: ``outputs`` is None, or ``heads`` does not divide ``width``.
    """
    if outputs is None:
        raise ValueError("transformer is a language model and needs a number of words, not outputs=None.")
    return Transformer(shape[0], outputs, width, heads, layers, dropout)
