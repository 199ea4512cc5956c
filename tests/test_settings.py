"""Settings: what is malformed is named, and never shown."""

import pytest
from pydantic import ValidationError

from cryptocontent.settings import Settings


@pytest.mark.parametrize(
    "given",
    [
        {"wordpress_logins": ["blog.example: user:s3cret-word"]},
        {"wordpress_logins": {"blog.example": {"user": "s3cret-word"}}},
        {"linear_api_key": ["s3cret-word"]},
    ],
)
def test_a_malformed_secret_is_not_repeated(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(given)
    assert "s3cret-word" not in str(refused.value)
    assert next(iter(given)) in str(refused.value)
