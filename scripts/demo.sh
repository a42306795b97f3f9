#!/usr/bin/env bash
# From nothing to a report: bash scripts/demo.sh [DIR]
# DIR holds patients as <tumor>-g<1..4>/<patient>/<slices>; without it, patients are generated.
set -euo pipefail
data=${1:+$(realpath "$1")}
source "$(dirname "$0")/environment.sh"

bundle=brain_tumor_mil_classification
runs=${BRAINMRI_DEMO_DIR:-$PWD/runs/demo}${data:+-$(basename "$data")}
options=(--image_size 112 --epochs "${BRAINMRI_DEMO_EPOCHS:-10}")
step() { printf '\n== %s\n' "$*"; }

if [ -z "$data" ]; then
    data=$runs/patients
    step "generate patients"
    generate() { [ -f "$1/dataset.json" ] || { rm -rf "$1" && brainmri phantom patients "$@"; }; } # written last
    generate "$data" --patients 48 --seed 0
    generate "$runs/unseen" --patients 6 --seed 1
    patient=$(find "$runs/unseen" -mindepth 2 -maxdepth 2 -type d | sort | head -n 1)
fi
step "check the data"
brainmri check "$data" || [ $? -eq 1 ] # what is broken is told, and the training leaves it out
for pooling in attention mean; do
    step "train and evaluate with $pooling pooling"
    config=$([ $pooling = attention ] || echo "--config $pooling")
    brainmri run $bundle training $config --dataset_dir "$data" --output_dir "$runs/$pooling" "${options[@]}"
    brainmri run "$runs/$pooling" evaluate
done
# with data of one's own, the unseen patient is the first of the test patients
patient=${patient:-$(python -c "
import json, sys, pathlib
datalist = json.load(open(sys.argv[1]))
image = pathlib.Path(datalist['root'], datalist['test'][0]['image'][0])
print(image if len(datalist['test'][0]['image']) == 1 else image.parent)" "$runs/attention/datalist.json")}
step "predict a patient that no training saw"
brainmri run "$runs/attention" inference --dataset_dir "$patient" || [ $? -eq 1 ] # one with a broken slice has no answer
step "export TorchScript"
brainmri run "$runs/attention" export
step "results"
brainmri compare "$runs/attention" "$runs/mean" --output_dir "$runs/comparison"
echo "the report of the run with attention: $runs/attention/report.html"
