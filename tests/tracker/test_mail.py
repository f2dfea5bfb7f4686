"""The letter about a lost password, handed to a mail server on loopback."""

from __future__ import annotations

import asyncio

import pytest
from tests.mailbox import Mailbox

from everysite.tracker.mail import Mail, reset_letter, send

pytestmark = pytest.mark.anyio
MAIL = Mail("127.0.0.1", 0, "none", "everysite@studio.example", "https://tracker.example")


async def test_a_letter_arrives_with_the_way_to_a_new_password() -> None:
    async with Mailbox() as box:
        mail = Mail("127.0.0.1", box.port, "none", MAIL.sender, MAIL.url)
        await asyncio.to_thread(send, mail, reset_letter(mail, "anna@studio.example", "anna", "the.word"))
        [(recipients, letter)] = box.letters
    assert recipients == ["anna@studio.example"]
    text = letter.get_content()
    assert "everysite user reset the.word --tracker https://tracker.example" in text
    assert "https://tracker.example/api/resetPassword/the.word" in text
    assert box.signed_in == []


@pytest.mark.parametrize("address", ["a@b\r\nBcc: all@studio.example", "a@b\nX: y"])
def test_an_address_cannot_bring_headers_of_its_own(address: str) -> None:
    with pytest.raises(ValueError, match=r"linefeed|newline|header"):
        reset_letter(MAIL, address, "anna", "word")


async def test_a_server_without_encryption_gets_nothing_when_it_is_asked_for() -> None:
    async with Mailbox() as box:
        mail = Mail("127.0.0.1", box.port, "starttls", MAIL.sender, MAIL.url, "postman", "secret")
        with pytest.raises(OSError, match="STARTTLS"):
            await asyncio.to_thread(send, mail, reset_letter(mail, "a@b.example", "anna", "word"))
    assert box.letters == [] and box.signed_in == []
