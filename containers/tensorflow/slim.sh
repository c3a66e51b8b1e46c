#!/bin/sh
# Build stage: takes out of TensorFlow's wheel what no script and no server ever opens.
#
#   include, xla_aot_runtime_src   C++ headers and sources, for who compiles operations
#   clang                          a library that only TensorFlow's own build calls
#   symbol tables                  names inside the libraries, for who debugs them
#
# It ends with an import and a computation: what was taken was not needed.
set -eu

packages=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$packages/tensorflow/include" "$packages/tensorflow/xla_aot_runtime_src" "$packages/clang"
apt-get update -qq
apt-get install -y -qq --no-install-recommends binutils >/dev/null
find "$packages/tensorflow" -name '*.so*' -type f -size +1M -exec strip --strip-unneeded {} +
/opt/venv/bin/python -c '
import tensorflow as tf
from tensorflow import keras

network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
network.compile("sgd", "mse")
network.fit(tf.zeros((4, 2)), tf.zeros((4, 1)), verbose=0)
'
