"""What clients see of `image.thumbnail`: refused at the door, refused by the work, and done."""

from __future__ import annotations

import base64

from tests.support.made_pictures import GREY, png, quarters, saved
from tests.support.stack import Stack


def work(raw: bytes | str) -> dict[str, object]:
    """The submit of a picture; text is sent as it is."""
    image = raw if isinstance(raw, str) else base64.b64encode(raw).decode()
    return {"kind": "image.thumbnail", "input": {"image": image, "width": 16, "height": 16}}


async def test_what_is_no_base64_is_refused_when_it_is_submitted(shared_stack: Stack) -> None:
    async with shared_stack.client() as client:
        answer = await client.post("/v1/jobs", json=work("photo.jpg"))
    assert answer.status_code == 422
    [flaw] = answer.json()["errors"]
    assert (flaw["pointer"], flaw["code"]) == ("/input/image", "not_base64")
    assert "Send base64, as `base64 photo.jpg` prints it" in flaw["detail"]


async def test_what_is_no_picture_fails_at_once_and_says_what_is_taken(shared_stack: Stack) -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99
    bomb = png((20_000, 20_000), 1, GREY, b"\0" * 2_500)
    for raw, words in (
        (heic, "is HEIC, which is not read: send PNG"),
        (bomb, "too many pixels: at most 64,000,000"),
        (saved(quarters(), "JPEG")[:500], "damaged, cut off"),
    ):
        async with shared_stack.client() as client:
            answer = await client.post("/v1/jobs", json=work(raw), headers={"Prefer": "wait=30"})
        ended = answer.json()
        assert (ended["state"], ended["attempt"], ended["error"]["type"]) == ("failed", 1, "bad-input")
        assert not ended["error"]["retryable"]
        assert words in ended["error"]["detail"]


async def test_a_picture_in_lines_of_base64_becomes_a_thumbnail(shared_stack: Stack) -> None:
    lines = base64.encodebytes(saved(quarters(), "JPEG")).decode()
    async with shared_stack.client() as client:
        answer = await client.post("/v1/jobs", json=work(lines), headers={"Prefer": "wait=30"})
    result = answer.json()["result"]
    assert (result["width"], result["height"], result["format"]) == (16, 11, "webp")
    assert result["source"] == {
        "width": 48, "height": 32, "format": "jpeg", "more_frames": False, "profile": "none",
    }  # fmt: skip
