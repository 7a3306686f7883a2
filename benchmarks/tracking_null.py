"""A server that only says yes: what a client needs for itself, whatever is behind it.

`python tracking_null.py PORT`. It answers as much of MLflow's protocol as `tracking_client.py` needs for
logging, and keeps nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys

RUN = {
    "info": {
        "run_id": "0" * 32,
        "run_uuid": "0" * 32,
        "run_name": "none",
        "experiment_id": "0",
        "user_id": "nobody",
        "status": "RUNNING",
        "start_time": 1,
        "lifecycle_stage": "active",
        "artifact_uri": "mlflow-artifacts:/none",
    },
    "data": {},
    "inputs": {},
}
EXPERIMENT = {"experiment_id": "0", "name": "Default", "lifecycle_stage": "active", "artifact_location": "x"}
ANSWERS = {
    b"/health": b"OK",
    b"/version": b"3.17.0",
    b"runs/": json.dumps({"run": RUN, "run_info": RUN["info"]}).encode(),
    b"experiments/": json.dumps({"experiment": EXPERIMENT}).encode(),
    b"/": b"{}",
}
"""Part of the path -> answer; the first that fits counts."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            lengths = [line.partition(b":")[2] for line in lines if line.startswith(b"content-length:")]
            await reader.readexactly(int(lengths[0]) if lengths else 0)
            path = lines[0].split()[1]
            body = next(answer for part, answer in ANSWERS.items() if part in path)
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                + body
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=1 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
