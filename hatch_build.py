"""The part of packaging that is ours: a wheel carries the built page and the guides.

Sources come from the checkout; an unpacked source release brings the page ready-made and needs no Node.
``PARLOUR_SKIP_UI=1`` leaves the page out on purpose.
"""

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

import page
from steps import StepFailed


class PageBuildHook(BuildHookInterface):
    """Builds the page before the files of a wheel or source release are gathered."""

    def dependencies(self) -> list[str]:
        """Ask for Node as a package where the page must be built and no Node is installed."""
        needed = not skipped() and page.has_sources() and not page.is_fresh() and page.find_node() is None
        return [page.NODE_PACKAGE] if needed else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page, and name the guides as package data. ``version`` is "standard" or "editable"."""
        if self.target_name == "wheel" and version == "standard":
            # An editable install reads them from docs/guides itself, so that an edit is seen at once.
            build_data["force_include"]["docs/guides"] = "parlour/guides"
        if skipped():
            return
        try:
            page.build()
        except StepFailed as error:
            if version != "editable":
                raise
            self.app.display_warning(
                f"{error.told()}\nInstalled without the page: the API works, and / says why."
            )


def skipped() -> bool:
    """Whether the caller wants no page."""
    return os.environ.get("PARLOUR_SKIP_UI", "") not in ("", "0")
