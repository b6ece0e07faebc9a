"""Folders are read as they are found; one bad file spoils nothing."""

import os
from pathlib import Path

import pytest

from parlour.features.knowledge import files
from parlour.features.knowledge.bundled import bundled_folder
from parlour.features.knowledge.files import read, scan


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in scan(folder)[0]]


def write(path: Path, text: str | bytes = "Text.") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_markdown_and_text_are_found_in_all_folders(tmp_path: Path) -> None:
    for name in ("b.md", "a.TXT", "deep/er/c.markdown", "picture.png", ".hidden.md", ".git/d.md"):
        write(tmp_path / name)
    assert names(tmp_path) == ["a.TXT", "b.md", "deep/er/c.markdown"]


def test_too_large_a_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 10)
    write(tmp_path / "big.md", "x" * 11)
    found, bad = scan(tmp_path)
    assert not found
    assert "the limit is 10" in bad[0].reason


def test_too_many_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 2)
    for name in "abc":
        write(tmp_path / f"{name}.md")
    found, bad = scan(tmp_path)
    assert len(found) == 2
    assert "first 2 files" in bad[0].reason


def test_a_link_inside_the_folder_is_followed_and_one_out_of_it_is_not(tmp_path: Path) -> None:
    inside = write(tmp_path / "docs" / "..data" / "a.md")
    (tmp_path / "docs" / "a.md").symlink_to(inside)
    (tmp_path / "docs" / "secret.md").symlink_to(write(tmp_path / "secret.md"))
    found, bad = scan(tmp_path / "docs")
    assert [path.name for path in found] == ["a.md"]
    assert [problem.path.name for problem in bad] == ["secret.md"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    found, bad = scan(tmp_path)
    assert not found
    assert bad[0].reason == "This is not a regular file."


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Grüße".encode(), "Grüße"),
        ("\ufeffGrüße".encode(), "Grüße"),
        ("Grüße".encode("cp1252"), "Grüße"),
        ("Grüße".encode("utf-16"), "Grüße"),
        (b"\x81Gr\xfc\xdfe", "\x81Grüße"),
        (b"a\r\nb\rc", "a\nb\nc"),
    ],
)
def test_common_encodings_are_understood(tmp_path: Path, raw: bytes, text: str) -> None:
    assert read(write(tmp_path / "a.txt", raw)) == text


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not text"):
        read(write(tmp_path / "a.txt", b"\x00\x01\x02"))


def test_the_bundled_guides_are_there() -> None:
    found, bad = scan(bundled_folder())
    assert 14 <= len(found) <= 30
    assert not bad
