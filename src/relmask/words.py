"""Words of messages."""


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "group"), counted(3, "group")
    ('1 group', '3 groups')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"
