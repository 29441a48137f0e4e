import os
from pathlib import Path

import pytest

from sweeps.executors.base import ExecutorError
from sweeps.executors.places import Place, listed_gpus, places, usable_cores, visible_gpus

FOUR_CORES = (0, 1, 2, 3)


def test_on_the_cpu_there_is_one_worker_per_core_with_one_thread() -> None:
    assert places(gpus=[], cores=(4, 6)) == [Place("cpu", (4,), 1), Place("cpu", (6,), 1)]
    assert len(places(device="cpu")) == len(usable_cores()) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("workers", [1, 2, 4, 9])
def test_the_threads_of_a_worker_do_not_depend_on_how_many_there_are(workers: int) -> None:
    found = places(workers=workers, gpus=[], cores=FOUR_CORES)
    assert [place.threads for place in found] == [1] * workers
    assert [place.cores for place in found] == [(index % 4,) for index in range(workers)]


def test_workers_with_more_threads_have_more_cores_and_are_fewer() -> None:
    found = places(threads=2, gpus=[], cores=FOUR_CORES)
    assert [(place.cores, place.threads) for place in found] == [((0, 1), 2), ((2, 3), 2)]
    (wide,) = places(threads=8, gpus=[], cores=FOUR_CORES)
    assert (wide.cores, wide.threads) == (FOUR_CORES, 8)


def test_there_is_one_worker_per_gpu_with_its_share_of_the_cores() -> None:
    found = places(gpus=["2", "5"], cores=FOUR_CORES)
    assert found == [Place("cuda", (0, 1), None, "2"), Place("cuda", (2, 3), None, "5")]
    assert [place.label for place in found] == ["cuda 2", "cuda 5"]


def test_more_workers_than_gpus_share_them_in_turn() -> None:
    found = places(workers=3, gpus=["0", "1"], cores=FOUR_CORES)
    assert [(place.gpu, place.cores) for place in found] == [("0", (0,)), ("1", (1,)), ("0", (2,))]


def test_the_cpu_can_be_asked_for_where_there_are_gpus() -> None:
    assert {place.device for place in places(device="cpu", gpus=["0"], cores=FOUR_CORES)} == {"cpu"}


@pytest.mark.parametrize("workers", [0, -1])
def test_zero_workers_are_refused(workers: int) -> None:
    with pytest.raises(ExecutorError, match=rf"`workers >= 1` must hold, but got workers={workers}\."):
        places(workers=workers)


def test_no_threads_and_no_gpu_are_refused() -> None:
    with pytest.raises(ExecutorError, match="`threads >= 1` must hold"):
        places(threads=0)
    with pytest.raises(ExecutorError, match="device='cuda' needs a GPU"):
        places(device="cuda", gpus=[])


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("", []),
        ("-1", []),
        ("0", ["0"]),
        ("1, 3", ["1", "3"]),
        ("2,-1,3", ["2"]),
        ("GPU-8a,MIG-7", ["GPU-8a", "MIG-7"]),
    ],
)
def test_the_gpus_are_those_that_the_environment_names(
    named: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == found


def test_without_a_name_the_driver_is_asked_and_a_machine_without_one_has_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A100 (UUID: GPU-1)'\necho 'GPU 1: NVIDIA A100 (UUID: GPU-2)'\n")
    tool.chmod(0o755)
    assert visible_gpus() == ["0", "1"]


def test_a_gpu_that_is_split_is_named_by_its_parts() -> None:
    listing = """GPU 0: NVIDIA H100 (UUID: GPU-1)
  MIG 1g.10gb     Device  0: (UUID: MIG-a)
  MIG 1g.10gb     Device  1: (UUID: MIG-b)
GPU 1: NVIDIA H100 (UUID: GPU-2)
"""
    assert listed_gpus(listing) == ["MIG-a", "MIG-b", "1"]
