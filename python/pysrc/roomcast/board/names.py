"""Names and colours by chance, for whoever has not said theirs."""

from random import choice, randrange

MANNERS = """
    Amber Bold Brisk Calm Clever Cosy Daring Early Eager Gentle Golden Humble Jolly Keen Lucky
    Mellow Merry Nimble Patient Quiet Silver Steady Sunny Witty
""".split()
ANIMALS = """
    Badger Beaver Bison Crane Dolphin Falcon Finch Fox Gecko Heron Ibex Jackdaw Koala Lynx Marten
    Newt Otter Owl Panda Quail Raven Seal Swift Wombat
""".split()


def name() -> str:
    return f"{choice(MANNERS)} {choice(ANIMALS)}"


def hue() -> int:
    """A colour, as degrees of hue."""
    return randrange(360)
