"""crowd.py - many ports at one fethd (bench_crowd)."""
import contextlib
import json

import lab as L


@contextlib.contextmanager
def crowd(lab, path, count):
    """So many attached clients that read what comes; the process, when all is quiet."""
    with L.process(L.tool(lab, "bench_crowd"), path, str(count), ready="ready") as p:
        yield p


def told(process):
    """Ends it: {"bytes": that came since it was ready, "cpu"}"""
    process.terminate()
    out, _ = process.communicate(timeout=30)
    return json.loads(out)
