"""Where the guides lie that come with Parlour."""

from pathlib import Path

import parlour


def bundled_folder() -> Path:
    """Return the folder of the bundled guides: inside the package, or ``docs/guides`` of a checkout."""
    package = Path(parlour.__file__).resolve().parent
    installed = package / "guides"
    return installed if installed.is_dir() else package.parents[1] / "docs" / "guides"
