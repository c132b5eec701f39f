from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from drive_files import write_drive


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Pictures and poses that fit the R1 model; tests only read them."""
    return write_drive(tmp_path_factory.mktemp("drive"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine, threads that wait for each other over tiny tensors take ten times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
