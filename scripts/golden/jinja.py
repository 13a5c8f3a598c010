#!/usr/bin/env python3
"""Generated templates for models/chat/internal/jinja: what jinja2 in transformers' environment makes of them.

Needs transformers and jinja2. From anywhere:

    python scripts/golden/jinja.py                    # writes the small golden: a case for each feature and outcome
    python scripts/golden/jinja.py --all FILE [N]     # writes N cases (8,000), for EYELET_JINJA_CASES=FILE go test ./models/chat/internal/jinja

The cases come from a seeded grammar over the whole list of filters, tests, methods, operators, formats and statements. Left out are results that name
an address in memory or are drawn by chance, and templates that write to what they iterate over.
"""

import argparse
import json
import pathlib
import random
import re
import signal

import chat  # the environment, the clock and the variables of the other goldens
import jinja2

OUT = chat.ROOT / "internal" / "jinja" / "testdata" / "generated.json"

VARS = dict(
    chat.VARS,
    u="ǆ ß İ ﬁ ΑΣ ²½一 e\u0301",
    html="<b>\"A & 'B'</b>",
    huge=2**70 + 1,
    neg=-5,
    zero=0.0,
    mixed=[1, "a", None, 2.5, True, [1], {"k": 1}],
    people=[
        {"n": "Zoe", "a": 3, "c": {"x": 1}},
        {"n": "adam", "a": 1},
        {"n": "Bo", "a": 3, "c": {"x": 0}},
    ],
    deep={"a": {"b": [{"c": "x"}, {"c": "y"}]}, "1": 2},
)

ATOMS = {
    "str": [
        "s",
        "empty",
        "pad",
        "u",
        "html",
        "lines",
        "'a'",
        "'Hello wOrld'",
        "'1,2,,3'",
        "'42'",
        "' 7 '",
        "'0x1f'",
        "'3.7e2'",
        "'a-b_c d'",
        "'%s|%d'",
        "'{}{:>4}'",
        "'x\\ty'",
        "words[0]",
        "'ab' * 3",
    ],
    "int": [
        "n",
        "neg",
        "0",
        "1",
        "2",
        "3",
        "7",
        "10",
        "-1",
        "huge",
        "2**64",
        "10**20",
        "18446744073709551617",
        "t",
        "0x1F",
        "1_000",
    ],
    "float": [
        "f",
        "zero",
        "-0.0",
        "0.5",
        "1.5",
        "2.675",
        "1e16",
        "1e-7",
        "1e22",
        "big",
        "tiny",
        "100.0",
        "3.14159",
    ],
    "list": [
        "l",
        "words",
        "mixed",
        "[]",
        "[1, 2, 3, 4, 5]",
        "['a', 'B', 'c']",
        "(1, 2)",
        "('x',)",
        "range(4)",
        "[[1, 'a'], [2, 'b']]",
        "[0, none, '', 1]",
        "[2, 1, 2]",
        "[0.5, 1, true]",
    ],
    "rows": ["rows", "people"],
    "dict": [
        "d",
        "deep",
        "{}",
        "{'b': 1, 'a': 2, 'C': 3}",
        "{1: 'x', none: 2, true: 3}",
        "d.nested",
        "rows[0]",
    ],
    "none": ["none", "missing", "d.nope"],
}
WEIGHTS = {"str": 6, "int": 4, "float": 3, "list": 4, "rows": 2, "dict": 3, "none": 2}

# filter: argument makers
F = {
    "abs": [""],
    "attr": ["('upper')", "('a')", "('items')", "('real')"],
    "batch": ["(2)", "(2, 'x')", "(3, none)", "(0)"],
    "capitalize": [""],
    "center": ["(9)", "(4)", ""],
    "count": [""],
    "d": ["('D')", "('D', true)", ""],
    "default": ["(1)", "(none, true)", "(default_value='q')", "(boolean=true)"],
    "dictsort": [
        "",
        "(true)",
        "(by='value')",
        "(reverse=true)",
        "(false, 'key', true)",
        "(by='x')",
    ],
    "e": [""],
    "escape": [""],
    "filesizeformat": ["", "(true)"],
    "first": [""],
    "float": ["", "(9)", "(default='x')"],
    "forceescape": [""],
    "format": ["", "(1)", "('a', 2)", "(x=1)", "(1, x=2)"],
    "groupby": ["('a')", "('k')", "('c.x', default=0)", "('n', case_sensitive=true)", "(0)"],
    "indent": ["", "(2)", "(2, true)", "(1, blank=true)", "('> ', true, true)", "(first=true)"],
    "int": ["", "(5)", "(0, 16)", "(0, base=0)", "(default=none)", "(1, 2)"],
    "items": [""],
    "join": ["", "(', ')", "('-', attribute='k')", "(1)", "(d='/')", "(',', 'n')"],
    "last": [""],
    "length": [""],
    "list": [""],
    "lower": [""],
    "map": [
        "('upper')",
        "(attribute='k')",
        "(attribute='n')",
        "('default', 'z')",
        "(attribute='c.x', default='-')",
        "('int')",
        "('length')",
        "('join', ',')",
        "('nosuch')",
        "()",
        "(attribute=0)",
        "('string')",
    ],
    "max": ["", "(attribute='a')", "(true)", "(attribute='v')"],
    "min": ["", "(attribute='a')", "(case_sensitive=true)"],
    "reject": ["", "('odd')", "('none')", "('gt', 1)", "('nosuch')", "('string')"],
    "rejectattr": ["('a')", "('a', 'eq', 3)", "('c', 'defined')", "()"],
    "replace": [
        "('a', 'b')",
        "('l', 'L', 1)",
        "('', '-')",
        "('a', 1)",
        "(' ', '')",
        "('a')",
        "('<', '>', count=1)",
    ],
    "reverse": [""],
    "round": [
        "",
        "(1)",
        "(2)",
        "(-1)",
        "(0, 'ceil')",
        "(1, 'floor')",
        "(method='ceil')",
        "(precision=3)",
        "(0, 'x')",
        "(-2, 'floor')",
    ],
    "safe": [""],
    "select": ["", "('odd')", "('string')", "('gt', 1)", "('in', [1, 2])", "('mapping')"],
    "selectattr": [
        "('a')",
        "('a', 'gt', 1)",
        "('k', 'equalto', 'u')",
        "('c.x')",
        "('o', 'defined')",
        "('n', 'lower')",
    ],
    "slice": ["(2)", "(3, 'f')", "(2, none)", "(0)"],
    "sort": [
        "",
        "(true)",
        "(reverse=true)",
        "(attribute='a')",
        "(attribute='a,n')",
        "(attribute='n')",
        "(case_sensitive=true)",
        "(attribute='zz')",
        "(attribute='c.x')",
        "(false, true, 'n')",
    ],
    "string": [""],
    "striptags": [""],
    "sum": ["", "(attribute='a')", "(attribute='v')", "(start=10)", "('a', 0.5)", "(start=[])"],
    "title": [""],
    "tojson": [
        "",
        "(indent=2)",
        "(ensure_ascii=true)",
        "(separators=(',', ':'))",
        "(sort_keys=true)",
        "(true, 1)",
        "(indent='-')",
        "(indent=0)",
    ],
    "trim": ["", "('a')", "(chars=' o')", "('')"],
    "truncate": [
        "(5)",
        "(5, true)",
        "(8, false, '..')",
        "(5, true, '', 0)",
        "(length=3, leeway=0)",
        "()",
    ],
    "unique": ["", "(true)", "(attribute='a')"],
    "upper": [""],
    "urlencode": [""],
    "wordcount": [""],
    "wordwrap": ["(5)", "(7, false)", "(4, wrapstring='|')", "(6, true, '\\n', false)"],
    "xmlattr": ["", "(false)"],
}
T = {
    "boolean": [""],
    "callable": [""],
    "defined": [""],
    "divisibleby": ["(2)", " 3", "(0)"],
    "eq": ["(1)", " 7", "('a')", "(none)"],
    "equalto": ["(2.5)"],
    "escaped": [""],
    "even": [""],
    "false": [""],
    "filter": [""],
    "float": [""],
    "ge": ["(2)"],
    "gt": ["(1)"],
    "greaterthan": ["(1)"],
    "in": ["([1, 2, 'a'])", " 'abc'", "(d)", "(l)"],
    "integer": [""],
    "iterable": [""],
    "le": ["(3)"],
    "lessthan": ["(3)"],
    "lower": [""],
    "lt": ["('b')", "(3)"],
    "mapping": [""],
    "ne": ["(1)"],
    "none": [""],
    "number": [""],
    "odd": [""],
    "sameas": ["(none)", "(true)", "(l)"],
    "sequence": [""],
    "string": [""],
    "test": [""],
    "true": [""],
    "undefined": [""],
    "upper": [""],
    "nosuch": [""],
}
M = {
    "str": {
        "capitalize": ["()"],
        "casefold": ["()"],
        "center": ["(9)", "(8, '*')", "(3, 'ab')"],
        "count": ["('l')", "('')", "('l', 3)", "('a', 0, 2)"],
        "endswith": ["('d')", "(('a', 'd'))", "('o', 0, 5)", "(1)"],
        "expandtabs": ["()", "(4)", "(tabsize=2)", "(0)"],
        "find": ["('l')", "('l', 4)", "('', 99)", "('z')"],
        "format": ["(1, 'a')", "()", "(3.5)", "(x=1)"],
        "index": ["('l')", "('q')"],
        "isalnum": ["()"],
        "isalpha": ["()"],
        "isascii": ["()"],
        "isdecimal": ["()"],
        "isdigit": ["()"],
        "isidentifier": ["()"],
        "islower": ["()"],
        "isnumeric": ["()"],
        "isprintable": ["()"],
        "isspace": ["()"],
        "istitle": ["()"],
        "isupper": ["()"],
        "join": ["(words)", "('ab')", "([1])", "(['x'])", "(d)"],
        "ljust": ["(6)", "(5, '.')"],
        "lower": ["()"],
        "lstrip": ["()", "('h ')"],
        "partition": ["('l')", "(' ')", "('')"],
        "removeprefix": ["('h')", "('')"],
        "removesuffix": ["('d')"],
        "replace": ["('l', 'L')", "('l', '', 1)", "('', '-')", "('a')", "('l', 1)"],
        "rfind": ["('l')", "('l', 0, 4)"],
        "rindex": ["('o')"],
        "rjust": ["(7)", "(6, '0')"],
        "rpartition": ["('l')", "(',')"],
        "rsplit": ["()", "(',')", "(none, 1)", "('l', 1)", "(sep=' ')"],
        "rstrip": ["()", "('d')"],
        "split": ["()", "(',')", "(' ', 1)", "(none, 1)", "('')", "(maxsplit=1)", "(',', -1)"],
        "splitlines": ["()", "(true)", "(keepends=true)"],
        "startswith": ["('h')", "(('a', 'h'))", "('e', 1)", "('')", "('', 99)"],
        "strip": ["()", "('h d')", "(none)", "('')"],
        "swapcase": ["()"],
        "title": ["()"],
        "translate": ["({97: 'A', 108: none})", "({104: 72})"],
        "upper": ["()"],
        "zfill": ["(5)", "(20)"],
        "nosuch": [""],
        "format_map": ["({'x': 1})"],
        "maketrans": ["('ab', 'cd')", "({'a': 1})"],
    },
    "list": {
        "count": ["(1)", "('a')"],
        "index": ["(2)", "('zz')", "(1, 1)"],
        "copy": ["()"],
        "append": ["(1)"],
        "nosuch": [""],
        "0": [""],
        "pop": ["()"],
    },
    "dict": {
        "copy": ["()"],
        "get": ["('a')", "('zz')", "('zz', 5)", "()"],
        "items": ["()"],
        "keys": ["()"],
        "values": ["()"],
        "update": ["({})"],
        "pop": ["('a')"],
        "fromkeys": ["(['x', 'y'])", "('ab', 0)"],
        "a": [""],
        "nested": [""],
        "_x": [""],
    },
    "int": {
        "bit_length": ["()"],
        "real": [""],
        "imag": [""],
        "conjugate": ["()"],
        "numerator": [""],
        "as_integer_ratio": ["()"],
        "nosuch": [""],
        "is_integer": [""],
    },
    "float": {"is_integer": ["()"], "real": [""], "as_integer_ratio": ["()"], "nosuch": [""]},
    "rows": {"count": ["(1)"], "copy": ["()"]},
    "none": {"x": [""]},
}
PERCENT = [
    "%d",
    "%5d",
    "%-5d|",
    "%05d",
    "%+d",
    "% d",
    "%s",
    "%r",
    "%a",
    "%10s",
    "%-10s|",
    "%.2s",
    "%f",
    "%.2f",
    "%8.3f",
    "%e",
    "%.3E",
    "%g",
    "%G",
    "%.3g",
    "%#g",
    "%x",
    "%X",
    "%#x",
    "%o",
    "%c",
    "%5.1f%%",
    "%i",
    "%u",
    "%.3d",
    "%*d",
    "%(a)s",
    "%z",
    "%",
    "%5%",
    "%ld",
    "%#.0f",
    "%+.2e",
    "%08.2f",
    "%.0f",
]
SPECS = [
    "",
    ">8",
    "<8",
    "^8",
    "*^9",
    "=+8",
    "08",
    "+",
    " ",
    ",",
    "_",
    "d",
    "5d",
    "+d",
    "x",
    "#x",
    "X",
    "b",
    "#b",
    "o",
    "c",
    "n",
    "e",
    ".2e",
    "f",
    ".2f",
    "10.3f",
    ",.2f",
    "g",
    ".3g",
    "%",
    ".1%",
    ".3",
    "s",
    ".2s",
    ">5s",
    "_x",
    "#010x",
    "08.2f",
    "012,d",
    "z.1f",
    "-^9",
    "é>6",
    "q",
    "10,",
    "010,",
    "+08,.1f",
    "G",
    "E",
    "#.0f",
    ".0f",
    "#g",
    ".10",
    "5",
    "<05",
    ">+5d",
    "=5",
    ",x",
]
STRFTIME = "aAbBcCdDeEfFgGhHIjkklmMnpPrRStTuUVwWxXyYzZ%"
OPS = [
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "~",
    "==",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "in",
    "not in",
    "and",
    "or",
]

R = random.Random(20240305)


def kind():
    return R.choices(list(WEIGHTS), WEIGHTS.values())[0]


def atom(k=None):
    return R.choice(ATOMS[k or kind()])


def paren(x):
    return f"({x})"


class Case:
    """One template and the features that it has."""

    def __init__(self):
        self.tags = set()

    def tag(self, *names):
        self.tags.add(":".join(names))

    def filtered(self, x, k):
        name = R.choice(list(F))
        args = R.choice(F[name])
        if R.random() < 0.06:
            args = R.choice(["(1, 2, 3, 4, 5)", "(nosuch=1)", "(*l)", "(**{})", "(*[2])"])
        self.tag("filter", name, k)
        return f"{x}|{name}{args}"

    def tested(self, x, k):
        name = R.choice(list(T))
        self.tag("test", name, k)
        return f"{x} is {R.choice(['', 'not '])}{name}{R.choice(T[name])}"

    def method(self, k):
        table = M.get(k, M["str"])
        name = R.choice(list(table))
        self.tag("method", k, name)
        x = atom(k)
        return f"{paren(x)}.{name}{R.choice(table[name])}"

    def expr(self, depth=0):
        k = kind()
        x = atom(k)
        r = R.random()
        if depth > 2 or r < 0.12:
            return x
        if r < 0.42:
            y = self.filtered(paren(x), k)
            if R.random() < 0.35:
                y = self.filtered(y, "any")
            if R.random() < 0.2:
                y = f"{y}|list"
            return y
        if r < 0.52:
            return self.tested(paren(x), k)
        if r < 0.68:
            return self.method(k)
        if r < 0.84:
            op = R.choice(OPS)
            k2 = kind()
            self.tag("op", op, k, k2)
            if op == "**":
                return f"{paren(x)} ** {R.choice(['0', '2', '3', '-1', '0.5', 'f', 't', '70', 'none'])}"
            return f"{paren(x)} {op} {paren(atom(k2))}"
        if r < 0.90:
            self.tag("subscript", k)
            return paren(x) + R.choice(
                [
                    "[0]",
                    "[-1]",
                    "[1:]",
                    "[:-1]",
                    "[::-1]",
                    "[::2]",
                    "[5:1:-1]",
                    "['a']",
                    "[none:2]",
                    "[1:3]",
                    "[99]",
                    "[9:]",
                    "['nope']",
                    "[t]",
                    "[1.0]",
                    "[huge:]",
                    "[:huge:2]",
                    "[l]",
                    "[0, 1]",
                    ".0",
                    "['upper']",
                ]
            )
        if r < 0.94:
            self.tag("unary")
            return R.choice(["-", "+", "not ", "- -"]) + paren(x)
        if r < 0.97:
            self.tag("inline if")
            return f"({self.expr(depth + 1)} if {self.expr(depth + 2)}{R.choice([' else ' + self.expr(depth + 1), ''])})"
        self.tag("literal")
        return R.choice(
            [
                f"[{self.expr(depth + 1)}, {x}]",
                f"({x}, {self.expr(depth + 1)})",
                "{" + f"'k': {self.expr(depth + 1)}, {atom('str')}: 1" + "}",
                f"{x} < {atom()} < {atom()}",
            ]
        )

    def percent(self):
        self.tag("percent", p := R.choice(PERCENT))
        arg = R.choice(
            [
                atom(),
                f"({atom()},)",
                f"({atom()}, {atom()})",
                "d",
                f"({R.choice('23456')}, {atom('int')})",
            ]
        )
        return f"'<{p}>' % {arg}" if R.random() < 0.7 else f"'<{p}>'|format({atom()})"

    def format(self):
        self.tag("spec", p := R.choice(SPECS))
        conv = R.choice(["", "", "", "!r", "!s", "!a", "!x"])
        name = R.choice(["", "", "0", "x", "1", "0.a", "0[a]", "0[0]", "0.real", "0.nope"])
        arg = (
            atom() if R.random() < 0.5 else atom(R.choice(["int", "float", "float", "int", "str"]))
        )
        return f"'<{{{name}{conv}{':' + p if p else ''}}}>'.format({arg}, {atom()}{R.choice(['', ', x=' + atom()])})"

    def strftime(self):
        self.tag("strftime", c := R.choice(STRFTIME))
        return f"strftime_now('%{R.choice(['', '', '-', '_', '0', '^', 'E', 'O'])}{c}|%Y')"

    def global_(self):
        self.tag("global")
        return R.choice(
            [
                "range({0})|list",
                "range({0}, {1})",
                "range(1, 10, {0})|list",
                "range({0})",
                "dict({0})",
                "dict(a={0}, b={1})",
                "dict([('x', {0})], y=1)",
                "namespace(a={0}).a",
                "namespace({0})",
                "namespace(_a=1)",
                "dict.fromkeys({0}, {1})",
                "cycler({0}, {1}).next()",
                "joiner({0})()",
                "cycler().next()",
                "range()",
                "range(1, 2, 3, 4)",
                "range({0})[1:]",
                "range(9)[{0}:{1}]",
                "range({0}) == range({1})",
                "raise_exception({0})",
            ]
        ).format(atom(), atom())

    def space(self):
        return R.choice(["", "", "\n", "  ", "\n  ", " \n", "\t", "\n\n"])

    def tag_(self, body):
        return (
            "{%"
            + R.choice(["", "", "-", "+"])
            + " "
            + body
            + " "
            + R.choice(["", "", "-", "+"])
            + "%}"
        )

    def text(self):
        return self.space() + R.choice(["", "", "x", "a b", "é"]) + self.space()

    def out(self):
        r = R.random()
        x = (
            self.percent()
            if r < 0.06
            else self.format()
            if r < 0.12
            else self.strftime()
            if r < 0.14
            else self.global_()
            if r < 0.17
            else self.expr()
        )
        return "{{" + R.choice([" ", " ", "- ", "-"]) + x + R.choice([" ", " ", " -"]) + "}}"

    def block(self, depth=0):
        r = R.random()
        body = lambda: (
            self.text() + (self.stmts(depth + 1) if depth < 2 else self.out()) + self.text()
        )
        g = self.tag_
        if r < 0.16:
            self.tag("if")
            return (
                g(f"if {self.expr()}")
                + body()
                + R.choice(["", g(f"elif {self.expr()}") + body()])
                + R.choice(["", g("else") + body()])
                + g("endif")
            )
        if r < 0.44:
            self.tag("for")
            target, it = R.choice(
                [
                    ("x", atom()),
                    ("x", atom("list")),
                    ("k, v", "d.items()"),
                    ("k, v", "d|dictsort"),
                    ("x", "rows"),
                    ("a, b", "[(1, 2), (3, 4)]"),
                    ("a, (b, c)", "[(1, (2, 3))]"),
                    ("x", self.expr()),
                    ("x", "l|map('string')"),
                ]
            )
            cond = R.choice(["", "", f" if {self.expr()}", " if x", " if loop is defined"])
            loop = R.choice(
                [
                    "",
                    "{{ loop.index }}",
                    "{{ loop.last }}{{ loop.revindex }}",
                    "{{ loop.cycle('a', 'b') }}",
                    "{{ loop.changed(x) }}",
                    "{{ loop.previtem }}{{ loop.nextitem }}",
                    "{{ loop.length }}{{ loop|length }}",
                    "{{ loop.depth0 }}",
                    "{{ loop['first'] }}",
                    "{{ loop.nope }}",
                    "{{ loop }}",
                ]
            )
            jump = R.choice(
                [
                    "",
                    "",
                    "",
                    g("if loop.index > 1") + g(R.choice(["break", "continue"])) + g("endif"),
                    g("break"),
                ]
            )
            recursive = ""
            if R.random() < 0.08:
                target, it, recursive, loop = (
                    "x",
                    "[[1, [2]], [3], 4]",
                    " recursive",
                    "{{ x if x is number else loop(x) }}{{ loop.depth }}",
                )
            return (
                g(f"for {target} in {it}{cond}{recursive}")
                + "{{ x }}"
                + loop
                + jump
                + body()
                + R.choice(["", g("else") + body()])
                + g("endfor")
                + R.choice(["", "{{ x }}{{ loop }}"])
            )
        if r < 0.54:
            self.tag("set")
            return R.choice(
                [
                    g(f"set x = {self.expr()}") + "{{ x }}",
                    g("set a, b = 1, 2") + "{{ a }}{{ b }}",
                    g(f"set a, b = {self.expr()}") + "{{ a }}",
                    g("set x") + body() + g("endset") + "{{ x }}{{ x|length }}",
                    g("set x | upper | replace('A', '-')") + body() + g("endset") + "{{ x }}",
                    g("set ns = namespace(c=0)")
                    + g("for i in l")
                    + g("set ns.c = ns.c + i")
                    + g("endfor")
                    + "{{ ns.c }}{{ ns }}",
                    g("set (a, b) = [1, 2]") + "{{ b }}",
                    g("set x = 1") + g("for i in l") + g("set x = x + i") + g("endfor") + "{{ x }}",
                    g("set n.x = 1"),
                    g("set loop = 1"),
                    g("set true = 1"),
                    g("set x = "),
                    g("set a.b.c = 1"),
                    g("set ns = namespace()") + g("set ns.a, ns.b = 1, 2") + "{{ ns.a }}{{ ns.b }}",
                    g("set x, = l"),
                    g("set ns = namespace()") + g("set ns._a = 1"),
                    g("set ns = namespace(x=1)")
                    + g("set ns.y")
                    + body()
                    + g("endset")
                    + "{{ ns.y }}",
                ]
            )
        if r < 0.68:
            self.tag("macro")
            sig = R.choice(
                ["", "a", "a, b=2", "a, b=a", "a, caller=none", "*a", "varargs", "a, a", "a=1, b"]
            )
            inside = R.choice(
                [
                    "{{ a }}",
                    "{{ a }}{{ b }}",
                    "{{ varargs }}",
                    "{{ kwargs }}",
                    "{{ caller() }}",
                    "{{ caller(1) }}",
                    "{{ a|upper }}{{ varargs|length }}",
                    "{{ kwargs.z }}",
                ]
            )
            call = R.choice(
                [
                    "m()",
                    "m(1)",
                    "m(1, 2)",
                    "m(a=1)",
                    "m(b=3, a=1)",
                    "m(1, 2, 3)",
                    "m(z=1)",
                    "m(*l)",
                    "m(**{'a': 1})",
                    "m(1, *[2])",
                    "m.name",
                    "m.arguments",
                    "m.catch_varargs",
                    "m(1, a=2)",
                    "m(1)|upper",
                    "m is callable",
                    "m.caller",
                    "m(b=1, b=2)",
                ]
            )
            where = "{{ " + call + " }}"
            if R.random() < 0.35:
                where = (
                    g(
                        f"call{R.choice(['', '', '(q)', '(q=5)', '(q, r=1)'])} {call if '(' in call and '|' not in call else 'm()'}"
                    )
                    + "in{{ q }}"
                    + body()
                    + g("endcall")
                )
            return g(f"macro m({sig})") + inside + body() + g("endmacro") + where
        if r < 0.74:
            self.tag("filter block")
            return (
                g(
                    f"filter {R.choice(['upper', 'trim', 'replace(%r, %r)' % ('a', 'o'), 'indent(2)', 'e', 'trim|upper', 'nosuch', 'length', 'tojson', 'list'])}"
                )
                + body()
                + g("endfilter")
            )
        if r < 0.79:
            self.tag("with")
            return (
                g(
                    f"with {R.choice(['x = ' + self.expr(), 'a = 1, b = a', '', 'a, b = (1, 2)', 'x'])}"
                )
                + "{{ x }}{{ a }}{{ b }}"
                + body()
                + g("endwith")
                + "{{ a }}"
            )
        if r < 0.84:
            self.tag("raw")
            return (
                R.choice(
                    [
                        "{% raw %}",
                        "{%- raw -%}",
                        "{%raw%}",
                        "{% raw -%}",
                        "{%+ raw %}",
                        "{% raw +%}",
                    ]
                )
                + self.space()
                + R.choice(["{{ x }}", "{% if %}", "{# c #}", "%}", ""])
                + self.space()
                + R.choice(
                    [
                        "{% endraw %}",
                        "{%- endraw -%}",
                        "{% endraw +%}",
                        "{%+ endraw %}",
                        "{% endraw",
                    ]
                )
                + self.text()
            )
        if r < 0.88:
            self.tag("comment")
            return (
                R.choice(
                    [
                        "{# c #}",
                        "{#- c -#}",
                        "{# {{ x }} #}",
                        "{#+ c +#}",
                        "{##}",
                        "{#-#}",
                        "{# c",
                        "{#\n#}\n",
                    ]
                )
                + self.text()
            )
        if r < 0.92:
            self.tag("autoescape")
            return (
                g(f"autoescape {R.choice(['true', 'false', 't', 'none'])}")
                + "{{ html }}{{ html|safe }}{{ [html] }}{{ html ~ '<'|e }}"
                + body()
                + g("endautoescape")
                + "{{ html }}"
            )
        if r < 0.95:
            self.tag("block")
            return (
                g(f"block {R.choice(['q', 'q scoped', 'q required'])}")
                + "{{ x }}{{ n }}"
                + body()
                + g(R.choice(["endblock", "endblock q"]))
                + R.choice(["", "{{ self.q() }}", "{{ super() }}"])
            )
        if r < 0.97:
            self.tag("generation")
            return g("generation") + body() + g("endgeneration")
        self.tag("odd tag")
        return R.choice(
            [
                g("print n, s"),
                g("do l"),
                g("include 'x'"),
                g("if false") + g("include 'x'") + g("endif"),
                g("import 'x' as y"),
                g("extends 'x'"),
                g("if t") + "a" + g("endfor"),
                g("break"),
                g("nosuch"),
                g("if n") + "{{ n|nosuch }}" + g("endif"),
                g("if none") + "{{ n|nosuch }}{{ n is nosuch }}" + g("endif"),
                "{{ n|nosuch if none else 1 }}",
                g("if none") + g("for q in l") + "{{ q|nosuch }}" + g("endfor") + g("endif"),
                "{{ 5 5 }}",
                "{{ 1 2",
                "{% if t",
                g("trans") + "a" + g("endtrans"),
                g("call m"),
                g("for x in l") + g("set loop = 1") + g("endfor"),
                g("from 'a' import b"),
            ]
        )

    def stmts(self, depth=0):
        return "".join(
            self.text() + (self.out() if R.random() < 0.5 else self.block(depth))
            for _ in range(R.choice([1, 1, 2]))
        )


HAND = [
    "{{ 7|round }}{{ 7.5|round }}{{ -0.0 }}{{ 0.0 * -1 }}{{ 'ß'.upper() }}",
    "{{ 2**63 }}{{ '%5d' % huge }}{{ 1e20|int }}{{ huge|tojson }}",
    "{{ none|select|list }}{{ false|map('upper')|list }}{{ 0|reject|list }}{{ none|selectattr('a')|list }}",
    "{{ none|batch(2)|list }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{{ m.name }}{% endmacro %}{{ m(1, x=2) }}",
    "{{ '{:>8}|{:<8}|{:^8}'.format(1, 'a', 2.5) }}",
    "{{ strftime_now('%c %g %X %G %V') }}",
    "{{ (html|safe) + '<' }}{{ '<' ~ (html|safe) }}",
    "{% raw %}\nx\n{% endraw %}\ny",
    "{{ [1, none]|sort(attribute='x') }}{{ people|sort(attribute='zz')|map(attribute='n')|list }}",
    "{{ l|map('string') is iterable }}{{ l|map('string')|first }}",
    "{{ l|select('odd')|length }}",
    "{% for a in l %}{% for b in l %}{% if b == 1 %}{% break %}{% endif %}{{ a }}{{ b }}{% endfor %}{% endfor %}",
    "{{ d.items() }}{{ d.keys() }}{{ d.values() }}{{ range(3) }}",
    "{{ d.keys()[0] }}|{{ (d.keys()|list)[0] }}",
    "{{ missing|int }}",
    "{{ missing|tojson }}",
]


class Slow(Exception):
    pass


def give_up(*_):
    raise Slow


def render(source):
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(2)
    try:
        result = chat.render(source, [], **VARS)
        return {k: str(v) for k, v in result.items()}
    except Slow:
        return None
    except Exception as e:  # whatever Python raises, the template is refused
        return {"error": f"{type(e).__name__}: {e}"}
    finally:
        signal.alarm(0)


# Results that differ from run to run.
UNSTABLE = re.compile(
    r"at ?0x[0-9a-f]+|built-in method|bound method|TemplateReference|<function|'0', 'x'", re.I
)


def cases(n):
    for source in HAND:
        yield {"source": source, **render(source)}, {source}
    count = 0
    while count < n:
        c = Case()
        source = c.out() if R.random() < 0.6 else c.stmts()
        result = render(source)
        if result is None or UNSTABLE.search(result.get("output") or ""):
            continue
        try:
            json.dumps(result, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            continue
        count += 1
        yield {"source": source, **result}, c.tags


def small(n, bytes_each=2000):
    """The cases that show a feature with an outcome for the first time."""
    seen = set()
    for case, tags in cases(n):
        outcome = "error" if "error" in case else "output"
        fresh = {(":".join(t.split(":")[:2]), outcome) for t in tags} - seen
        if fresh and len(json.dumps(case)) < bytes_each:
            seen |= fresh
            yield case


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--all", metavar="FILE", type=pathlib.Path)
    parser.add_argument("n", nargs="?", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=20240305)
    args = parser.parse_args()
    R.seed(args.seed)
    if args.all:
        chat.write(args.all, {"vars": VARS}, [c for c, _ in cases(args.n)])
    else:
        chat.write(OUT, {"vars": VARS}, small(args.n))
