"""What everybody needs of a page: no accessibility violation, and room on a phone."""

from typing import Any

from tests.e2e.reader import Reader
from tests.harness.process import ROOT

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


async def violations(reader: Reader) -> list[dict[str, Any]]:
    """Return what axe finds wrong with the page, all its rules taken together."""
    if not await reader.page.evaluate("'axe' in window"):
        # Evaluated, not added as an element: the page's policy runs no foreign script.
        await reader.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = await reader.page.evaluate(
        """async () => {
            const {violations} = await window.axe.run(document, {resultTypes: ["violations"]});
            return violations.map(({id, nodes}) => ({id, nodes: nodes.map(node => node.html.slice(0, 200))}));
        }"""
    )
    return found
