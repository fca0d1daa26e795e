#!/usr/bin/env bash
# Build what is published and use it as a stranger would: make release-check. Files are left in the folder that is named.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(realpath --canonicalize-missing "${1:?the folder for the files}")
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

echo "== sdist, and what is in it"
rm -f "$out"/retold-*
.venv/bin/maturin sdist --out "$out" 2> "$work/told" || { cat "$work/told" >&2; exit 1; }
sdist=$(ls "$out"/retold-*.tar.gz)
tar --list --gzip --file "$sdist" > "$work/listed"
for needed in pyproject.toml Cargo.lock README.md LICENSE rust/tokens/vocab/o200k.vocab rust/tokens/vocab/LICENSE-tiktoken \
  python/retold/py.typed python/retold/_core.pyi; do
  grep --quiet "/$needed\$" "$work/listed" || { echo "expected $needed in the sdist" >&2; exit 1; }
done
if grep --extended-regexp '\.(so|key|pem|env)$|/(target|\.venv|secrets)/' "$work/listed"; then
  echo "expected no such file in the sdist" >&2
  exit 1
fi

echo "== a wheel from the sdist, in a clean environment"
python3 -m venv "$work/build"
"$work/build/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work/own" "$sdist"
own=$(ls "$work"/own/retold-*-cp311-abi3-*linux*.whl)

echo "== the wheel as it is published"
.venv/bin/maturin build --release --locked --out "$out" 2> "$work/told" || { cat "$work/told" >&2; exit 1; }
wheel=$(ls "$out"/retold-*-cp311-abi3-manylinux_*.whl)

echo "== its SBOM and licences"
"$work/build/bin/python" - "$wheel" << 'END'
import json, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
names = wheel.namelist()
sboms = [name for name in names if ".dist-info/sboms/" in name and name.endswith(".json")]
assert sboms, "expected an SBOM in the wheel"
parts = [part["name"] for name in sboms for part in json.loads(wheel.read(name))["components"]]
assert "pyo3" in parts, f"expected pyo3 in the SBOM, got {parts}"
licences = [name for name in names if "/licenses/" in name]
assert len(licences) == 3, f"expected three licences, got {licences}"
times = {info.date_time for info in wheel.infolist()}
assert len(times) == 1, f"expected one time for all files, got {times}"
print(f"{len(parts)} components, {len(licences)} licences, {len(names)} files, all of {times.pop()}")
END

echo "== the one from the sdist, installed and used"
python3 -m venv "$work/use"
"$work/use/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement deploy/runtime.lock
"$work/use/bin/pip" install --quiet --disable-pip-version-check --no-deps "$own"
"$work/use/bin/pip" check
cd "$work"
"$work/use/bin/retold" --version
echo '[{"role": "user", "content": "Why does the build fail?"}]' > messages.json
"$work/use/bin/retold" compact messages.json --budget 1000 --json > /dev/null
RETOLD_DATA_DIR=$work/store "$work/use/bin/retold" demo --turns 30 > demo.txt
tail -n 3 demo.txt
ls -l "$out"
