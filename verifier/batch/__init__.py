"""Many audits: what to audit, where the results go, and who runs them.

`task` says what one audit needs, `book` keeps the reports and the index and survives a kill at any moment,
`local` and `cluster` run audits, and `run` ties them together. A verdict is never made here.
"""

from verifier.batch.book import BatchError, Book
from verifier.batch.run import Counts, run_batch
from verifier.batch.task import Settings, Task

__all__ = ["BatchError", "Book", "Counts", "Settings", "Task", "run_batch"]
