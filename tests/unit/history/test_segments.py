"""Lines in files of a bounded size: what is cut off or damaged costs itself and no more."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from pyipam.history import segments
from pyipam.history.segments import Place, append_lines, lines_back, parse_place, segments_in


def no_pause() -> None:
    pass


def all_lines(folder: Path, before: Place | None = None) -> list[bytes]:
    return [line for _, line in lines_back(folder, before, no_pause)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_SEGMENT_BYTES", 1000)
    monkeypatch.setattr(segments, "MAX_SEGMENTS", 3)
    monkeypatch.setattr(segments, "MAX_LINE_BYTES", 300)
    monkeypatch.setattr(segments, "_READ_BYTES", 64)


@pytest.mark.usefixtures("small")
def test_lines_of_any_length_come_back_the_latest_first(tmp_path: Path) -> None:
    random.seed(1)
    written = [b"%d " % n + b"x" * random.randrange(300 - 5) for n in range(9)]
    for line in written:
        append_lines(tmp_path, [line])

    assert all_lines(tmp_path) == written[::-1]


@pytest.mark.usefixtures("small")
def test_every_place_is_where_its_line_begins(tmp_path: Path) -> None:
    written = [b"%d" % n * (n % 40 + 1) for n in range(80)]
    append_lines(tmp_path, written[:10])
    for line in written[10:]:
        append_lines(tmp_path, [line])

    found = list(lines_back(tmp_path, None, no_pause))

    assert len(found) > 40
    for place, line in found:
        content = (tmp_path / f"{place.segment:08}.jsonl").read_bytes()
        assert content[place.offset :].split(b"\n")[0] == line
        assert parse_place(str(place)) == place
    for position, (place, _) in enumerate(found):
        assert all_lines(tmp_path, place) == [line for _, line in found[position + 1 :]]


@pytest.mark.usefixtures("small")
def test_the_oldest_segment_goes_when_there_are_too_many(tmp_path: Path) -> None:
    for number in range(100):
        append_lines(tmp_path, [b"%099d" % number])

    assert len(segments_in(tmp_path)) == 3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3000
    assert all_lines(tmp_path) == [b"%099d" % n for n in reversed(range(70, 100))]


@pytest.mark.usefixtures("small")
def test_more_lines_than_a_segment_takes_are_appended_to_several(tmp_path: Path) -> None:
    append_lines(tmp_path, [b"%099d" % number for number in range(100)])

    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    assert all_lines(tmp_path) == [b"%099d" % n for n in reversed(range(70, 100))]


@pytest.mark.usefixtures("small")
def test_a_line_that_is_too_long_to_be_read_is_left_out(tmp_path: Path) -> None:
    append_lines(tmp_path, [b"before", b"z" * 301, b"after"])

    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == b"before\nafter\n"


def test_a_line_that_was_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    append_lines(tmp_path, [b"first", b"second"])
    (path,) = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size - 3)

    append_lines(tmp_path, [b"third"])

    assert all_lines(tmp_path) == [b"third", b"seco", b"first"]


@pytest.mark.usefixtures("small")
def test_a_stretch_without_an_end_of_line_costs_itself_alone(tmp_path: Path) -> None:
    append_lines(tmp_path, [b"before"])
    with (tmp_path / "00000001.jsonl").open("ab") as segment:
        segment.write(b"z" * 700)
    append_lines(tmp_path, [b"after"])

    found = all_lines(tmp_path)

    assert (found[0], found[-1]) == (b"after", b"before")
    assert all(set(line) == {ord("z")} for line in found[1:-1])


def test_what_a_full_disk_took_of_the_lines_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_lines(tmp_path, [b"first"])

    def write_half(descriptor: int, content: bytes) -> None:
        os.write(descriptor, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(segments, "write_all", write_half)
        with pytest.raises(OSError, match="No space"):
            append_lines(tmp_path, [b"second", b"third"])

    append_lines(tmp_path, [b"fourth"])
    assert all_lines(tmp_path) == [b"fourth", b"first"]


def test_a_segment_that_is_removed_while_it_is_read_ends_there(tmp_path: Path) -> None:
    append_lines(tmp_path, [b"first"])
    (tmp_path / "00000002.jsonl").write_bytes(b"second\n")
    reading = lines_back(tmp_path, None, no_pause)
    assert next(reading)[1] == b"second"

    (tmp_path / "00000001.jsonl").unlink()

    assert list(reading) == []


@pytest.mark.parametrize("text", ["", "1", "1:", ":1", "a:b", "1:2:3", "-1:2", "1" * 50 + ":1"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a place in a segment"):
        parse_place(text)


@pytest.mark.parametrize("what", ["FIFO", "folder", "link"])
def test_what_is_no_file_is_no_segment(tmp_path: Path, what: str) -> None:
    append_lines(tmp_path, [b"one"])
    (tmp_path / "outside").write_bytes(b"secret\n")
    odd = tmp_path / "00000009.jsonl"
    if what == "FIFO":
        os.mkfifo(odd)
    elif what == "folder":
        odd.mkdir()
    else:
        odd.symlink_to(tmp_path / "outside")

    assert all_lines(tmp_path) == [b"one"]
