"""The first moments of a process, when statements are not compiled yet and many ask at once."""

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine

from parlour.features.chat.tables import messages

ROUNDS = 30  # without the remedy about every second one failed


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_histories_that_are_read_at_once_after_the_start_are_all_read(
    tmp_path: Path, impatient_threads: None
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}", poolclass=NullPool)
    messages.create(engine)
    failures: list[Exception] = []
    for _ in range(ROUNDS):
        engine.clear_compiled_cache()
        ancestors = just_imported()
        barrier = threading.Barrier(3)
        readers = [
            threading.Thread(target=read, args=(engine, ancestors, barrier, failures)) for _ in range(3)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert failures == []


def just_imported() -> Callable[..., object]:
    """Return the store's way to read a history as a new process has it."""
    spec = importlib.util.find_spec("parlour.features.chat.store.sessions")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ancestors: Callable[..., object] = module.ancestors
    return ancestors


def read(
    engine: Engine,
    ancestors: Callable[..., object],
    barrier: threading.Barrier,
    failures: list[Exception],
) -> None:
    with engine.connect() as connection:
        barrier.wait()
        try:
            ancestors(connection, "session", "message", 5)
        except Exception as error:  # noqa: BLE001 - it would be lost with its thread
            failures.append(error)
