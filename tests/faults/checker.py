"""Compares what people were told with what is stored; what does not fit is told in words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.fakes.provider import Request
from tests.faults.world import Sent
from tests.harness.client import Json
from tests.harness.stored import Stored, StoredMessage

SETTLED = ("completed", "stopped")


def check_kept(history: Iterable[Sent], stored: Stored) -> list[str]:
    """Every acknowledged message exactly once, every other one at most once."""
    counts = Counter(message.client_message_id for message in stored.messages)
    return [
        f"{'lost' if counts[sent.client_id] == 0 else 'doubled'}: {sent}"
        for sent in history
        if counts[sent.client_id] > 1 or (sent.acknowledged and counts[sent.client_id] != 1)
    ]


def check_all(history: Sequence[Sent], stored: Stored, requests: Sequence[Request]) -> list[str]:
    """Check everything once all clients have their answers."""
    return [
        *check_kept(history, stored),
        *_check_answers(history, stored),
        *_check_order(stored),
        *_check_calls(history, stored, requests),
    ]


def _check_answers(history: Sequence[Sent], stored: Stored) -> list[str]:
    """Each message has one final answer, and it is what every reader put together."""
    findings = []
    asked = {message.client_message_id: message for message in stored.messages}
    replies = defaultdict(list)
    for message in stored.messages:
        if message.role == "assistant":
            replies[message.parent_id].append(message)
    for sent in history:
        question = asked.get(sent.client_id)
        if question is None:
            findings.append(f"no question is stored for {sent}")
            continue
        answers = replies[question.id]
        if len(answers) != 1:
            findings.append(f"{len(answers)} answers to {sent}")
            continue
        findings += [f"{finding}: {sent}" for finding in _check_answer(sent, question, answers[0])]
    return findings


def _check_answer(sent: Sent, question: StoredMessage, answer: StoredMessage) -> list[str]:
    findings = []
    if question.content != sent.text or question.person_id != sent.person_id:
        findings.append("the question is stored as another one")
    if (answer.id, question.id, question.session_id) != (
        sent.message_id,
        sent.user_message_id,
        sent.session_id,
    ):
        findings.append("the sender was told other ids than are stored")
    if answer.status not in SETTLED or (answer.status == "stopped" and not sent.stop_asked):
        findings.append(f"the answer is {answer.status}")
    if answer.status == "completed" and answer.content != sent.expected:
        findings.append(f"the answer is {answer.content!r}, not {sent.expected!r}")
    if not sent.expected.startswith(answer.content):
        findings.append(f"what was said is no beginning of the answer: {answer.content!r}")
    for reader in sent.readers:
        if reader.text != answer.content:
            findings.append(f"a reader has {reader.text!r}, stored is {answer.content!r}, by {reader.names}")
        if reader.end is None or reader.end.event != "done":
            findings.append(f"a reader was told the end {reader.end}")
    if sent.reply is not None and sent.reply != answer.content:
        findings.append(f"the whole reply was {sent.reply!r}, stored is {answer.content!r}")
    return findings


def _check_order(stored: Stored) -> list[str]:
    """Each session is one line, and its runs answered one after the other."""
    findings = []
    for session_id, messages in by_session(stored).items():
        previous: str | None = None
        for message in messages:
            if message.parent_id != previous:
                findings.append(f"session {session_id} forks at {message}")
            previous = message.id
        roles = [message.role for message in messages]
        if roles != ["user", "assistant"] * (len(roles) // 2):
            findings.append(f"session {session_id} has the roles {roles}")
    return findings


def by_session(stored: Stored) -> dict[str, list[StoredMessage]]:
    """Return the messages of each session in the order they were accepted."""
    sessions: dict[str, list[StoredMessage]] = defaultdict(list)
    for message in stored.messages:
        sessions[message.session_id].append(message)
    return sessions


def check_history(session_id: str, told: Sequence[Json], stored: Stored) -> list[str]:
    """The session reads for people as it is stored."""
    kept = [(message.id, message.role, message.content) for message in by_session(stored)[session_id]]
    read = [(message["id"], message["role"], message["content"]) for message in told]
    return [] if read == kept else [f"session {session_id} reads {read}, stored is {kept}"]


def _check_calls(history: Sequence[Sent], stored: Stored, requests: Sequence[Request]) -> list[str]:
    """The model was asked at most once by each owner of a run, never after its end, never out of turn."""
    findings = []
    calls: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        calls[request.question].append(request)
    runs = {run.user_message_id: run for run in stored.runs}
    before: dict[str, float] = {}  # when the session's previous run ended
    for sent in sorted(history, key=lambda sent: sent.user_message_id or ""):
        run = runs.get(sent.user_message_id or "")
        if run is None:
            continue  # told by the other checks
        times = [request.at for request in calls[sent.text]]
        if len(times) > run.fence:
            findings.append(f"{len(times)} calls by {run.fence} owners for {sent}")
        if run.finished_at is None:
            findings.append(f"the run has not ended: {sent}")
            continue
        # A question that was stopped while it was on its way may arrive after its end.
        if run.status == "completed" and any(at > run.finished_at for at in times):
            findings.append(f"the model was asked after the end of {sent}")
        if any(at < before.get(run.session_id, 0.0) for at in times):
            findings.append(f"the model was asked before the previous answer was there: {sent}")
        before[run.session_id] = run.finished_at
    return findings
