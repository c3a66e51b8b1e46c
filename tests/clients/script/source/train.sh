#!/bin/sh
# A user's shell script as the entry point.
set -eu
echo "arguments: $*"
cp "$SM_CHANNEL_TRAINING/rows.csv" "$SM_MODEL_DIR/"
