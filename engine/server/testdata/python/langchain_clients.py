"""Runs langchain's clients for OpenAI's and Ollama's APIs against a server with the built-in model.

usage: langchain_clients.py URL PICTURE
"""

import base64
import pathlib
import sys

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

url, picture = sys.argv[1:]
image = base64.b64encode(pathlib.Path(picture).read_bytes()).decode()
whole = "an orange circle on a cyan background"


class Shape(BaseModel):
    shape: str
    sides: int


@tool
def paint(size: int) -> str:
    """Paint it."""
    return "painted"


def look(text):
    return HumanMessage(
        [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
            {"type": "text", "text": text},
        ]
    )


models = {
    "ChatOpenAI": ChatOpenAI(
        model="seed",
        base_url=f"{url}/v1",
        api_key="none",
        temperature=0,
        max_retries=0,
        max_tokens=100,
    ),
    "ChatOpenAI, responses": ChatOpenAI(
        model="seed",
        base_url=f"{url}/v1",
        api_key="none",
        temperature=0,
        max_retries=0,
        max_tokens=100,
        use_responses_api=True,
    ),
    "ChatOllama": ChatOllama(
        model="seed", base_url=url, temperature=0, num_predict=100, keep_alive="300"
    ),
}
for name, model in models.items():
    answer = model.invoke([look("What is in this picture?")])
    assert answer.text == whole, (name, answer)
    assert answer.usage_metadata["input_tokens"] > 64, (name, answer)
    again = model.invoke(
        [
            look("What is in this picture?"),
            AIMessage(whole),
            HumanMessage("What color is the background?"),
        ]
    )
    assert again.text == "cyan", (name, again)
    pieces = [p.text for p in model.stream([look("What is in this picture?")])]
    assert "".join(pieces) == whole and len(pieces) > 3, (name, pieces)
    assert [a.text for a in model.batch([[look("What color is the background?")]] * 3)] == [
        "cyan"
    ] * 3, name
    formed = model.with_structured_output(Shape, method="json_schema").invoke(
        [look("Describe it.")]
    )
    assert isinstance(formed, Shape), (name, formed)
    tools = model.bind_tools([paint])
    called = AIMessage("", tool_calls=[{"name": "paint", "args": {"size": 5}, "id": "call_1"}])
    answer = tools.invoke(
        [
            look("Paint it."),
            called,
            ToolMessage("painted", tool_call_id="call_1"),
            HumanMessage("What color is it?"),
        ]
    )
    assert all(set(c["args"]) == {"size"} for c in answer.tool_calls), (name, answer)
    print("ok", name)

for name, model in {
    "OpenAIEmbeddings": OpenAIEmbeddings(
        model="seed", base_url=f"{url}/v1", api_key="none", check_embedding_ctx_length=False
    ),
    "OllamaEmbeddings": OllamaEmbeddings(model="seed", base_url=url),
}.items():
    vectors = model.embed_documents(["a circle", "a star"])
    assert len(vectors) == 2 and abs(sum(x * x for x in vectors[0]) - 1) < 1e-3, name
    print("ok", name)
