"""Reading a cluster, or its manifests as kubectl prints them, beside what the parsers need that we build on.

`python -m bench.files [--parser-alone] FILE` is one reading in a process of its own: it prints CPU seconds and peak MB.
A FILE that ends in `.kubeconfig` is that of an API server to read.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qsl

import yaml

from bench.measures import Result
from ovnqos import load_manifests
from ovnqos.kubernetes import connect, read_cluster

if TYPE_CHECKING:
    from bench.generate import Cluster

_PAGE: Final = 500


def reading_times(size: str, cluster: Cluster, runs: int) -> list[Result]:
    """CPU time to the model: of YAML beside `yaml.CSafeLoader`, of JSON and of the API's pages beside `json.loads`."""
    items = [one for listed in cluster.documents() for one in listed["items"]]
    document = {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
    results = []
    with tempfile.TemporaryDirectory() as folder, _Api(cluster) as api:
        for form in ("yaml", "json", "kubeconfig"):
            file = Path(folder) / f"cluster.{form}"
            with file.open("w") as opened:
                if form == "yaml":
                    yaml.dump(document, opened, Dumper=yaml.CSafeDumper)
                else:
                    json.dump(document if form == "json" else api.kubeconfig, opened, indent=4)
            beside = Path(folder) / "cluster.json" if form == "kubeconfig" else file
            ours, alone = zip(*((_run(file), _run(beside, "--parser-alone")) for _ in range(runs)), strict=True)
            seconds, floor = ([one[0] for one in series] for series in (ours, alone))
            results.append(
                Result(
                    measure=f"read_{form}_cpu" if form != "kubeconfig" else "read_cluster_cpu",
                    size=size,
                    ours_ms=statistics.median(seconds) * 1e3,
                    ours_min_ms=min(seconds) * 1e3,
                    floor_ms=statistics.median(floor) * 1e3,
                    floor_min_ms=min(floor) * 1e3,
                    ratio=statistics.median(seconds) / statistics.median(floor),
                    notes=f"{beside.stat().st_size / 1e6:.0f} MB in {ours[0][1]:.0f} MB; floor {alone[0][1]:.0f} MB",
                )
            )
    return results


class _Api:
    """An API server that serves a cluster's lists in pages: encoded before, so that reading is what takes time."""

    def __init__(self, cluster: Cluster) -> None:
        collections = {
            "/api/v1/pods": cluster.pods,
            "/api/v1/namespaces": cluster.namespaces,
            "/apis/k8s.ovn.org/v1alpha1/networkqoses": cluster.policies,
        }
        pages: dict[str, list[bytes]] = {}
        for path, items in collections.items():
            starts = range(0, len(items) or 1, _PAGE)
            pages[path] = [_page(items, start, more=start + _PAGE < len(items)) for start in starts]
        served = {"resources": [{"name": "networkqoses", "verbs": ["create", "list"]}]}
        discovery = json.dumps(served).encode()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                token = dict(parse_qsl(query)).get("continue", "0")
                body = pages[path][int(token) // _PAGE] if path in pages else discovery
                known = path in pages or path == "/apis/k8s.ovn.org/v1alpha1"
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it so
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        server = f"http://127.0.0.1:{self._server.server_port}"
        self.kubeconfig = {
            "clusters": [{"name": "bench", "cluster": {"server": server}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "users": [{"name": "bench", "user": {}}],
            "current-context": "bench",
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _page(items: list[dict[str, Any]], start: int, *, more: bool) -> bytes:
    metadata = {"resourceVersion": "7"} | ({"continue": str(start + _PAGE)} if more else {})
    page = {"kind": "List", "apiVersion": items[0]["apiVersion"], "metadata": metadata}
    return json.dumps(page | {"items": items[start : start + _PAGE]}).encode()


def _run(file: Path, *options: str) -> tuple[float, float]:
    """CPU seconds and peak MB of one reading."""
    command = [sys.executable, "-m", "bench.files", *options, str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def main() -> None:
    """Read one file."""
    gc.disable()  # as the command does
    *options, file = sys.argv[1:]
    if file.endswith(".kubeconfig"):
        client = connect(Path(file))  # the Python package is loaded before
    start = time.process_time()
    if file.endswith(".kubeconfig"):
        read_cluster(client, ["NetworkQoS", "NetworkAttachmentDefinition", "Namespace", "Pod"])
    elif not options:
        load_manifests([file])
    elif file.endswith(".json"):
        json.loads(Path(file).read_text())
    else:
        yaml.load(Path(file).read_text(), Loader=yaml.CSafeLoader)
    seconds = time.process_time() - start
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(seconds, int(peak.split()[1]) / 1e3)  # getrusage would count what the parent had when it forked


if __name__ == "__main__":
    main()
