"""A small language model with random weights, made on the spot, for real llama.cpp servers.

Its answers are noise; the work of an answer is real: attention, feed-forward and key-value cache of a Llama-shaped
network of about ten million parameters, a few hundred tokens per second on one CPU core.
"""

import os
from pathlib import Path
from typing import Final

import gguf
import numpy as np

from baseload.lab.paths import cache_directory

_LAYERS: Final = 6
_WIDTH: Final = 384
_FEED_FORWARD: Final = 1024
_HEADS: Final = 6
_CONTEXT_TOKENS: Final = 8192
_SEED: Final = 20
_SPECIAL: Final = ("<unk>", "<s>", "</s>")
_LETTERS: Final = tuple("\u2581abcdefghijklmnopqrstuvwxyz.,")
"""Beside the 256 byte tokens, so that ordinary text is one token a letter; U+2581 is the space of SentencePiece."""

VOCABULARY: Final = len(_SPECIAL) + 256 + len(_LETTERS)
"""Number of tokens."""


def model_file() -> Path:
    """Return the model's file in the user's cache, made if it is not there; the same bytes on every machine."""
    path = cache_directory() / "models" / f"random-llama-{_LAYERS}x{_WIDTH}.gguf"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may make it at the same time: each its own file, the last one stays.
    temporary = path.with_suffix(f".{os.getpid()}")
    _write(temporary)
    temporary.replace(path)
    return path


def _write(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random-llama")
    writer.add_context_length(_CONTEXT_TOKENS)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_vocabulary(writer)
    _add_weights(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    tokens = [*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *_LETTERS]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(_LETTERS)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def _add_weights(writer: gguf.GGUFWriter) -> None:
    random = np.random.default_rng(_SEED)

    def matrix(name: str, rows: int, columns: int) -> None:
        values = random.standard_normal((rows, columns), dtype=np.float32) / np.float32(np.sqrt(columns))
        writer.add_tensor(name, values.astype(np.float16))

    def norm(name: str) -> None:
        writer.add_tensor(name, np.ones(_WIDTH, dtype=np.float32))

    matrix("token_embd.weight", VOCABULARY, _WIDTH)
    for layer in range(_LAYERS):
        norm(f"blk.{layer}.attn_norm.weight")
        for part in ("q", "k", "v", "output"):
            matrix(f"blk.{layer}.attn_{part}.weight", _WIDTH, _WIDTH)
        norm(f"blk.{layer}.ffn_norm.weight")
        matrix(f"blk.{layer}.ffn_gate.weight", _FEED_FORWARD, _WIDTH)
        matrix(f"blk.{layer}.ffn_up.weight", _FEED_FORWARD, _WIDTH)
        matrix(f"blk.{layer}.ffn_down.weight", _WIDTH, _FEED_FORWARD)
    norm("output_norm.weight")
    matrix("output.weight", VOCABULARY, _WIDTH)
