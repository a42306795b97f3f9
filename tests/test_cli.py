import subprocess
import sys

import pytest

from brainmri_monai.cli import _options, main
from brainmri_monai.errors import BrainMRIError


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--epochs 10 --lr=1e-3", {"epochs": 10, "lr": 0.001}),
        ("--fresh --fold None", {"fresh": True, "fold": None}),
        ("--fresh false", {"fresh": False}),
        ("--lr -0.1", {"lr": -0.1}),
        ("--precision float32 --seed 7", {"precision": "float32", "seed": 7}),
        ("--batch-size 4", {"batch_size": 4}),
        ("--train#trainer#max_epochs 3", {"train#trainer#max_epochs": 3}),
        ("--types ['a','b']", {"types": ["a", "b"]}),
        ("--metric=a=b", {"metric": "a=b"}),
        ("--pretrained=", {"pretrained": ""}),
        ("", {}),
    ],
)
def test_words_become_options(words, options):
    assert _options(words.split()) == options


@pytest.mark.parametrize("folder", ["2024_01", "7", "1e3", "None", "true", "(1)", "/a b/'c'"])
def test_a_path_stays_text(folder):
    assert _options(["--dataset_dir", folder]) == {"dataset_dir": folder}
    assert _options([f"--output_dir={folder}"]) == {"output_dir": folder}


def test_a_path_that_is_left_out_is_said():
    for words in (["--dataset_dir"], ["--dataset_dir", "--epochs", "3"]):
        with pytest.raises(BrainMRIError, match="--dataset_dir needs a path"):
            _options(words)


def test_a_stray_word_is_refused():
    with pytest.raises(BrainMRIError, match=r"unexpected argument 'data'.\nOptions are given as --name value"):
        _options(["data", "--epochs", "3"])


def test_a_mistake_is_told_in_a_few_lines_with_exit_code_2(capsys):
    assert main(["run", "brain_tumor_mil_classification", "training", "--epoch", "3"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: unknown option --epoch; did you mean --epochs?")
    assert len(captured.err.splitlines()) <= 3
    assert captured.out == ""


@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_shows_the_trace_of_a_mistake(place):
    words = ["run", "nothing", "training"]
    words.insert(place, "--debug")
    with pytest.raises(BrainMRIError, match="no bundle or run 'nothing'"):
        main(words)


def test_an_option_that_a_command_does_not_have_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["check", "data", "--epochs", "3"])
    assert "unrecognized arguments: --epochs 3" in capsys.readouterr().err


def test_bundles_are_listed(capsys):
    assert main(["ls"]) == 0
    assert "brain_tumor_mil_classification" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["run", "nothing", "training"]])
def test_help_and_typing_errors_wait_for_no_heavy_import(arguments):
    code = (
        "import sys\n"
        "from brainmri_monai.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = 'torch monai ignite numpy scipy sklearn pandas matplotlib PIL nibabel itk pydicom nilearn'.split()\n"
        "print('imported:', [name for name in heavy if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "imported: []"
