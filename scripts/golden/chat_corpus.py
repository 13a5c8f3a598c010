#!/usr/bin/env python3
"""Prompts of real chat templates, as transformers makes them, for a slow test of models/chat.

Templates are their publishers' and stay where they are; models/chat/testdata/corpus.tsv names those that were compared: name, SHA-256, source, path.
Put them as NAME.jinja into a folder, and from anywhere:

    python scripts/golden/chat_corpus.py FOLDER       # writes FOLDER/prompts.json
    EYELET_TEMPLATES=FOLDER go test ./models/chat -run TestRealTemplates -v

Each template renders each conversation with content as strings, as lists, and as lists where there are pictures, with and without an opening for the
answer. Needs transformers and jinja2.
"""

import argparse
import hashlib
import json
import pathlib

import chat
from chat import IMG, WEATHER, call, turn

BIG = {
    "n": 18446744073709551617,
    "x": 1e-7,
    "y": 1e22,
    "z": -0.0,
    "deep": {"a": [1, 2.5, None, True, "é <&>"]},
}

CONVERSATIONS = {
    "one question": [turn("user", "What is this?")],
    "several turns": chat.CONVERSATIONS["system and several turns"],
    "without system": chat.CONVERSATIONS["several turns without system"],
    "control tokens spelled by the user": chat.CONVERSATIONS["special tokens spelled by the user"],
    "thoughts": [
        turn("user", "Q"),
        turn("assistant", "A", reasoning_content="First\nthen."),
        turn("user", "R"),
        turn("assistant", "B", reasoning_content="hm"),
        turn("user", "S"),
    ],
    "a picture": [turn("user", IMG, "What colour is it?")],
    "pictures in several turns": chat.CONVERSATIONS["images in several turns"],
    "two pictures": chat.CONVERSATIONS["two images"],
    "tools offered": chat.CONVERSATIONS["tools offered"],
    "tools used": chat.CONVERSATIONS["tools used"],
    "thoughts and large numbers in calls": [
        turn("system", "Use tools."),
        turn("user", "Weather?"),
        turn("assistant", reasoning_content="Look it up.", tool_calls=[call("get_weather", BIG)]),
        turn("tool", "7 °C", tool_call_id="abcdefghi", name="get_weather"),
    ],
    "out of order": chat.CONVERSATIONS["roles out of order"],
}
TOOLS = {"tools offered", "tools used", "thoughts and large numbers in calls"}
NUMBERED = {
    **WEATHER,
    "function": {
        **WEATHER["function"],
        "parameters": {
            **WEATHER["function"]["parameters"],
            "maximum": 2**65,
            "x": [1.0, 1e16, 1e-5],
        },
    },
}


def shaped(messages, shape):
    out = []
    for m in messages:
        lists = shape == "list" or shape == "mixed" and IMG in m["content"]
        content = m["content"] if lists and m["content"] else chat.flatten(m["content"])
        out.append({**m, "content": content})
    return out


def render(source, messages, **variables):
    try:
        return chat.render(source, messages, **variables)
    except Exception as e:  # whatever Python raises, the conversation is refused
        return {"error": f"{type(e).__name__}: {e}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    cases = []
    for path in sorted(folder.glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        for title, messages in CONVERSATIONS.items():
            for generate in (True, False):
                tools = [NUMBERED] if title in TOOLS else None
                variables = {
                    "bos_token": "<s>",
                    "eos_token": "</s>",
                    "add_generation_prompt": generate,
                    "tools": tools,
                }
                case = {
                    "template": path.stem,
                    "title": title,
                    "messages": messages,
                    "tools": tools,
                    "add_generation_prompt": generate,
                    "prompts": {},
                }
                for shape in ("string", "mixed", "list"):
                    case["prompts"][shape] = {
                        k: str(v)
                        for k, v in render(source, shaped(messages, shape), **variables).items()
                    }
                cases.append(case)
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.stem)
    chat.write(folder / "prompts.json", {}, cases)


if __name__ == "__main__":
    main()
