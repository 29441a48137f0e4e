"""The dependencies in pyproject.toml, each with its reason, and the locks that pin them."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT_TEXT = (ROOT / "pyproject.toml").read_text()
PYPROJECT = tomllib.loads(PYPROJECT_TEXT)
PROJECT = PYPROJECT["project"]
LOCK_PATHS = sorted((ROOT / "requirements").glob("*.lock"))
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = [
    *PYPROJECT["build-system"]["requires"],
    *PROJECT["dependencies"],
    *(d for ds in EXTRAS.values() for d in ds),
]
INSTALLED = [*PYPROJECT["build-system"]["requires"], *PROJECT["dependencies"], *EXTRAS["dev"]]


@dataclass(frozen=True)
class Locked:
    """One requirement of a lock file with the digests that it allows."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "==", f"{self.requirement} must name one exact release"
        return specifier.version


def parse_lock(text: str) -> list[Locked]:
    logical_lines = re.sub(r"(?m)^#.*", "", text).replace("\\\n", " ").splitlines()
    found = []
    for line in filter(str.strip, logical_lines):
        requirement, *hashes = line.split(" --hash=")
        found.append(Locked(Requirement(requirement.strip()), tuple(digest.strip() for digest in hashes)))
    return found


def locked(*names: str) -> list[Locked]:
    return [entry for name in names for entry in parse_lock((ROOT / "requirements" / f"{name}.lock").read_text())]


@pytest.mark.parametrize("dependency", DECLARED)
def test_every_dependency_has_a_bound_and_a_reason_on_its_line(dependency: str) -> None:
    assert Requirement(dependency).specifier, f"{dependency} has no bound"
    lines = [line for line in PYPROJECT_TEXT.splitlines() if f'"{dependency}"' in line]
    assert lines
    for line in lines:  # an extra and the tests may both need it, each for a reason of its own
        _, _, reason = line.partition(f'"{dependency}",')
        assert re.match(r"\s+# \w\S*(\s\S+){3,}", reason), f"{line.strip()} gives no reason"


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_the_malicious_lightning_uploads_are_excluded(version: str) -> None:
    (lightning,) = [Requirement(item) for item in PROJECT["dependencies"] if item.startswith("lightning")]
    assert not lightning.specifier.contains(version)
    assert version not in {entry.version for entry in locked("core") if "lightning" in entry.name}


@pytest.mark.parametrize("path", LOCK_PATHS, ids=lambda path: path.stem)
def test_every_locked_requirement_is_exact_and_hashed(path: Path) -> None:
    entries = parse_lock(path.read_text())
    assert entries
    for entry in entries:
        assert entry.version
        assert entry.hashes, f"{entry.requirement} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in entry.hashes), entry.requirement


@pytest.mark.parametrize("path", LOCK_PATHS, ids=lambda path: path.stem)
def test_a_lock_names_no_address_and_no_path(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[^/@]+|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
        assert "://" not in line


@pytest.mark.parametrize("python", ["3.11", "3.12"])
@pytest.mark.parametrize("dependency", INSTALLED)
def test_the_locks_hold_one_release_within_each_bound(dependency: str, python: str) -> None:
    wanted = Requirement(dependency)
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.7",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    (found,) = [
        entry
        for entry in locked("core", "dev")
        if entry.name == canonicalize_name(wanted.name)
        and (entry.requirement.marker is None or entry.requirement.marker.evaluate(environment))
    ]
    assert wanted.specifier.contains(found.version)


def test_both_torch_builds_are_the_same_release() -> None:
    (from_index,) = [entry for entry in locked("core") if entry.name == "torch"]
    (cpu,) = locked("torch-cpu")
    assert cpu.version == f"{from_index.version}+cpu"
    assert set(cpu.hashes) < set(from_index.hashes)


def test_a_run_without_cuda_installs_no_cuda_library() -> None:
    assert not [entry.name for entry in locked("core", "dev") if entry.name.startswith(("nvidia", "cuda", "triton"))]
    assert {"triton", "cuda-toolkit"} < {entry.name for entry in locked("cuda")}


def test_no_package_is_locked_in_two_files() -> None:
    names = {path.stem: {entry.name for entry in locked(path.stem)} for path in LOCK_PATHS if path.stem != "torch-cpu"}
    assert sum(map(len, names.values())) == len(set().union(*names.values()))


def test_the_reader_of_locks_sees_a_missing_hash() -> None:
    text = "# made\na==1 \\\n    --hash=sha256:0f \\\n    --hash=sha256:1f\nb==2 ; sys_platform == 'linux'\n"
    assert [(entry.name, entry.version, entry.hashes) for entry in parse_lock(text)] == [
        ("a", "1", ("sha256:0f", "sha256:1f")),
        ("b", "2", ()),
    ]
