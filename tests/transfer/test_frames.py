"""Streams of files: any cut of the chunks gives the same files; any damage gives none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from everysite.errors import NotFound, SourceChanged, Transient
from everysite.transfer import frames
from everysite.transfer.frames import Begun, Decoder, Ended, Event, Failed, Piece

pytestmark = pytest.mark.anyio

Files = list[bytes | None]  # None: a file that cannot be sent

files_strategy = st.lists(st.one_of(st.none(), st.binary(max_size=3000)), max_size=6)


def stream_of(files: Files) -> bytes:
    records = [frames.MAGIC]
    for index, data in enumerate(files):
        if data is None:
            records.append(frames.failed(index, NotFound(f"/{index} is gone")))
        else:
            records += frames.whole(index, -5, 0o640, data, blake3(data).digest())
    return b"".join([*records, frames.finished(len(files))])


def decoded(chunks: Iterable[bytes]) -> list[Event]:
    decoder = Decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    decoder.close()
    return events


def whole_files(events: Sequence[Event]) -> Files:
    """What a receiver would publish of these events."""
    found: dict[int, bytes | None] = {}
    open_file, body = -1, b""
    for event in events:
        match event:
            case Begun():
                open_file, body = event.number, b""
                assert (event.mtime_ns, event.mode, event.offset) == (-5, 0o640, 0)
            case Piece():
                body += event.data
            case Ended():
                assert event.digest == blake3(body).digest()
                found[open_file] = body
            case Failed():
                assert isinstance(event.error, NotFound)
                assert str(event.error) == f"/{event.number} is gone"
                found[event.number] = None
    return [found[index] for index in sorted(found)]


@given(files_strategy, st.integers(1, 700))
def test_files_come_out_however_the_stream_is_cut_into_chunks(files: Files, step: int) -> None:
    stream = stream_of(files)
    chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert whole_files(decoded(chunks)) == files


@given(files_strategy, st.data())
def test_a_cut_stream_is_never_taken_for_whole(files: Files, data: st.DataObject) -> None:
    stream = stream_of(files)
    end = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(Transient):
        decoded([stream[:end]])


@given(files_strategy, st.data())
def test_a_flipped_byte_never_gives_a_wrong_file(files: Files, data: st.DataObject) -> None:
    stream = bytearray(stream_of(files))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    decoder, events = Decoder(), []
    try:
        for event in decoder.feed(bytes(stream)):
            events.append(event)
        decoder.close()
    except Transient:
        pass
    bodies, body = [], b""
    for event in events:
        match event:
            case Begun():
                body = b""
            case Piece():
                body += event.data
            case Ended():
                bodies.append(body)
            case Failed():
                pass
    assert all(found in [f for f in files if f is not None] for found in bodies)


def test_a_file_that_fails_in_the_middle_is_not_whole() -> None:
    stream = b"".join(
        [
            frames.MAGIC,
            frames.begin(0, 0, 10, 1, 0o644),
            frames.piece(b"12345"),
            frames.failed(0, SourceChanged("it grew")),
            *frames.whole(1, 1, 0o644, b"ok", blake3(b"ok").digest()),
            frames.finished(2),
        ]
    )
    events = decoded([stream])
    assert [type(event) for event in events] == [Begun, Piece, Failed, Begun, Piece, Ended]
    assert isinstance(events[2], Failed) and isinstance(events[2].error, SourceChanged)


def test_a_file_can_begin_at_an_offset() -> None:
    head = frames.MAGIC + frames.begin(0, 4, 6, 1, 0o644)
    events = decoded([head, frames.piece(b"56") + frames.ended(blake3(b"56").digest()) + frames.finished(1)])
    assert events == [Begun(0, 4, 6, 1, 0o644), Piece(b"56"), Ended(blake3(b"56").digest())]


def test_a_code_nobody_knows_is_worth_another_try() -> None:
    assert type(frames.error_of("brand-new", "x")) is Transient


@pytest.mark.parametrize(
    "records",
    [
        [frames.begin(0, 5, 4, 1, 0o644)],
        [frames.begin(0, 0, 4, 1, 0o644), frames.begin(1, 0, 4, 1, 0o644)],
        [frames.piece(b"x")],
        [frames.begin(0, 0, 4, 1, 0o644), frames.piece(b"12345")],
        [frames.begin(0, 0, 4, 1, 0o644), frames.ended(bytes(32))],
        [frames.begin(0, 0, 4, 1, 0o644), frames.finished(0)],
        [frames.finished(0), frames.finished(0)],
        [frames.finished(3)],
        [frames.begin(0, 0, 4, 1, 0o644), frames.failed(1, NotFound("x"))],
        [b"?"],
    ],
)
def test_records_out_of_order_are_refused(records: list[bytes]) -> None:
    with pytest.raises(Transient):
        decoded([frames.MAGIC + b"".join(records)])


async def test_chunks_are_packed_to_a_size_worth_sending() -> None:
    async def records() -> AsyncIterator[bytes]:
        for index in range(300):
            for record in frames.whole(index, 1, 0o644, bytes(4096), blake3(bytes(4096)).digest()):
                yield record
        yield frames.finished(300)

    chunks = [chunk async for chunk in frames.packed(records())]
    assert all(256 << 10 <= len(chunk) <= (256 << 10) + frames.PIECE for chunk in chunks[:-1])
    assert len(whole_bodies(decoded(chunks))) == 300


def whole_bodies(events: Sequence[Event]) -> list[Ended]:
    return [event for event in events if isinstance(event, Ended)]
