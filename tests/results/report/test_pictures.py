"""Pictures of examples in the page: whose they are, that they are whole, and that they are few."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from results.drawings.of_run import examples_of_run
from results.errors import RecordError
from results.records import load_records
from results.report.build import build_report
from results.report.pictures import MAX_PICTURED
from results.report.sources import from_places
from tests.results.report.pages import Page, fill

PICTURES = np.random.default_rng(0).uniform(-1, 1, (6, 1, 8, 8)).astype(np.float32)
GENERATION = {"task": "digits-generation", "kind": "generation", "metric": "fid", "direction": "minimize"}


def images(runs):
    return Page(build_report(load_records(runs.path), sources=from_places([runs.path]))).all("img")


def add_generator(runs, **changes):
    folder = runs.add(**({"test": 2.0} if "scores" not in changes else {}), **GENERATION, **changes)
    np.savez(folder / "predictions.npz", predictions=PICTURES, targets=PICTURES)
    return folder


def test_the_first_seed_of_a_row_shows_what_it_made(runs):
    folders = [add_generator(runs, family="vae", seed=seed) for seed in (1, 0)]
    (image,) = images(runs)
    ((name, content),) = examples_of_run(folders[1])
    assert name == "samples"
    assert image.attributes["src"] == f"data:image/png;base64,{base64.b64encode(content).decode()}"
    assert image.attributes["alt"].startswith("Samples of vae: ")
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (int(image.attributes["width"]), int(image.attributes["height"]))


def test_a_row_that_did_not_complete_and_a_classifier_without_attention_have_no_pictures(runs):
    folder = runs.add(test=0.9)
    np.savez(folder / "predictions.npz", predictions=np.eye(3)[[0, 1, 2]], targets=np.arange(3))
    add_generator(runs, family="gan", status="diverged", scores=None, selection=None)
    assert images(runs) == []


def test_attention_is_shown_beside_what_it_belongs_to(runs):
    folder = runs.add(family="transformer", test=0.9)
    np.savez(folder / "predictions.npz", predictions=np.eye(3)[[0, 1, 2, 0, 1, 2]], targets=np.arange(6) % 3)
    weights = np.full((2, 1, 2, 4, 4), 0.25, dtype=np.float32)
    np.savez(folder / "examples.npz", indices=np.arange(2), inputs=PICTURES[:2], attention=weights)
    (image,) = images(runs)
    assert image.attributes["alt"].startswith("Attention of transformer: ")


def test_only_the_first_rows_show_pictures(runs):
    for index in range(MAX_PICTURED + 2):
        add_generator(runs, config_id=f"c{index}")
    assert len(images(runs)) == MAX_PICTURED


def test_damaged_arrays_are_told(runs):
    (add_generator(runs) / "predictions.npz").write_bytes(b"PK damaged")
    with pytest.raises(RecordError, match="must be an archive of arrays"):
        images(runs)


def test_the_page_of_every_kind_of_run_shows_the_reconstruction(runs):
    fill(runs)
    (image,) = images(runs)
    assert image.attributes["alt"].startswith("Reconstructions of autoencoder: ")
