"""Which pods the lab serves: those whose first container runs a serving image.

KWOK's stages, Prometheus' scrape config and the node agent must agree on it, so it stands here once.
"""

from typing import Final

VLLM_REPOSITORY: Final = "vllm/vllm-openai"
LLAMA_CPP_REPOSITORY: Final = "ghcr.io/ggml-org/llama.cpp"

SERVING_IMAGES: Final = f"^(docker[.]io/)?({VLLM_REPOSITORY}|{LLAMA_CPP_REPOSITORY.replace('.', '[.]')})([:@].*)?$"
"""RE2 pattern (Go, jq and Python read it alike, no backslashes) of every image that is served."""
