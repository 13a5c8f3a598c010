"""The peers' side of bench-grammars: reads schemas, one JSON document a line, and answers each with what each peer took, in milliseconds.

llguidance compiles a schema to a lexer and a grammar, xgrammar to a grammar: what each does before it sees a tokenizer's masks. An answer is
{"llguidance": ms or null, "xgrammar": ms or null}; null is a schema that the peer refuses.
"""

import json, sys, time
from importlib.metadata import version

import llguidance
import xgrammar

tokenizer = llguidance.LLTokenizer("byte")


def guidance(text):
    matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_json_schema(text))
    return not matcher.is_error()


def xgr(text):
    xgrammar.Grammar.from_json_schema(text)
    return True


def took(build, text, reps):
    best = None
    for _ in range(reps):
        begin = time.perf_counter()
        try:
            ok = build(text)
        except Exception:
            ok = False
        ms = 1000 * (time.perf_counter() - begin)
        if not ok:
            return None
        best = ms if best is None else min(best, ms)
    return best


print(
    json.dumps({"llguidance": version("llguidance"), "xgrammar": version("xgrammar")}), flush=True
)
reps = int(sys.argv[1])
for line in sys.stdin:
    print(
        json.dumps({"llguidance": took(guidance, line, reps), "xgrammar": took(xgr, line, reps)}),
        flush=True,
    )
