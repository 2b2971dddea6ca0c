"""The part of OpenAI's completion API that replicas speak: requests, answers and errors as JSON.

Reference: https://platform.openai.com/docs/api-reference; where vLLM differs (`ignore_eos`, error types), as vLLM.
"""

import time
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

ANSWER_WORD = " token"
_PREVIEW_CHARACTERS = 60


class RequestError(Exception):
    """A request that is answered with an error; `status` is the HTTP code, `param` the field that is wrong."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param

    def body(self) -> bytes:
        """Return the JSON body."""
        kinds = {400: "BadRequestError", 404: "NotFoundError", 503: "ServiceUnavailableError"}
        kind = kinds.get(self.status, "InternalServerError")
        return orjson.dumps({"error": {"message": str(self), "type": kind, "param": self.param, "code": self.status}})


class StreamOptions(BaseModel):
    """Options of a streamed answer."""

    include_usage: bool = False


class _Request(BaseModel):
    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def include_usage(self) -> bool:
        """Whether a streamed answer ends with token counts."""
        return self.stream_options is not None and self.stream_options.include_usage


TokenId = Annotated[int, Field(ge=0)]


class CompletionRequest(_Request):
    """Body of POST /v1/completions; fields that do not change lengths are accepted and ignored."""

    prompt: Annotated[str | list[TokenId], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] = 16

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt: of the list of ids, else in words."""
        return max(len(self.prompt.split()), 1) if isinstance(self.prompt, str) else len(self.prompt)

    def output_tokens(self, _longest: int) -> int:
        """Return how many tokens the answer has."""
        return self.max_tokens


class ChatMessage(BaseModel):
    """One message of a conversation."""

    role: Annotated[str, Field(min_length=1)]
    content: str | list[dict[str, Any]] = ""


class ChatRequest(_Request):
    """Body of POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None

    @property
    def prompt_tokens(self) -> int:
        """Length of the conversation in words, and four tokens of template for each message."""
        return sum(4 + len(_text(message).split()) for message in self.messages)

    def output_tokens(self, longest: int) -> int:
        """Return how many tokens the answer has: what was asked for, else what is left of the cache, at most 512."""
        asked = self.max_completion_tokens or self.max_tokens
        return asked or max(min(longest - self.prompt_tokens, 512), 1)


def _text(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return " ".join(str(part.get("text", "")) for part in message.content)


_COMPLETION: TypeAdapter[CompletionRequest] = TypeAdapter(CompletionRequest)
_CHAT: TypeAdapter[ChatRequest] = TypeAdapter(ChatRequest)


def parse(body: bytes, *, chat: bool) -> CompletionRequest | ChatRequest:
    """Read a request body; RequestError 400 names the field, its value and what is expected."""
    try:
        return _CHAT.validate_json(body) if chat else _COMPLETION.validate_json(body)
    except ValidationError as error:
        # Of the alternatives of a field, the one that got furthest is what was meant.
        wrong = max(error.errors(include_url=False), key=lambda detail: len(detail["loc"]))
        field = str(wrong["loc"][0]) if wrong["loc"] else None
        shown = "" if wrong["type"] == "missing" else f" (got {str(wrong['input'])[:_PREVIEW_CHARACTERS]!r})"
        raise RequestError(400, f"{field or 'body'}: {wrong['msg']}{shown}", field) from error


class Answer:
    """Bytes of one answer, built once so that a token costs one write."""

    def __init__(self, request_id: int, request: CompletionRequest | ChatRequest, output_tokens: int) -> None:
        self._chat = isinstance(request, ChatRequest)
        self._prefix = "chatcmpl" if self._chat else "cmpl"
        self._request = request
        self._id = f"{self._prefix}-{request_id}"
        self._created = int(time.time())
        self._output_tokens = output_tokens
        self.token = self._event(self._choice(ANSWER_WORD, None))
        """One token as a server-sent event, framed as an HTTP chunk."""
        self.last_token = self._event(self._choice(ANSWER_WORD, "length"))

    def end(self) -> bytes:
        """Return what follows the last token of a stream: usage if it was asked for, and the end mark."""
        done = _chunk(b"data: [DONE]\n\n")
        if not self._request.include_usage:
            return done
        return self._event(None) + done

    def whole(self) -> bytes:
        """Return the body of an answer that is not streamed."""
        text = ANSWER_WORD * self._output_tokens
        content = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": "length"}
        return orjson.dumps({**self._head(stream=False), "choices": [choice], "usage": self._usage()})

    def _choice(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        content = {"delta": {"content": text}} if self._chat else {"text": text}
        return {"index": 0, **content, "logprobs": None, "finish_reason": finish_reason}

    def _event(self, choice: dict[str, Any] | None) -> bytes:
        content: dict[str, Any] = {"choices": [choice]} if choice else {"choices": [], "usage": self._usage()}
        return _chunk(b"data: " + orjson.dumps({**self._head(stream=True), **content}) + b"\n\n")

    def _head(self, *, stream: bool) -> dict[str, Any]:
        kind = "text_completion"
        if self._chat:
            kind = "chat.completion.chunk" if stream else "chat.completion"
        return {"id": self._id, "object": kind, "created": self._created, "model": self._request.model}

    def _usage(self) -> dict[str, int]:
        prompt = self._request.prompt_tokens
        output = self._output_tokens
        return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


def _chunk(data: bytes) -> bytes:
    """Frame bytes for HTTP/1.1 chunked transfer coding (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)
