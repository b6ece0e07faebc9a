"""Asks every question of a set through the doors that the server uses, and judges what comes back."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parlour.features.knowledge.service import Knowledge
from parlour.llm.model import Prompt, Sources, Text, Turn
from parlour.llm.providers.builtin import BuiltinModel
from parlour.vocabulary.citation import Passage

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the sections that answer it ("guide.md#Heading"); none, if it can't be answered."""

    part: str
    text: str
    right: frozenset[str]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a question: the sections cited, in order, and the text. No citation is an abstention."""

    question: Question
    cited: tuple[str, ...]
    text: str

    @property
    def good(self) -> bool:
        """Tell whether a right section is cited, or nothing where nothing can be."""
        return bool(self.question.right & set(self.cited)) if self.question.right else not self.cited

    @property
    def first_good(self) -> bool:
        """Tell the same, but of the first citation alone."""
        return (
            self.cited[:1] != () and self.cited[0] in self.question.right
            if self.question.right
            else self.good
        )


def questions(path: Path) -> list[Question]:
    """Read a set of questions."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["question"]
    return [Question(row["part"], row["text"], frozenset(row["right"])) for row in rows]


async def ask(asked: Sequence[Question], guides: Path) -> list[Result]:
    """Ask each question as the first of a conversation."""
    knowledge = await Knowledge.load([guides])
    model = BuiltinModel(pace=0)
    return [await _ask(question, knowledge, model) for question in asked]


async def _ask(question: Question, knowledge: Knowledge, model: BuiltinModel) -> Result:
    prompt = Prompt("", (Turn("user", question.text),), await knowledge.search(question.text))
    cited: tuple[str, ...] = ()
    text = ""
    async for event in model.stream(prompt):
        if isinstance(event, Sources):
            cited = tuple(map(section, event.passages))
        elif isinstance(event, Text):
            text += event.content
    return Result(question, cited, text)


def section(passage: Passage) -> str:
    """Return the name of a passage's section as the sets write it."""
    return f"{passage.document_id.split('/', 1)[1]}#{passage.title_path[-1]}"
