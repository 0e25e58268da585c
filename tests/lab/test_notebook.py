"""The notebook runs, and shows what it says. Its outputs are those of its cells, numbers aside."""

import contextlib
import io
import json
import re

import pytest

NUMBER = re.compile(r"\d[\d,.]*")


@pytest.fixture(scope="module")
def notebook(root):
    return json.loads((root / "examples" / "digits.ipynb").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ran(notebook):
    """What is left after all cells ran in order, and what each printed."""
    from matplotlib import pyplot

    namespace, printed, drawn = {"__name__": "__main__"}, [], []
    for cell in (cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile("".join(cell["source"]), "digits.ipynb", "exec"), namespace)
        printed.append(out.getvalue())
        drawn.append(len(pyplot.get_fignums()))
        pyplot.close("all")
    return namespace, printed, drawn


def outputs(notebook, kind):
    """Texts of one kind of each code cell's outputs."""
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    return [["".join(out["text"]) for out in cell["outputs"] if out["output_type"] == kind] if kind == "stream"
            else [out for out in cell["outputs"] if out["output_type"] == kind] for cell in cells]  # fmt: skip


def masked(text):
    return " ".join(NUMBER.sub("#", text).split())


def test_the_committed_outputs_are_those_of_the_cells(notebook, ran):
    _, printed, drawn = ran
    said = ["".join(texts) for texts in outputs(notebook, "stream")]
    assert [masked(text) for text in printed] == [masked(text) for text in said]
    assert drawn == [len(shown) for shown in outputs(notebook, "display_data")]
    assert sum(drawn) == 4
    assert outputs(notebook, "error") == [[] for _ in printed]


def test_what_can_be_counted_is_what_was_committed(notebook, ran):
    namespace, printed, _ = ran
    assert printed[0] == "".join(outputs(notebook, "stream")[0])
    assert namespace["passes"] * len(namespace["loader"]) == namespace["EPOCHS"] * len(namespace["train_loader"])


def test_the_story_holds(ran):
    namespace, _, _ = ran
    plain, chosen, wrong, suspect = (namespace[name] for name in ("plain", "chosen", "wrong", "suspect"))
    assert plain[-1] < max(plain) - 5  # it learns the wrong labels by heart
    assert chosen[-1] > plain[-1] + 5
    assert wrong[suspect].double().mean() > 0.9
    assert suspect[wrong].double().mean() > 0.85
    assert namespace["weights"][-1]["trusted"] > 0.9


def test_nothing_of_the_machine_is_in_it(notebook):
    text = json.dumps(notebook)
    assert re.findall(r"/(?:home|root|tmp|usr|work)/", text) == []
    assert {cell.get("execution_count") for cell in notebook["cells"]} == {None}
    assert notebook["metadata"]["language_info"] == {"name": "python"}
