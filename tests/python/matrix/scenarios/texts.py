"""Words in and out: texts, system text, media, limits."""

from ..pair import Pair, equal

# The smallest PNG, and a PDF without a word in it.
IMAGE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6364f8"
    "cf500f000386018068d47d6f0000000049454e44ae426082"
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

UNICODE = "Grüße, 北京, 👩‍👩‍👧 und \U0001f680; ½ € \u2028fin"


def text(pair: Pair) -> None:
    answer = pair.ask("text", pair.client.user("Hello"))
    assert answer.text.startswith("Simulated answer to: Hello (messages=1 system=0 tools=0"), answer.text
    equal((answer.finish, answer.reasoning, answer.calls), ("stop", "", []), "finish, reasoning, calls")
    assert answer.usage.prompt > 0 and answer.usage.output > 0, answer.usage


def unicode(pair: Pair) -> None:
    """The backend cuts its bytes anywhere."""
    equal(pair.ask("unicode", pair.client.user("Hello")).text, UNICODE, "text")
    equal(pair.echo(pair.client.user(UNICODE)).user, [UNICODE], "words of the user")


def empty(pair: Pair) -> None:
    answer = pair.ask("empty", pair.client.user("Hello"))
    equal((answer.text, answer.calls, answer.finish), ("", [], "stop"), "text, calls, finish")


def system(pair: Pair) -> None:
    seen = pair.echo(pair.client.user("Hello"), system="Be brief.")
    equal((seen.system, seen.user), ("Be brief.", ["Hello"]), "system and user")


def turns(pair: Pair) -> None:
    """An answer of the SDK goes back into the history as it is."""
    history = pair.client.user("One")
    answer = pair.ask("text", history)
    history = [*history, *answer.turn, *pair.client.user("Two")]
    equal(pair.echo(history).user, ["One", "Two"], "words of the user")
    assert "messages=3" in pair.ask("text", history).text


def limit(pair: Pair) -> None:
    """Cut after 16 words, the least that every provider takes for a limit."""
    equal(pair.echo(pair.client.user("Hello"), limit=50).limit, 50, "limit")
    answer = pair.ask("text", pair.client.user("a b c d e f g h i j k l m n o p"), limit=16)
    cut = "Simulated answer to: a b c d e f g h i j k l m"
    equal((answer.text.strip(), answer.finish), (cut, "length"), "text and finish")


def image(pair: Pair) -> None:
    turn = pair.client.user("What is this?", image=IMAGE)
    seen = pair.echo(turn)
    equal((seen.images, seen.user), ([IMAGE], ["What is this?"]), "images and words")
    assert "images=1" in pair.ask("text", turn).text


def pdf(pair: Pair) -> None:
    pair.needs("pdf")
    turn = pair.client.user("What is this?", pdf=PDF)
    if pair.backend == "cohere":
        # It takes no files, and this one has no text that could go instead: refused, not dropped.
        error = pair.client.failure(pair.raises(lambda: pair.ask("text", turn)))
        equal(error.status, 400, "status")
        return
    seen = pair.echo(turn)
    equal((seen.pdfs, seen.user), ([PDF], ["What is this?"]), "documents and words")
    assert "documents=1" in pair.ask("text", turn).text


SCENARIOS = {
    "text": text,
    "unicode": unicode,
    "empty": empty,
    "system": system,
    "turns": turns,
    "limit": limit,
    "image": image,
    "pdf": pdf,
}
