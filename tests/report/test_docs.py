"""The generated pages of docs/ agree with what they are generated from."""

from __future__ import annotations

import importlib.util

import pytest

from tapemill.contracts import DATASETS, Quality


@pytest.fixture(scope="module")
def render_docs(repo_root):
    spec = importlib.util.spec_from_file_location(
        "render_docs", repo_root / "scripts" / "render_docs.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["data-dictionary.md", "configuration.md", "level-features.md"])
def test_committed_page_equals_its_rendering(render_docs, repo_root, name):
    committed = (repo_root / "docs" / name).read_text(encoding="utf-8")
    assert committed == render_docs.PAGES[name](), "run scripts/render_docs.py"


def test_dictionary_names_every_dataset_column_check_and_bit(render_docs):
    page = render_docs.data_dictionary()
    for dataset in DATASETS.values():
        section = page.split(f"### {dataset.name}\n", 1)[1].split("\n## ")[0].split("\n### ")[0]
        for column in dataset.columns:
            assert f"| `{column.name}` |" in section
            assert column.description.replace("|", "\\|") in section
        for check in dataset.row_checks:
            assert f"| `{check.name}` |" in section
        assert f"(`{dataset.known_at}`)" in section
    for bit in Quality:
        assert f"| {bit.value} | `{bit.name}` |" in page


def test_check_reports_a_page_that_differs(render_docs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(render_docs, "DOCS", tmp_path)
    assert render_docs.main(["--check"]) == 1
    assert "differs" in capsys.readouterr().out
    assert render_docs.main([]) == 0
    assert render_docs.main(["--check"]) == 0


def test_the_page_of_metrics_names_every_metric_with_its_meaning(render_docs):
    page = render_docs.flow_metrics()
    for metrics in render_docs.FLOW_TABLES.values():
        for metric in metrics:
            assert f"| `{metric.name}` | {metric.label} |" in page
            assert metric.description.replace("|", "\\|") in page
