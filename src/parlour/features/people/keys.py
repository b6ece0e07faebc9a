"""The secret that signs Parlour's own tokens: made at the first start, kept where only the owner can read."""

import os
import secrets
import stat
from pathlib import Path

from parlour.vocabulary.errors import Unavailable

FOLDER = "secrets"
FILE = "token-signing.key"
SECRET_BYTES = 48


def signing_secret(data_dir: Path) -> bytes:
    """Return the secret in ``data_dir``/secrets, making it first if there is none.

    Replicas must see the same file. Raises Unavailable, with the command that mends it, when the file or its
    folder is open to others or cannot be made.
    """
    folder = data_dir / FOLDER
    file = folder / FILE
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        _refuse_open(folder, "700")
        if not file.exists():
            _create(file)
        _refuse_open(file, "600")
        secret = file.read_bytes().strip()
    except OSError as error:
        raise Unavailable(
            f"The secret in {folder} cannot be kept or read ({error.strerror}). "
            "Give the user that runs Parlour the right to write there, or set PARLOUR_DATA_DIR."
        ) from error
    if len(secret) < SECRET_BYTES:
        raise Unavailable(f"{file} is damaged. Delete it: a new one is made, and everyone signs in again.")
    return secret


def _create(file: Path) -> None:
    # Written aside and linked into place: of two processes that start at once, both end up with one secret.
    draft = file.with_name(f".{FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(secrets.token_urlsafe(SECRET_BYTES).encode())
            opened.flush()
            os.fsync(opened.fileno())
        try:
            file.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()


def _refuse_open(path: Path, mode: str) -> None:
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Unavailable(f"Others can read {path}, which holds a secret. Run: chmod {mode} {path}")
