"""Everything that can go wrong, in words. An error knows a stable code and a sentence for people, no HTTP.

::

    ParlourError
    ├── InvalidInput            a field is wrong; names it
    ├── Unauthenticated         no token, or one that does not hold
    ├── Forbidden               known, but not allowed to do this
    ├── NotFound                does not exist, or is not yours: the two look alike on purpose
    ├── Conflict                the same client message id with other content, and the like
    ├── TooLarge                the body is over the limit
    ├── TooMany                 over a limit; says when to come back
    ├── OverBudget              the money for this day or month is used up; says when to come back
    ├── SessionFull             the session has used all the tokens that one may
    ├── Unavailable             cannot serve now: starting, draining, storage out of reach
    │   └── StorageFull         no room left to keep a word, so nothing is acknowledged
    ├── RunFailed               a whole (not streamed) reply could not be made; carries the run's id
    └── ProviderError           a language model could not answer
        ├── Overloaded          it said it is too busy
        ├── RateLimited         it asked us to slow down; may say for how long
        ├── ContextTooLong      the prompt does not fit
        ├── Refused             it declined the content
        ├── Rejected            it takes no request of this form; asking again is no use
        ├── BadKey              the key is wrong or may not use this model
        ├── ModelMissing        it does not know the model
        ├── Unreachable         no connection, or it broke
        ├── TimedOut            too slow to connect, begin, go on or finish
        ├── EmptyAnswer         it answered, with nothing
        ├── Garbled             it answered, in no form we can read
        ├── TooExpensive        every model that could answer may cost more than one answer may
        └── NoProvider          nobody can be asked: all rest after failures
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from parlour.vocabulary.allowance import Allowance
from parlour.vocabulary.usage import Usage


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its path in the request (``message``), what is wrong, and a stable code."""

    field: str
    message: str
    code: str = "invalid"


class ParlourError(Exception):
    """Root of the tree. ``str(error)`` is the sentence a reader may see."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False
    sentence: ClassVar[str] = "Something went wrong on our side."

    def __init__(
        self, sentence: str | None = None, *, retry_after: float | None = None, cause: str | None = None
    ) -> None:
        """Keep the reader's sentence, seconds until a retry makes sense, and the operator's cause."""
        super().__init__(sentence or self.sentence)
        self.retry_after = retry_after
        self.cause = cause


class InvalidInput(ParlourError):
    """The request has wrong fields; nothing was stored."""

    code = "invalid_input"
    sentence = "The request has fields that need mending."

    def __init__(self, *fields: FieldError, sentence: str | None = None) -> None:
        """Name every wrong field at once, so that a caller mends them in one go."""
        super().__init__(sentence or (fields[0].message if fields else None))
        self.fields = fields


class Unauthenticated(ParlourError):
    """No token, or one that does not hold."""

    code = "unauthenticated"
    sentence = "Send a valid token: Authorization: Bearer …"


class Forbidden(ParlourError):
    """Known, but not allowed to do this."""

    code = "forbidden"
    sentence = "Your role does not allow this."


class NotFound(ParlourError):
    """Does not exist or is not yours; the two are told apart nowhere."""

    code = "not_found"
    sentence = "There is nothing here with this id."


class Conflict(ParlourError):
    """The request contradicts what is stored."""

    code = "conflict"
    sentence = "This contradicts what is already stored."


class TooLarge(ParlourError):
    """The body is over the limit."""

    code = "too_large"
    sentence = "The request is too large."


class TooMany(ParlourError):
    """A limit is reached for now."""

    code = "too_many"
    retryable = True
    sentence = "That is too much at once. Wait a moment and try again."

    def __init__(
        self,
        sentence: str | None = None,
        *,
        retry_after: float | None = None,
        allowances: tuple[Allowance, ...] = (),
    ) -> None:
        """Keep the limits as they stand, where it is limits a minute that were reached."""
        super().__init__(sentence, retry_after=retry_after)
        self.allowances = allowances


class OverBudget(ParlourError):
    """A budget of money would not last for the worst case. ``retry_after`` is when its next period begins."""

    code = "over_budget"
    retryable = True
    sentence = "The budget for answers is used up for now."


class SessionFull(ParlourError):
    """The session has used all the tokens that one session may."""

    code = "session_full"
    sentence = "This conversation has used all that one conversation may. Start a new one to go on."


class Unavailable(ParlourError):
    """Cannot serve this now; trying again soon can help."""

    code = "unavailable"
    retryable = True
    sentence = "Parlour cannot take this right now. Try again in a moment."


class StorageFull(Unavailable):
    """No room left to keep a word, so nothing is acknowledged."""

    code = "storage_full"
    sentence = "There is no room left to store messages. The operator needs to free some space."


class ProviderError(ParlourError):
    """A language model could not answer. ``cause`` is for the operator, never for the reader.

    ``usage`` is what the provider said it used all the same, for the ledger; ``taken`` says that it had
    begun to answer, so that what it read and thought is to be paid for, whether it said how much or not.
    """

    code = "provider_error"
    retryable = True
    sentence = "The model could not answer. Your question is kept."
    usage: Usage | None = None
    taken: bool = False


class Overloaded(ProviderError):
    """The provider said it is too busy."""

    code = "provider_overloaded"
    sentence = "The model is busy right now. Your question is kept; try again in a moment."


class RateLimited(ProviderError):
    """The provider asked us to slow down; ``retry_after`` if it said for how long."""

    code = "provider_rate_limited"
    sentence = "The model takes no more questions for the moment. Your question is kept."


class ContextTooLong(ProviderError):
    """The prompt does not fit the model."""

    code = "context_too_long"
    retryable = False
    sentence = "This conversation has grown too long for the model. Start a new one, or shorten the question."


class Refused(ProviderError):
    """The provider declined the content."""

    code = "refused"
    retryable = False
    sentence = "The model declined to answer this. Rephrasing the question may help."


class Rejected(ProviderError):
    """The provider takes no request of this form; the same one again would fare no better."""

    code = "provider_rejected"
    retryable = False
    sentence = "The model does not take this question in the form it was sent. Choose another model."


class BadKey(ProviderError):
    """The provider's key is wrong or may not use this model."""

    code = "provider_key"
    retryable = False
    sentence = "The model is not set up correctly. The operator has been told why in the log."


class ModelMissing(ProviderError):
    """The provider does not know the model."""

    code = "model_missing"
    retryable = False
    sentence = "The chosen model is not available. Choose another one."


class Unreachable(ProviderError):
    """No connection to the provider, or it broke."""

    code = "provider_unreachable"
    sentence = "The connection to the model broke. Your question is kept."


Stage = Literal["connect", "first_token", "stall", "total"]


class TimedOut(ProviderError):
    """The provider was too slow; ``stage`` says at what."""

    code = "provider_timeout"
    sentence = "The model took too long. Your question is kept."

    def __init__(self, stage: Stage, seconds: float) -> None:
        """Name the stage and its limit in seconds."""
        words = {
            "connect": f"The model could not be reached within {seconds:g} s. Your question is kept.",
            "first_token": f"The model said nothing for {seconds:g} s. Your question is kept.",
            "stall": f"The answer broke off after {seconds:g} s without a word from the model.",
            "total": f"The answer was not finished within {seconds:g} s.",
        }
        super().__init__(words[stage], cause=f"timeout at {stage} after {seconds:g} s")
        self.stage = stage
        self.seconds = seconds


class EmptyAnswer(ProviderError):
    """The provider answered with nothing. ``spent``: thinking used up all the tokens that it had."""

    code = "empty_answer"
    sentence = "The model answered with nothing. Your question is kept; try again."
    spent_sentence: ClassVar[str] = (
        "The model used all its room for thinking and said nothing. Ask for less, or choose another model."
    )

    def __init__(self, *, spent: bool = False, cause: str | None = None) -> None:
        """Tell a model that had nothing to say from one that had no room left to say it."""
        super().__init__(self.spent_sentence if spent else None, cause=cause)
        self.spent = spent


class Garbled(ProviderError):
    """The provider answered in no form we can read."""

    code = "provider_garbled"
    sentence = "The model's answer could not be read. Your question is kept."


class TooExpensive(ProviderError):
    """At worst the answer would cost more than one may, with every model that could give it."""

    code = "too_expensive"
    retryable = False
    sentence = "Answering this could cost more than is allowed here. Shorten it, or choose another model."


class NoProvider(ProviderError):
    """Nobody can be asked now: every model rests after it failed; ``retry_after`` says until when."""

    code = "no_provider"
    sentence = "No model can answer at the moment. Your question is kept; try again in a little while."


class RunFailed(ParlourError):
    """A whole (not streamed) reply could not be made."""

    code = "run_failed"

    def __init__(self, *, code: str, sentence: str, retryable: bool, run_id: str) -> None:
        """Repeat the run's own code and sentence, with its id so that the caller can look it up."""
        super().__init__(sentence)
        self.run_code = code
        self.run_retryable = retryable
        self.run_id = run_id
