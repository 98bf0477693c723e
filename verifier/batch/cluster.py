"""The same audits on a Ray cluster: `pip install 'pgolf-verify[ray]'` here and on every node.

Each node needs the same version of pgolf-verify and the same paths to the folders or the repository. A report
travels back as text and is written here, so that the output folder need not be shared. Ray is imported only
when this executor runs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verifier.batch.book import BatchError
from verifier.batch.local import HARD_MARGIN_SECONDS, AuditFunction, LocalExecutor, Outcome
from verifier.batch.task import Task, audit_task
from verifier.report.store import write_whole

LOCAL = "local"
"""The address that starts a Ray on this machine and stops it afterwards."""


@dataclass(frozen=True)
class RayExecutor:
    """A cluster's cores, `cpus` of them for each audit."""

    address: str
    cpus: int
    audit: AuditFunction = audit_task
    margin_seconds: float = HARD_MARGIN_SECONDS

    def run(
        self, tasks: Sequence[Task], place: Callable[[Task], Path], started: Callable[[Task], None]
    ) -> Generator[Outcome, None, None]:
        ray = _ray()
        try:
            ray.init(
                address=self.address, log_to_driver=False, logging_level="error", include_dashboard=False
            )
        except (ConnectionError, ValueError) as error:
            raise BatchError(
                f"no Ray at {self.address}", found=str(error), next="--ray local starts one"
            ) from None
        # No retries: a task that took its node down would take the next one too. `--retry` is the user's choice.
        remote = ray.remote(num_cpus=self.cpus, max_retries=0)(run_here)
        waiting = list(reversed(tasks))
        running: dict[Any, tuple[Task, float]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._room(ray):
                    task = waiting.pop()
                    running[remote.remote(task, self.audit, self.margin_seconds)] = task, time.monotonic()
                    started(task)
                ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
                for reference in ready:
                    task, begun = running.pop(reference)
                    yield _receive(ray, reference, task, begun, place(task))
        finally:
            for reference in running:
                ray.cancel(reference, force=True)
            ray.shutdown()

    def _room(self, ray: Any) -> int:
        """As many as the cluster can take, and one more so that no core waits for the driver."""
        return int(ray.cluster_resources().get("CPU", self.cpus)) // self.cpus + 1


def run_here(task: Task, audit: AuditFunction, margin_seconds: float) -> tuple[Outcome, str | None]:
    """On a node: one audit in a process of its own, and the text of its report."""
    with tempfile.TemporaryDirectory(prefix="pgolf-ray-") as scratch:
        report = Path(scratch) / "report.json"
        executor = LocalExecutor(1, audit, margin_seconds)
        with closing(executor.run([task], lambda task: report, lambda task: None)) as outcomes:
            outcome = next(outcomes)
        return outcome, report.read_text(encoding="utf-8") if outcome.status == "audited" else None


def _receive(ray: Any, reference: Any, task: Task, begun: float, report: Path) -> Outcome:
    try:
        answer: tuple[Outcome, str | None] = ray.get(reference)
    except ray.exceptions.RayError as error:
        first = (str(error).strip().splitlines() or ["no message"])[0]
        return Outcome(task, time.monotonic() - begun, "failed", f"{type(error).__name__}: {first}")
    outcome, text = answer
    if text is not None:
        write_whole(report, text)
    return replace(outcome, task=task)


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise BatchError("Ray is not installed", next="pip install 'pgolf-verify[ray]'") from None
    return ray
