"""The download brings what the manifest says, whole or not at all, from a folder and through the real library."""

import json
import shutil
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from typer.testing import CliRunner

from pgolf import byte_tokenizer, fineweb
from pgolf.cli import app
from pgolf.dataset import require_dataset
from pgolf.fineweb import DownloadError, download, hub_fetch
from pgolf.shards import read_stream, write_shard
from pgolf.tokenizer import TokenizerError

TRAIN, VAL, SHARD = 3, 2, 500


@pytest.fixture
def repository(tmp_path):
    """The hub's files, laid out as the contest's export is."""
    root = tmp_path / "hub" / "datasets"
    folder = root / "datasets" / "fineweb10B_byte260"
    for split, count in (("train", TRAIN), ("val", VAL)):
        for index in range(count):
            ids = np.random.default_rng(index).integers(4, 260, SHARD)
            write_shard(folder / f"fineweb_{split}_{index:06d}.bin", ids)
    byte_tokenizer.write_description(root / "tokenizers" / byte_tokenizer.FILE_NAME)
    entry = {
        "name": "fineweb10B_byte260",
        "tokenizer_name": "pure_byte_260",
        "vocab_size": 260,
        "stats": {"files_train": TRAIN, "files_val": VAL, "tokens_val": VAL * SHARD},
    }
    tokenizer = {"name": "pure_byte_260", "path": f"tokenizers/{byte_tokenizer.FILE_NAME}"}
    write_manifest(root, {"shard_size": SHARD, "datasets": [entry], "tokenizers": [tokenizer]})
    (root / "docs_selected.jsonl").write_text('{"text": "x"}\n')
    (root / "docs_selected.source_manifest.json").write_text("{}")
    return root.parent


def write_manifest(root, manifest):
    (root / "manifest.json").write_text(json.dumps(manifest))


def change_manifest(repository, change):
    path = repository / "datasets" / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    write_manifest(path.parent, manifest)


class Folder:
    """Fetches from a folder instead of the hub, and remembers what was asked for."""

    def __init__(self, repository, out):
        self.repository, self.incoming, self.asked = repository, out / fineweb.INCOMING, []

    def __call__(self, remote):
        self.asked.append(remote.rsplit("/", 1)[-1])
        place = self.incoming / remote
        place.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copy(self.repository / remote, place)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def folder(repository, out):
    return Folder(repository, out)


def names(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


EXPECTED = [
    "datasets/fineweb10B_byte260/fineweb_train_000000.bin",
    "datasets/fineweb10B_byte260/fineweb_train_000001.bin",
    "datasets/fineweb10B_byte260/fineweb_val_000000.bin",
    "datasets/fineweb10B_byte260/fineweb_val_000001.bin",
    "manifest.json",
    "tokenizers/fineweb_pure_byte_260.json",
]


def test_validation_comes_whole_and_training_as_its_first_shards(out, folder, repository):
    dataset = download(out, "byte260", folder, train_shards=2)
    assert names(out) == EXPECTED
    assert not (out / fineweb.INCOMING).exists()
    assert require_dataset(dataset.folder, dataset.tokenizer_path) == dataset
    source = repository / "datasets" / "datasets" / "fineweb10B_byte260"
    assert np.array_equal(read_stream(dataset.val_pattern), read_stream(str(source / "fineweb_val_*.bin")))


def test_a_second_download_fetches_only_what_is_missing_or_damaged(out, folder):
    download(out, "byte260", folder, train_shards=2)
    folder.asked.clear()
    download(out, "byte260", folder, train_shards=2)
    assert folder.asked == ["manifest.json"]
    damaged = out / EXPECTED[2]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    folder.asked.clear()
    download(out, "byte260", folder, train_shards=3, with_docs=True)
    assert sorted(folder.asked) == [
        "docs_selected.jsonl",
        "docs_selected.source_manifest.json",
        "fineweb_train_000002.bin",
        "fineweb_val_000000.bin",
        "manifest.json",
    ]


def test_an_interrupted_download_goes_on_where_it_was(out, folder):
    def breaks(remote):
        if remote.endswith("train_000001.bin"):
            raise ConnectionError("the line is dead")
        return folder(remote)

    with pytest.raises(ConnectionError):
        download(out, "byte260", breaks, train_shards=2)
    before = [name for name in names(out) if not name.startswith(fineweb.INCOMING)]
    assert before == sorted({*EXPECTED} - {EXPECTED[1], "manifest.json"})
    folder.asked.clear()
    download(out, "byte260", folder, train_shards=2)
    assert folder.asked == ["manifest.json", "fineweb_train_000001.bin"]
    assert names(out) == EXPECTED


def test_a_damaged_shard_never_reaches_its_place(out, folder, repository):
    damaged = repository / "datasets" / "datasets" / "fineweb10B_byte260" / "fineweb_val_000001.bin"
    damaged.write_bytes(damaged.read_bytes()[:-2])
    with pytest.raises(DownloadError, match="damaged shard arrived and was removed, try again: .*val_000001"):
        download(out, "byte260", folder, train_shards=0)
    assert "fineweb_val_000001.bin" not in " ".join(names(out))


def test_too_little_disk_space_is_said_before_anything_is_fetched(out, folder, repository):
    change_manifest(repository, lambda manifest: manifest.update(shard_size=10**15))
    with pytest.raises(DownloadError, match=r"GB of shards to fetch, .* GB free at .*fewer training shards"):
        download(out, "byte260", folder, train_shards=1)
    assert folder.asked == ["manifest.json"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "gpt2"}, "unknown variant 'gpt2'; expected byte260 or sp<ids>"),
        ({"variant": "sp"}, "unknown variant 'sp'"),
        ({"variant": "sp1024"}, "no fineweb10B_sp1024; it has fineweb10B_byte260"),
        ({"train_shards": 4}, "4 training shards asked for; fineweb10B_byte260 has 3"),
        ({"train_shards": -1}, "at least 0, got -1"),
    ],
)
def test_what_is_not_published_is_refused(out, folder, options, message):
    with pytest.raises(DownloadError, match=message):
        download(out, **{"variant": "byte260", "fetch": folder, **options})
    assert set(folder.asked) <= {"manifest.json"}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda m: m.pop("datasets"), DownloadError, "not a manifest"),
        (lambda m: m["datasets"][0].pop("stats"), DownloadError, "entry for fineweb10B_byte260 is not whole"),
        (lambda m: m["datasets"][0]["stats"].update(files_val=None), DownloadError, "not whole"),
        (lambda m: m["datasets"][0].update(tokenizer_name="other"), DownloadError, "not whole"),
        (lambda m: m["tokenizers"][0].pop("path"), DownloadError, r"tokenizer files \[\]"),
        (lambda m: m["tokenizers"][0].update(path="../../x"), DownloadError, "expected paths in it"),
        (
            lambda m: m["datasets"][0]["stats"].update(tokens_val=7),
            DownloadError,
            "1,000 tokens, the manifest",
        ),
        (lambda m: m["datasets"][0].update(vocab_size=256), TokenizerError, "260 ids, the manifest says 256"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(out, folder, repository, change, error, message):
    change_manifest(repository, change)
    with pytest.raises(error, match=message):
        download(out, "byte260", folder, train_shards=0)


def test_without_the_library_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    result = CliRunner().invoke(app, ["data", "fineweb", str(tmp_path / "data")])
    assert result.exit_code == 2
    assert "pip install 'pgolf-verify[data]'" in result.stderr


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as downloading a file needs: HEAD with its ETag, GET with ranges."""

    protocol_version = "HTTP/1.1"

    def __init__(self, root, log, *rest):
        self.root, self.log = root, log
        super().__init__(*rest)

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        prefix = "/datasets/someone/golf/resolve/main/"
        path = self.root / self.path.removeprefix(prefix)
        if not (self.path.startswith(prefix) and path.is_file()):
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("ETag", f'"{path.name}-{len(content)}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if with_body:
            self.log.append(path.name)
            cut = path.name == "fineweb_val_000001.bin" and self.log.count(path.name) == 1
            self.wfile.write(content[start : start + 600] if cut else content[start:])
            self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(repository):
    log = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, repository, log))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", log
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_real_library_brings_the_same_files_through_a_line_that_breaks(out, hub, repository):
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    endpoint, log = hub
    arguments = [
        "--variant",
        "byte260",
        "--train-shards",
        "2",
        "--repo",
        "someone/golf",
        "--endpoint",
        endpoint,
    ]
    result = CliRunner().invoke(app, ["data", "fineweb", str(out), *arguments])
    assert result.exit_code == 0, result.output
    assert f"next: pgolf train --data {out / 'datasets' / 'fineweb10B_byte260'} --tokenizer" in result.output
    assert names(out) == EXPECTED
    for name in EXPECTED:
        assert (out / name).read_bytes() == (repository / "datasets" / name).read_bytes()
    assert log.count("fineweb_val_000001.bin") == 2
    log.clear()
    assert CliRunner().invoke(app, ["data", "fineweb", str(out), *arguments]).exit_code == 0
    assert log == ["manifest.json"]


def test_the_real_librarys_refusals_are_one_line(out, hub, tmp_path):
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    with pytest.raises(DownloadError, match="cannot fetch nothing.json of the dataset someone/golf"):
        hub_fetch(out, "someone/golf", hub[0])("nothing.json")
    with pytest.raises(DownloadError, match="cannot fetch x of the dataset not a name"):
        hub_fetch(out, "not a name", hub[0])("x")
