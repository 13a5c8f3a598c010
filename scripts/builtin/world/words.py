"""Words that several kinds of pictures share."""

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
WORDS = (
    "apple bread chair dance eagle flame grape house igloo juice knife lemon mouse night ocean piano queen river "
    "sugar table under voice water xenon yacht zebra stop exit open sale push pull hello world code data cloud "
    "paris rome tokyo cairo north south east west alpha beta gamma delta moon star sun tree fish bird "
    "cafe hotel taxi menu shop bank news post park zoo gate door room floor lift stairs staff only free wifi lunch "
    "closed danger keep left right slow turn start end play pause home back next help info ticket train bus metro "
    "ship plane road lake hill field garden stone glass metal paper wood cotton silk gold silver iron copper "
    "monday tuesday friday sunday spring summer autumn winter morning evening today later never always welcome "
    "thanks please sorry yes no maybe good bad new old hot cold big small fast quiet engine eyelet image model"
).split()
ITEMS = "tea milk cake soup rice fish egg salt jam pie ham corn beer wine nuts bun oil figs plum kiwi".split()


def pick(rng, items):
    return items[rng.randrange(len(items))]


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def listed(items):
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
