"""The signing secret: made once, for its owner's eyes only."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from parlour.features.people.keys import signing_secret
from parlour.vocabulary.errors import Unavailable


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    secret = signing_secret(data)
    assert len(secret) >= 32
    assert signing_secret(data) == secret
    assert mode(data) == mode(data / "secrets") == 0o700
    assert [mode(path) for path in (data / "secrets").iterdir()] == [0o600]


def test_two_installations_have_two_secrets(tmp_path: Path) -> None:
    assert signing_secret(tmp_path / "a") != signing_secret(tmp_path / "b")


def test_servers_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(lambda _: signing_secret(tmp_path), range(64)))
    assert len(secrets) == 1
    assert len(list((tmp_path / "secrets").iterdir())) == 1


@pytest.mark.parametrize("rights", [0o640, 0o604, 0o644, 0o666])
def test_a_secret_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, rights: int) -> None:
    signing_secret(tmp_path)
    file = tmp_path / "secrets" / "token-signing.key"
    file.chmod(rights)
    with pytest.raises(Unavailable, match=f"chmod 600 {file}"):
        signing_secret(tmp_path)


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    signing_secret(tmp_path)
    (tmp_path / "secrets").chmod(0o755)
    with pytest.raises(Unavailable, match="chmod 700"):
        signing_secret(tmp_path)


def test_a_damaged_secret_is_refused(tmp_path: Path) -> None:
    signing_secret(tmp_path)
    (tmp_path / "secrets" / "token-signing.key").write_text("short")
    with pytest.raises(Unavailable, match="damaged"):
        signing_secret(tmp_path)


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="PARLOUR_DATA_DIR"):
        signing_secret(tmp_path / "file" / "data")
