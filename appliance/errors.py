"""The errors that this project raises, and nothing else.

Exceptions are for broken things; an uncertain thing is a value (a `Quality`, an unknown). Every error says what is
wrong and where in its message, and what to do in its hint. Never in here: how an error is shown or handled.
"""


class ApplianceError(Exception):
    """Root of all errors raised on purpose; abstract: raise one of its children.

    `message` says what is wrong and where; `hint` says what to do about it. Both are plain sentences.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}"


class ConfigError(ApplianceError):
    """The operator's: a setting is wrong. The process ends with exit code 78 before it connects anywhere."""


class ProfileError(ConfigError):
    """A profile contradicts itself or its device. `rule` and `key` name the place, where it is one."""

    def __init__(self, message: str, *, hint: str, rule: str | None = None, key: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.key = key

    def at(self, rule: str, key: str | None = None) -> "ProfileError":
        """Return the same error, of this place; what it named before stands."""
        return ProfileError(self.message, hint=self.hint, rule=self.rule or rule, key=self.key or key)


class PayloadError(ApplianceError):
    """The sender's: counted by `reason`, never stops the message loop."""

    reason = "payload"


class UnknownFormat(PayloadError):
    """No dialect claims this topic."""

    reason = "unknown_format"


class Malformed(PayloadError):
    """A dialect claims this message, but it is broken. `reason` is a short counted word."""

    def __init__(self, message: str, *, hint: str, reason: str = "malformed") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class TooManyWords(ApplianceError):
    """Somebody says more than anybody can mean: refused for a while, and what was said before stands."""


class ModelError(ApplianceError):
    """A model is missing, altered, or wants features that cannot be computed: rules and fallback go on, degraded."""


class LinkError(ApplianceError):
    """The world's: retried with jitter."""


class BrokerError(LinkError):
    """The MQTT broker cannot be reached, or refused us."""


class EdgeError(LinkError):
    """The edge server cannot be reached, or answered nonsense."""


class StoreError(LinkError):
    """The disk or the database failed."""


class LearnError(ApplianceError):
    """Training cannot go on: data missing, altered, leaking or too few."""


class BudgetError(LearnError):
    """A compression stage cost more accuracy than the recipe allows."""
