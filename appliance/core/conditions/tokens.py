"""Owns the text of a condition in pieces, and the error that points at one of them.

Never in here: what the pieces mean, or in which order they may stand (parser).
"""

import re

from appliance.errors import ProfileError

MAX_LENGTH = 500
"""Characters of one condition: a rule that needs more is two rules."""

_TOKEN = re.compile(
    r"\s*(?:(?P<clock>\d{1,2}:\d{2})|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-zµμ°%Ω][\w/³²°%Ω·.-]*)|(?P<sign>>=|<=|>|<|\(|\)|,))"
)

_JOINTS = frozenset({"and", "or", "not", "is", "for"})
"""Words that join the others; nothing else is called so, in capitals either."""


def is_name(text: str) -> bool:
    """Return whether a condition can name `text`: it is one piece, and joins no others."""
    match = _TOKEN.fullmatch(text)
    return match is not None and match["name"] == text and text.lower() not in _JOINTS


class Tokens:
    """The words, numbers and signs of one condition, and how far they are read.

    Each is (kind, text, column): "clock", "number", "name" or "sign"; the last one is "end".
    """

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.where = where
        self.tokens: list[tuple[str, str, int]] = []
        self.position = 0
        if len(text) > MAX_LENGTH:
            raise ProfileError(
                f"{where}: the condition has {len(text)} characters, {MAX_LENGTH} are allowed",
                hint="split it into two rules",
            )
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                start = at + len(text[at:]) - len(text[at:].lstrip())
                raise self.error(
                    f"{text[start]!r} is not understood", "use names, numbers, > >= < <= and brackets", start
                )
            kind = match.lastgroup or ""
            if kind == "name" and match[kind].lower() in _JOINTS and match[kind] not in _JOINTS:
                raise self.error(
                    f"{match[kind]!r} is not understood",
                    f"words are lower case: {match[kind].lower()}",
                    match.start(kind),
                )
            self.tokens.append((kind, match[kind], match.start(kind)))
            at = match.end()
        self.tokens.append(("end", "", len(text.rstrip())))

    def error(self, what: str, remedy: str, column: int | None = None) -> ProfileError:
        """Return the error that points at `column` of the text; None: at the next piece."""
        at = self.tokens[self.position][2] if column is None else column
        line = self.text.count("\n", 0, at) + 1
        start = self.text.rfind("\n", 0, at) + 1
        shown = self.text[start:].split("\n", 1)[0]
        return ProfileError(
            f"{self.where}, line {line}, column {at - start + 1}: {what}\n    {shown}\n    {' ' * (at - start)}^",
            hint=remedy,
        )

    def peek(self) -> str:
        """Return the text of the next piece; "" at the end."""
        return self.tokens[self.position][1]

    def take(self) -> tuple[str, str, int]:
        """Return the next piece and go on; the end is returned again and again."""
        token = self.tokens[self.position]
        if token[0] != "end":
            self.position += 1
        return token

    def accept(self, word: str) -> bool:
        """Return whether the next piece is `word`, a name or a sign, and go on if so."""
        if self.tokens[self.position][0] in ("name", "sign") and self.peek() == word:
            self.position += 1
            return True
        return False

    def expect(self, word: str, remedy: str) -> None:
        """Go on over `word`. Raises ProfileError where it is missing."""
        if not self.accept(word):
            raise self.error(f"{word!r} is missing here", remedy)
