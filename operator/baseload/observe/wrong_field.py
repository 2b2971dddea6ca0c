"""What pydantic found wrong in an object, in a sentence."""

from pydantic import ValidationError


def in_words(error: ValidationError) -> str:
    """The first thing wrong: field, value and what is allowed."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"`spec.{field}` has value '{first['input']!s:.60}': {first['msg']}"
