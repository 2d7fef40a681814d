"""Cores and memory of control groups, which the tests make as folders."""

import logging

import pytest

from onet import machine


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Makes /proc and /sys/fs/cgroup with the files given."""

    def make(cgroup, mountinfo, **files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(cgroup)
        (tmp_path / "proc/self/mountinfo").write_text(mountinfo)
        for name, text in files.items():
            path = tmp_path / "sys/fs/cgroup" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        monkeypatch.setattr(machine, "ROOT", tmp_path)
        monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: range(16), raising=False)

    return make


V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
V1 = (
    "33 31 0:30 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "36 31 0:33 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def test_without_groups_the_affinity_counts(groups):
    groups("", "")
    assert machine.quota() is None
    assert machine.cores() == 16
    assert list(machine._memory_left()) == []


def test_the_strictest_group_above_counts(groups):
    """As in a service of a slice, seen from outside of any container."""
    groups(
        "0::/batch.slice/job.scope\n",
        V2,
        **{
            "batch.slice__job.scope__cpu.max": "max 100000",
            "batch.slice__cpu.max": "250000 100000",
            "batch.slice__job.scope__memory.max": "8000",
            "batch.slice__job.scope__memory.current": "5000",
            "batch.slice__job.scope__memory.stat": "anon 1\ninactive_file 1500",
            "batch.slice__memory.max": "max",
            "batch.slice__memory.current": "9000",
        },
    )
    assert machine.cores() == 3
    assert list(machine._memory_left()) == [8000 - 5000 + 1500]
    assert machine.available_memory() == 4500


def test_inside_a_container_the_root_is_its_own(groups):
    groups("0::/\n", V2, **{"cpu.max": "50000 100000"})
    assert machine.cores() == 1


@pytest.mark.parametrize("root", ["/", "/docker/abc", "/elsewhere"])
def test_version_1(groups, root):
    """Without a namespace of its own a container sees the host's path, mounted at its root."""
    below = "docker/abc/" if root == "/" else ""
    files = {
        "cpu,cpuacct/{}cpu.cfs_quota_us": 400000,
        "cpu,cpuacct/{}cpu.cfs_period_us": 100000,
        "memory/{}memory.limit_in_bytes": 6000,
        "memory/{}memory.usage_in_bytes": 1000,
        "memory/{}memory.stat": "cache 5\ntotal_inactive_file 10",
    }
    groups(
        "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n",
        V1.format(root=root),
        **{name.format(below): text for name, text in files.items()},
    )
    assert machine.cores() == 4
    assert list(machine._memory_left()) == [5010]


def test_no_quota_of_version_1_is_minus_one(groups):
    files = {"cpu,cpuacct/cpu.cfs_quota_us": -1, "cpu,cpuacct/cpu.cfs_period_us": 100000}
    groups("3:cpu,cpuacct:/\n", V1.format(root="/"), **files)
    assert machine.quota() is None


@pytest.mark.parametrize(
    ("text", "threads"), [("3", 3), ("5,2", 5), ("", 4), ("0", 4), ("many", 4)]
)
def test_threads_follow_openmp(monkeypatch, text, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    monkeypatch.setattr(machine, "cores", lambda: 8)
    assert machine.threads(2) == threads


def test_workers_are_bounded_by_memory_and_cores(monkeypatch, caplog):
    from onet.data.prepare import memory_needed

    monkeypatch.setattr(machine, "cores", lambda: 8)
    monkeypatch.setattr(machine, "available_memory", lambda: 10e9)
    assert memory_needed(256) == pytest.approx(2.4e9)
    assert machine.workers_for(memory_needed(256)) == 4
    assert machine.workers_for(memory_needed(64)) == 8
    assert machine.workers_for(memory_needed(1024)) == 1
    with caplog.at_level(logging.WARNING):
        assert machine.workers_for(memory_needed(256), wanted=6) == 6
    assert "more than 4" in caplog.text


def test_memory_grows_with_the_resolution():
    from onet.data.prepare import memory_needed

    needs = [memory_needed(resolution) for resolution in (32, 64, 128, 256, 512)]
    assert needs == sorted(needs)
    assert needs[1] > 0.17e9 and needs[2] > 0.49e9 and needs[3] > 2.34e9  # as measured
