from relmask.cli.description import Description


def command() -> None:
    """Do a thing, in a line
    that is wrapped.

    More of it.

    When stopped: the same command
    goes on.

    Example:
        relmask thing a -o b   # why
        relmask thing 'c d'
    """


def undescribed() -> None:
    pass


def test_a_docstring_is_read_into_help_a_hint_and_examples() -> None:
    words = Description.of(command)
    assert words.text.split("\n\n") == [
        "Do a thing, in a line that is wrapped.",
        "More of it.",
        "When stopped: the same command goes on.",
    ]
    assert words.stopped == "The same command goes on."
    assert words.examples == ("relmask thing a -o b   # why", "relmask thing 'c d'")
    assert words.epilog.splitlines() == [
        "\b",
        "Examples:",
        "  relmask thing a -o b   # why",
        "  relmask thing 'c d'",
    ]


def test_what_a_docstring_lacks_is_empty() -> None:
    assert Description.of(undescribed) == Description("", "", ())
