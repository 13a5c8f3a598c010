"""Asks Open WebUI's backend what its page asks it, about models that it has from a server by Ollama's and by OpenAI's API.

usage: open_webui_client.py URL PICTURE
"""

import base64
import json
import pathlib
import sys
import urllib.request

url, picture = sys.argv[1:]
image = base64.b64encode(pathlib.Path(picture).read_bytes()).decode()


def call(method, path, body=None, token=None):
    request = urllib.request.Request(
        url + path, method=method, data=None if body is None else json.dumps(body).encode()
    )
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=300) as answer:
        return answer.read().decode()


token = json.loads(call("POST", "/api/v1/auths/signin", {"email": "", "password": ""}))["token"]
models = [
    m
    for m in json.loads(call("GET", "/api/models", token=token))["data"]
    if m.get("owned_by") in ("ollama", "openai")
]
assert {m["owned_by"] for m in models} == {"ollama", "openai"}, models
for m in models:
    question = {
        "model": m["id"],
        "temperature": 0,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What color is the background?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
                ],
            }
        ],
    }
    whole = json.loads(call("POST", "/api/chat/completions", question | {"stream": False}, token))
    assert whole["choices"][0]["message"]["content"] == "cyan", whole
    text, ended = "", False
    for line in call(
        "POST", "/api/chat/completions", question | {"stream": True}, token
    ).splitlines():
        if not line.startswith("data: "):
            continue
        if line == "data: [DONE]":
            ended = True
            break
        for choice in json.loads(line[6:]).get("choices", []):
            text += choice.get("delta", {}).get("content") or ""
    assert (text, ended) == ("cyan", True), (text, ended)
    print("ok", m["owned_by"])
vectors = json.loads(
    call(
        "POST",
        "/ollama/api/embed",
        {"model": next(m["id"] for m in models if m["owned_by"] == "ollama"), "input": ["a", "b"]},
        token,
    )
)
assert len(vectors["embeddings"]) == 2, vectors
print("ok embed")
