from pathlib import Path

import pytest
from drive_files import write_drive


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Pictures and poses that fit the R1 model; tests only read them."""
    return write_drive(tmp_path_factory.mktemp("drive"))
