"""OpenAI's example of a batch: upload, create, poll, read the results. Arguments: the server's address, a model."""

import json
import sys
import tempfile
import time

from openai import OpenAI

url, model = sys.argv[1], sys.argv[2]
client = OpenAI(base_url=url + "/v1", api_key="none")

with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
    for i in range(5):
        f.write(
            json.dumps(
                {
                    "custom_id": f"request-{i}",
                    "method": "POST",
                    "url": "/v1/chat/completions",
                    "body": {
                        "model": model,
                        "messages": [{"role": "user", "content": "Hello world!"}],
                        "max_tokens": 8,
                    },
                }
            )
            + "\n"
        )
    f.flush()
    batch_input_file = client.files.create(file=open(f.name, "rb"), purpose="batch")

batch = client.batches.create(
    input_file_id=batch_input_file.id,
    endpoint="/v1/chat/completions",
    completion_window="24h",
    metadata={"description": "nightly eval job"},
)
while batch.status in ("validating", "in_progress", "finalizing"):
    time.sleep(0.1)
    batch = client.batches.retrieve(batch.id)
assert batch.status == "completed", batch
assert (
    batch.request_counts.total,
    batch.request_counts.completed,
    batch.request_counts.failed,
) == (5, 5, 0), batch
lines = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
assert sorted(line["custom_id"] for line in lines) == [f"request-{i}" for i in range(5)], lines
assert all(
    line["response"]["status_code"] == 200 and line["response"]["body"]["choices"] for line in lines
), lines
assert [b.id for b in client.batches.list(limit=10)] == [batch.id]
assert len(list(client.files.list(purpose="batch"))) == 1
print("ok")
