"""Write a load plan to standard output: ten requests a second for two minutes to the Service chat-8b."""

import json
import sys

RATE_RPS = 10
SECONDS = 120
PROMPT_TOKENS, OUTPUT_TOKENS = 800, 150

json.dump(
    {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "namespace": "tutorial",
        "service": "chat-8b",
        "objective": {"time_to_first_token_seconds": 1.0, "inter_token_seconds": 0.05},
        "requests": [(n / RATE_RPS, PROMPT_TOKENS, OUTPUT_TOKENS) for n in range(RATE_RPS * SECONDS)],
    },
    sys.stdout,
)
