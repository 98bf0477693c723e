"""Run a function on several CPU processes that meet over gloo."""

from __future__ import annotations

import multiprocessing
import pickle
import socket
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from pgolf.distributed import Ranks, process_group

# One server imports torch once, with what its optimizers import late; each process is a fork of it.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["torch._dynamo", "torch.distributed", "pgolf.train", __name__])


def on_ranks(
    function: Callable[..., Any], world_size: int, *args: Any, limit_seconds: float = 60
) -> list[Any]:
    """`function(ranks, *args)` in a process group; results by rank, an exception as its formatted traceback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        master = f"127.0.0.1:{free.getsockname()[1]}"
    pipes, processes = [], []
    for rank in range(world_size):
        ours, theirs = CONTEXT.Pipe(duplex=False)
        ranks = Ranks(rank, world_size, rank, master)
        process = CONTEXT.Process(target=_run, args=(theirs, ranks, function, args))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    end = time.monotonic() + limit_seconds
    results: dict[int, Any] = {}
    try:
        while len(results) < world_size:
            ready = wait(
                [pipe for rank, pipe in enumerate(pipes) if rank not in results], end - time.monotonic()
            )
            assert ready, (
                f"ranks {sorted(set(range(world_size)) - set(results))} still run after {limit_seconds} s"
            )
            for rank, pipe in enumerate(pipes):
                if pipe in ready:
                    results[rank] = pickle.loads(pipe.recv_bytes())
    finally:
        for process in processes:
            process.join(5)
            process.kill()
            process.close()
    return [results[rank] for rank in range(world_size)]


def _run(pipe: Connection, ranks: Ranks, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    try:
        with process_group(ranks, torch.device("cpu"), timeout_seconds=20):
            result = function(ranks, *args)
    except BaseException:
        result = traceback.format_exc()
    pipe.send_bytes(pickle.dumps(result))  # `send` would share tensors by file descriptors that die here
