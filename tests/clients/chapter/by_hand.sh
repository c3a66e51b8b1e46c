#!/usr/bin/env bash
# The image by hand, with no control plane: docker run, a folder that is /opt/ml, and curl.
#     by_hand.sh IMAGE FOLDER FILE.csv
# FOLDER becomes /opt/ml; FILE.csv has the label first and no header.
set -euo pipefail
image=$1
folder=$2
file=$3
mkdir -p "$folder"/{input/config,input/data/train,model,output}
cp "$file" "$folder/input/data/train/"
echo '{"predictor_type": "regressor", "mini_batch_size": "4"}' > "$folder/input/config/hyperparameters.json"
echo '{"train": {"ContentType": "text/csv", "TrainingInputMode": "File"}}' > "$folder/input/config/inputdataconfig.json"
echo '{"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}' > "$folder/input/config/resourceconfig.json"
docker run --rm -v "$folder:/opt/ml" "$image" train
container=$(docker run --detach --rm -v "$folder:/opt/ml" -p 127.0.0.1::8080 "$image" serve)
trap 'docker stop "$container" > /dev/null' EXIT
address=$(docker port "$container" 8080)
curl --silent --show-error --fail --retry 60 --retry-delay 1 --retry-all-errors "http://$address/ping"
curl --silent --show-error --fail -H 'Content-Type: text/csv' --data-binary 42 "http://$address/invocations"
