"""README.md, and the page of what the default gains, say what the committed records say."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from adaselection.lab import wording
from lab.records_factory import grid, make

NO_LONGER_JUDGED = ("debt on credit cards", "grades")  # real numbers: rules were made after runs on these
BLOCK = re.compile(r"<!-- results:(\w+) -->\n(.*?)<!-- /results:\1 -->", re.DOTALL)


@pytest.fixture(scope="module")
def tool(root):
    found = importlib.util.spec_from_file_location("readme_tool", root / "tools" / "readme.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def copy(root, tmp_path):
    """Copies of the committed README, pages and pictures."""
    shutil.copy(root / "README.md", tmp_path)
    for page in ("scoring.md", "gains.md"):
        shutil.copy(root / "docs" / "results" / page, tmp_path)
    if (root / "docs" / "images").is_dir():
        shutil.copytree(root / "docs" / "images", tmp_path / "images")
    return tmp_path


def test_the_readme_says_what_the_committed_records_say(tool, copy, root):
    """In a process of its own: without the checks of shapes and types it takes a fraction of the time."""
    command = [sys.executable, str(root / "tools" / "readme.py")]
    command += ["--readme", str(copy / "README.md"), "--pages", str(copy)]
    command += ["--images", str(copy / "images")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert ".md" not in done.stdout, "run python tools/readme.py"
    assert "skipped" not in done.stdout  # a picture's bytes depend on the matplotlib that drew it
    blocks = dict(BLOCK.findall((copy / "README.md").read_text(encoding="utf-8")))
    assert set(blocks) == {tool.SCORING, tool.RECORDED}
    assert set(dict(BLOCK.findall((copy / "gains.md").read_text(encoding="utf-8")))) == {tool.RECORDED}
    tables = dict(BLOCK.findall((copy / "scoring.md").read_text(encoding="utf-8")))
    assert set(tables) == set(tool.TASKS)
    for name, text in tables.items():
        assert bool(text.strip()) == any((root / "results" / name).rglob("*.json")), name
        assert f"- {text.splitlines()[0]}\n" in blocks[tool.SCORING]
    assert (root / "docs" / "images" / f"{tool.PICTURE}.svg").exists()


def prose(root, file="docs/results/gains.md"):
    """A page as one line."""
    return " ".join((root / file).read_text(encoding="utf-8").split())


def losses_of_pictures(root, budget):
    """By how many % the default's log loss is lower than uniform's, on clean cifar10 with the ResNet-18."""
    found = {True: {}, False: {}}
    for file in (root / "results" / "recorded" / "cifar10").glob("*.json"):
        run = json.loads(file.read_text(encoding="utf-8"))
        config = run["config"]
        asked = (config["preset"], config["budget"], config["split"], config["label_noise"])
        if asked == ("gpu", budget, "test", 0.0) and config["arm"] in ("recorded", "uniform_budget", "full"):
            found[config["arm"] == "recorded"][config["seed"]] = run["result"]["loss"]
    pairs = [(found[True][seed], found[False][seed]) for seed in found[True]]
    ours, plain = (sum(losses) for losses in zip(*pairs, strict=True))
    return 100 * (plain - ours) / plain


def rows(text, first):
    """Cells of the rows of a page's tables that begin with a word."""
    found = ([cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:1] == "|")
    return [cells for cells in found if cells[0] == first]


def test_the_readme_says_in_short_what_pages_and_records_say(root):
    readme, gains = prose(root, "README.md"), prose(root)
    assert "Two of seven tasks reach full training's accuracy 1.5 times sooner, digits not by its interval" in readme
    assert "Two of seven reach it 1.5 times sooner than full training, digits not by its interval" in gains
    assert "only digits gets there 1.25 times sooner than that, and not by its interval" in readme
    assert "one task reaches full training's accuracy 1.25 times sooner than uniform does, digits, and not by" in gains
    (told,) = re.findall(r"and (\d+ of \d+ cells of digits, bike and regression) then fall behind", readme)
    assert f"and {told} then miss the" in gains
    records = {
        name: json.loads((root / "benchmarks" / "records" / f"real_{name}.json").read_text(encoding="utf-8"))["results"]
        for name in ("numbers", "classes")
    }
    some = {
        name: [cell for cell in result["cells"] if cell["wrong"] == 0.2 and cell["set"] not in NO_LONGER_JUDGED]
        for name, result in records.items()
    }
    mean = sum(cell["difference"] for cell in some["numbers"]) / len(some["numbers"])
    told = {
        kind: ", ".join(
            f"{sum(sign * cell['ci'][at] > 0 for cell in cells)} {word}"
            for word, sign, at in (("won", 1, 0), ("lost", -1, 1))
        )
        for kind, cells in (
            ("numbers", some["numbers"]),
            ("classes", some["classes"]),
            ("balanced", [cell["balanced"] for cell in some["classes"]]),
        )
    }
    assert f"On the {len(some['numbers'])} [real tables with a number as target]" in readme
    assert f"the error is {mean:.1f} % lower on average than in plain training: {told['numbers']}." in readme
    assert f"On {len(some['classes'])} with a class the gate mostly stays shut: {told['classes']}" in readme
    assert f"{told['classes']}; of balanced accuracy {told['balanced']}." in readme
    page = (root / "docs" / "results" / "seconds.md").read_text(encoding="utf-8")
    tail = [cells for cells in rows(page, "100:1 long tail") if "**fails**" in cells[-1]][:4]
    worst = min(float(cells[6].split()[0].replace(wording.MINUS, "-")) for cells in tail)
    assert f"four of them digits' long tail, by up to {-worst:.1f} points." in readme


def test_the_readme_says_how_many_seeds_the_cells_of_its_table_have(root):
    seeds = Counter()
    for task in ("bike", "cifar10", "digits", "mnist", "regression"):  # which have columns
        for file in (root / "results" / "recorded" / task).glob("*.json"):
            run = json.loads(file.read_text(encoding="utf-8"))["config"]
            if (run["arm"], run["split"]) == ("recorded", "test") and run["budget"] in (0.5, 1.0):
                seeds[task, run["preset"], run.get("regime", "plain"), run["label_noise"], run["budget"]] += 1
    gpu = [count for (_, preset, *_), count in seeds.items() if preset == "gpu"]
    few = {key: count for key, count in seeds.items() if key[1] == "cpu" and count < 5}
    assert few == {("cifar10", "cpu", "plain", 0.4, 1.0): 2, ("cifar10", "cpu", "plain", 0.2, 1.0): 3}
    most = max(count for (_, preset, *_), count in seeds.items() if preset == "cpu")
    readme = prose(root, "README.md")
    assert f"a ResNet-18 with {min(gpu)} to {max(gpu)} seeds" in readme
    assert f"the others have 5 to {most} seeds, but for the full runs of cifar10 on wrong labels, which" in readme


def test_what_the_page_says_beside_its_table_is_what_pages_and_records_say(root):
    gains = prose(root)
    page = {name: (root / "docs" / "results" / f"{name}.md").read_text(encoding="utf-8")
            for name in ("speed", "seconds")}  # fmt: skip
    clean = re.search(r"full training: (\d) of (\d).*uniform: (\d) of", page["speed"])
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    fast, tasks, faster = (words[int(number)] for number in clean.groups())
    assert f"On clean data {faster} task reaches full training's accuracy 1.25 times sooner" in gains
    assert f". {fast.capitalize()} of {tasks} reach it 1.5 times sooner" in gains
    sooner = [rows(page["speed"], f"cifar10 ({preset} preset)")[0][2].split(" [")[0] for preset in ("cpu", "gpu")]
    told = (
        f"the small ResNet is where full training gets {sooner[0]} times sooner, and the ResNet-18 {sooner[1]} times."
    )
    assert told in gains
    missed = {}
    for task in ("bike", "cifar10", "digits", "mnist", "regression"):
        held, cells = map(int, rows(page["seconds"], task)[0][5].split(" of "))
        missed[task] = (cells - held, cells)
    small = [missed[task] for task in ("digits", "bike", "regression")]
    assert f"{sum(miss for miss, _ in small)} of {sum(cells for _, cells in small)} cells of digits, bike and" in gains
    verb = "cell of mnist misses" if missed["mnist"][0] == 1 else "cells of mnist miss"
    assert f"by which {words[missed['mnist'][0]]} {verb} it" in gains
    assert missed["cifar10"][0] == 0
    results = json.loads((root / "benchmarks" / "records" / "other_data.json").read_text(encoding="utf-8"))["results"]
    cells = results["cells"]
    won = sum(cell["ci"][0] > 0 for cell in cells)
    assert not any(cell["ci"][1] < 0 for cell in cells)
    count = {9: "nine", 13: "thirteen"}[len(results["sets"])]
    assert f"over all {count} {won} of {len(cells)} cells {'is' if won == 1 else 'are'} won and none lost" in gains
    assert results["worse"] == 0
    assert f"and in none the mean is more than {-results['bar']} points worse" in gains
    assert f"In {sum(not cell['opened'] for cell in cells)} of these nothing was left out" in gains
    rule = [cell["uncertain"] for cell in cells if cell["wrong"] and results["sets"][cell["set"]]["classes"]]
    ends = [sum(sign * cell["ci"][at] > 0 for cell in rule) for sign, at in ((1, 0), (-1, 1))]
    assert f"it won {ends[0]} of {len(rule)} cells with wrong labels and lost {ends[1]}, and" in gains
    worst = min(cells, key=lambda cell: cell["uncertain"]["difference"])
    assert worst["set"] == "zeros"
    assert f"targets in ten are 0 it costs up to {-worst['uncertain']['difference']:.0f} % of the error" in gains
    assert not any("balanced" in cell and (cell["balanced"]["ci"][1] or 0) < 0 for cell in cells)
    assert "Where every class counts alike none is lost either." in gains
    guide = prose(root, "docs/recorded.md")
    numbers = json.loads((root / "benchmarks" / "records" / "real_numbers.json").read_text(encoding="utf-8"))["results"]
    assert "opened whose error in plain training was above 0.7 of the variance" in guide
    assert max(cell["plain"] for cell in numbers["cells"] if cell["opened"]) < 0.7
    models = json.loads((root / "benchmarks" / "records" / "other_models.json").read_text(encoding="utf-8"))["results"]
    won = [cell for cell in models["cells"] if cell["ci"][0] > 0]
    (lost,) = (cell for cell in models["cells"] if cell["ci"][1] < 0)
    assert all(cell["wrong"] for cell in won)
    low, high = (end(cell["difference"] for cell in won) for end in (min, max))
    told = (
        f"{len(won)} of {len(models['cells'])} cells are won, all with wrong labels, by {low:.1f} to {high:.1f} points"
    )
    assert f"{told}, and one is lost: {-lost['difference']:.1f} points with a {lost['kind']} on clean digits" in gains
    assert not lost["wrong"]
    pictures = json.loads((root / "benchmarks" / "records" / "other_pictures.json").read_text(encoding="utf-8"))
    ran = pictures["results"]["cells"]
    none = sum(not cell["opened"] for cell in ran)
    assert f"{pictures['results']['won']} of {len(ran)} cells are won and none is lost; in {none} nothing was" in gains
    assert pictures["results"]["lost"] == 0
    full = [cell for cell in ran if (cell["wrong"], cell["budget"]) == (0.3, 1.0)]
    large = [cell for cell in full if cell["difference"] > 5]
    half = {cell["kind"]: cell["plain"] for cell in ran if (cell["wrong"], cell["budget"]) == (0.3, 0.5)}
    low, high = (end(cell["difference"] for cell in large) for end in (min, max))
    fell = [half[cell["kind"]] - cell["plain"] for cell in large]
    told = f"{low:.1f} to {high:.1f} points in {words[len(large)]} of {words[len(full)]} kinds, in which plain training"
    assert f"{told} loses {min(fell):.1f} to {max(fell):.1f} points between half and all of the work" in gains
    near = max(abs(cell["plain"] + cell["difference"] - half[cell["kind"]]) for cell in large)
    assert f"so it ends within {near:.1f} points of where plain training was at half" in gains
    told = f"gains on {words[len(large)]} small networks {low:.1f} to {high:.1f} points, which is about what plain"
    assert told in prose(root, "README.md")
    fresh = [cell for cell in ran if cell["kind"] == "augmented"]
    opened, runs = (sum(cell[name] for cell in fresh) for name in ("opened", "seeds"))
    assert f"is left out in {opened} of {runs} runs, and nothing is won or lost." in gains
    assert all(cell["ci"][0] <= 0 <= cell["ci"][1] for cell in fresh)
    names = {cell["kind"] for cell in large}
    assert not any(cell["opened"] for cell in ran if cell["kind"] in names and cell["budget"] == 0.5 and cell["wrong"])
    guides = {name: prose(root, f"docs/{name}.md") for name in ("start", "recorded")}
    spoilt = [cell["opened"] for cell in cells if cell["wrong"] and results["sets"][cell["set"]]["classes"]]
    assert "nothing was left out in most cells with wrong labels" in guides["start"]
    assert sum(not opened for opened in spoilt) > len(spoilt) / 2
    assert "and lost 0.3 points with a margin loss." in guides["recorded"]
    assert round(lost["difference"], 1) == -0.3


def test_what_the_rule_for_wrong_labels_gains_and_costs_is_what_its_page_says(root):
    gains_page = prose(root)
    page = (root / "docs" / "results" / "uncertain.md").read_text(encoding="utf-8")
    sections = {title: text for title, _, text in (part.partition("\n") for part in page.split("\n## "))}

    def gains(task, data):
        """By budget: the rule's gain on uniform, and the default's."""
        found = rows(sections[f"{task} (cpu preset)"], data)
        return {cell[1]: [float(cell[at].split()[0].replace("\u2212", "-")) for at in (4, 7)] for cell in found}

    def over(task, data):
        """The ends of the interval of the rule's gain on the default, by budget, the upper one first."""
        ends = (re.findall(r"[+\u2212]?[\d.]+", cell[8])[1:] for cell in rows(sections[f"{task} (cpu preset)"], data))
        return [tuple(float(end.replace("\u2212", "-")) for end in reversed(pair)) for pair in ends]

    noisy, clean = gains("cifar10", "40 % label noise"), gains("cifar10", "plain data")
    assert f"and {noisy['100 %'][0]:+.2f} points on cifar10 with 40 % in a full run (3 seeds), where" in gains_page
    assert noisy["100 %"][1] == 0
    bike = [-rule for rule, _ in gains("bike", "plain data").values()]
    assert (
        f"on cifar10 {-clean['100 %'][0]:.2f} points, on bike {min(bike):.0f} to {max(bike):.0f} % of the" in gains_page
    )
    assert f"a tenth of the work {-gains('digits', '100:1 long tail')['10 %'][0]:.2f} points." in gains_page
    for task in ("mnist", "digits"):
        assert all(low >= 0 for _, low in over(task, "20 % label noise"))
        assert all(low < 0.1 and high > -0.1 for high, low in over(task, "40 % label noise"))


def test_the_learning_rates_that_the_page_names_are_those_that_trials_chose(root):
    said = re.search(
        r"with 40 % wrong labels on digits it is (\S+) at a tenth of the work and (\S+) at all of it", prose(root)
    )
    trials, used = {}, set()
    for path in (root / "results" / "recorded" / "digits").glob("*.json"):
        config = (record := json.loads(path.read_text(encoding="utf-8")))["config"]
        if (config["arm"], config.get("regime", "plain"), config["label_noise"]) != ("uniform_budget", "plain", 0.4):
            continue
        if config["split"] == "test":
            used.add((config["budget"], config["learning_rate"]))
        else:
            trials.setdefault((config["budget"], config["learning_rate"]), []).append(record["result"]["value"])
    chosen = set()
    for budget in (0.1, 0.2, 0.3, 0.5, 1.0):
        tried = {rate: sum(values) / len(values) for (at, rate), values in trials.items() if at == budget}
        chosen.add((budget, max(tried, key=tried.get)))
    assert used == chosen
    assert {(0.1, float(said[1])), (1.0, float(said[2]))} <= used


def test_new_records_change_their_own_block_and_picture_and_only_once(tool, copy):
    readme, page, picture = copy / "README.md", copy / "scoring.md", copy / "images" / "digits.svg"
    before = dict(BLOCK.findall(page.read_text(encoding="utf-8")))
    chosen = ("full", "uniform_budget", "adaselection")
    records = [make("digits", arm, seed, config={"learning_rate": 0.77}) for arm in chosen for seed in range(3)]
    assert tool.update(readme, copy, copy / "images", records) == [page, readme, picture]
    after = dict(BLOCK.findall(page.read_text(encoding="utf-8")))
    assert {task for task in after if after[task] != before[task]} == {"digits"}
    assert "| `adaselection` | 0.3 |" in after["digits"]
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert tool.update(readme, copy, copy / "images", records) == []
    another = make("digits", "full", 3, config={"learning_rate": 0.77})
    assert tool.update(readme, copy, copy / "images", [*records, another])[::2] == [page, picture]


def test_one_rate_one_budget_and_full_training_are_shown(tool):
    records = grid(("digits",), seeds=1)
    trial = make(config={"split": "validation"})
    shown = {(r.config.arm, r.config.rate, r.config.budget) for r in [*records, trial] if tool.shown(r)}
    assert not tool.shown(trial)
    assert {row for row in shown if row[2] == 0.5} == {
        ("uniform_budget", None, 0.5), *((arm, 0.3, 0.5) for arm in ("uniform_rate", "adaselection", "big_loss"))
    }  # fmt: skip
    assert ("full", None, 1.0) in shown


def test_the_table_of_real_data_is_what_its_records_say(root):
    page = (root / "docs" / "results" / "gains.md").read_text(encoding="utf-8")
    records = {
        name: json.loads((root / "benchmarks" / "records" / f"real_{name}.json").read_text(encoding="utf-8"))["results"]
        for name in ("numbers", "classes")
    }
    text = " ".join(page.split())

    def told(cells):
        """Cells won and lost by their interval, and the mean difference."""
        won, lost = (sum(sign * cell["ci"][at] > 0 for cell in cells) for sign, at in ((1, 0), (-1, 1)))
        return f"{won}, {lost} of {len(cells)}", sum(cell["difference"] for cell in cells) / len(cells)

    for share in (0.0, 0.2, 0.4):
        for name, result in (("number", records["numbers"]), ("class", records["classes"])):
            some = [cell for cell in result["cells"] if cell["wrong"] == share]
            runs = f"{sum(cell['opened'] for cell in some)} of {sum(cell['seeds'] for cell in some)} runs"
            count, mean = told(some)
            gained, more = f"error {mean:.1f} % lower", f"{wording.DASH} | {wording.DASH}"
            if name == "class":
                losses, by = told([cell["log_loss"] for cell in some])
                gained = f"accuracy {wording.signed(mean, 2)}"
                more = f"{losses} | {abs(by):.1f} % {'lower' if by >= 0 else 'higher'}"
            assert f"| a {name} | {100 * share:.0f} % | {count} | {gained} | {more} | {runs} |" in page
    assert not any(cell["ci"][1] < 0 for cell in records["numbers"]["cells"])
    (lost,) = (cell for cell in records["classes"]["cells"] if cell["ci"][1] < 0)
    assert f"Lost is the {lost['set']}, by {-lost['difference']:.2f} points." in text
    first, second = sorted(
        (cell for cell in records["classes"]["cells"] if cell["balanced"]["ci"][1] < 0),
        key=lambda cell: cell["balanced"]["difference"],
    )
    assert first == lost
    assert {first["wrong"], second["wrong"]} == {0.2}
    assert f"Of balanced accuracy it loses {-first['balanced']['difference']:.1f} points" in text
    assert f"and {second['set']} {-second['balanced']['difference']:.1f}, both with 20 % wrong labels" in text


def test_what_readme_and_guide_say_about_long_trainings_is_what_the_record_says(root):
    cells = json.loads((root / "benchmarks" / "records" / "long_noise.json").read_text(encoding="utf-8"))["results"]
    guide = (root / "docs" / "recorded.md").read_text(encoding="utf-8")
    arms = ("plain", "default", "told", "uncertain")
    for cell in cells["cells"]:
        told = (f"{cell[arm]['accuracy']:.1f} ({cell[arm]['learnt']:.0f} %)" for arm in arms)
        assert f"\n| {100 * cell['wrong']:.0f} % | {cell['epochs']} | {' | '.join(told)} |\n" in guide
        assert cell["seeds"] == 10
    (chosen,) = (cell for cell in cells["cells"] if (cell["wrong"], cell["epochs"]) == (0.2, 100))
    plain, default, known = (f"{chosen[arm]['accuracy']:.1f}" for arm in arms[:3])
    said = f"plain training ends at {plain} %, the default at {default} and this at {known}:"
    assert said in prose(root, "README.md")
    ladder = (root / "docs" / "results" / "ladder.md").read_text(encoding="utf-8")
    ladder = ladder[ladder.index("\n## Digits (") :]
    at = re.findall(r"`recorded_wrong_labels` \| 0.3 \| (50|100) % \| [\d.]+ ± [\d.]+ \| (\S+) \[", ladder)
    assert [budget for budget, _ in at] == ["50", "100"] * 2  # 20 % wrong labels, and 40 %
    few, all_few, many, all_many = (gain for _, gain in at)
    assert f"{few} and {all_few} points over plain training with 20 % wrong" in prose(root, "docs/recorded.md")
    assert f"{many} and {all_many} with 40 %." in prose(root, "docs/recorded.md")


def test_what_the_guide_says_about_probabilities_is_what_the_record_says(root):
    guide = prose(root, "docs/recorded.md")
    result = json.loads((root / "benchmarks" / "records" / "real_classes.json").read_text(encoding="utf-8"))["results"]
    as_they_are = [cell for cell in result["cells"] if not cell["wrong"]]
    runs = f"{sum(cell['opened'] for cell in as_they_are)} of {sum(cell['seeds'] for cell in as_they_are)} runs"
    assert f"On {len(result['sets'])} sets of [real classes]" in guide
    assert f"left something out in {runs} with the labels as they are: no accuracy was lost" in guide
    hard = [cell["hard"] for cell in as_they_are]
    assert not any(cell["opened"] for cell in hard)
    assert f"On these sets it had none in any of {sum(cell['seeds'] for cell in hard)} runs" in guide
    assert f"was {losses_of_pictures(root, 0.5):.0f} % lower at half of the work" in guide
    assert f"and {-losses_of_pictures(root, 1.0):.0f} % higher in a full run" in guide
    assert not any(cell["ci"][1] < 0 for cell in as_they_are)
    worse = [cell for cell in as_they_are if cell["log_loss"]["ci"][1] < 0]
    better = [cell for cell in result["cells"] if cell["wrong"] and cell["log_loss"]["ci"][0] > 0]
    assert (len(worse), len(better), {cell["wrong"] for cell in better}) == (3, 6, {0.2})
    changes = [sorted(abs(cell["log_loss"]["difference"]) for cell in some) for some in (worse, better)]
    assert f"loss of three sets rose, by {changes[0][0]:.0f} to {changes[0][-1]:.0f} %." in guide
    assert f"it fell instead, in six sets, by {changes[1][0]:.0f} to {changes[1][-1]:.0f} %." in guide
    least, *_, most = sorted(cell["annealed"]["log_loss"]["difference"] for cell in worse)
    assert f"was between {most:.0f} % lower and {-least:.0f} % higher than in plain training" in guide
    least, *_, most = sorted(cell["annealed"]["log_loss"]["difference"] for cell in better)
    assert f"of the six between {least:.0f} and {most:.0f} % lower" in guide
    assert f"with `anneal={result['anneal']}`" in guide
