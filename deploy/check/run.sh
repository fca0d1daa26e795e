#!/usr/bin/env bash
# Look through everything in deploy/ with the tools that read it: make deploy-check. What is not here and is no package of a
# registry (Debian's apt, systemd) is skipped, with a word. TOOLS is the folder that the tools are kept in.
# shellcheck disable=SC2329 # functions are called by `check`
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
tools=${TOOLS:?the folder of the tools}
bin=$tools/venv/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

check() {
  local what=$1 told
  shift
  if told=$("$@" 2>&1); then
    echo "ok       $what"
  else
    printf 'failed   %s\n%s\n' "$what" "$told"
    status=1
  fi
}

skip() {
  echo "skipped  $1: $2"
}

refused() {
  ! "$@"
}

check "Dockerfile: hadolint" "$bin/hadolint" --failure-threshold style deploy/Dockerfile
check "scripts: shellcheck" "$bin/shellcheck" .ci/run deploy/check/*.sh deploy/compose/prepare.sh deploy/release/check.sh
check "YAML: yamllint" "$bin/yamllint" --strict --config-file deploy/check/yamllint.yaml deploy .github
check "compose: schema" "$bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
check "workflows: schema" "$bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yaml
check "workflows: zizmor" "$bin/zizmor" --offline --persona pedantic --quiet .github

# ---- the chart ----------------------------------------------------------------------------------------------------------
chart=deploy/helm/retold
for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values" .yaml)
  check "chart: helm lint, $name" "$tools/helm" lint --strict --quiet "$chart" --values "$values"
  "$tools/helm" template acme "$chart" --namespace agents --values "$values" > "$work/$name.yaml" || status=1
  check "chart: Kubernetes 1.37, $name" "$bin/kubernetes-validate" --strict --no-warn "$work/$name.yaml"
done
for kind in ScaledObject ServiceMonitor; do
  check "chart: $kind" "$bin/python" deploy/check/kinds.py "$work/all-values.yaml" "$kind" "$work/$kind.yaml"
  check "chart: schema of $kind" "$bin/check-jsonschema" \
    --schemafile "deploy/check/$kind.schema.json" "$work/$kind.yaml"
done
check "chart: values without a server are refused" refused "$tools/helm" template acme "$chart"
check "chart: a password in a value is refused" refused "$tools/helm" template acme "$chart" \
  --set nats.url=tls://user:secret@nats:4222

# ---- alerts, and every expression of the dashboard --------------------------------------------------------------------------
if [ -x "$tools/promtool" ]; then
  check "alerts: promtool" "$tools/promtool" check rules deploy/prometheus/alerts.yaml
  check "alerts: their tests" "$tools/promtool" test rules deploy/prometheus/alerts_test.yaml
  check "Prometheus: its configuration" "$tools/promtool" check config --syntax-only deploy/prometheus/prometheus.yml
  "$bin/python" deploy/check/expressions.py deploy/grafana/retold.json > "$work/dashboard.json" || status=1
  check "dashboard: promtool" "$tools/promtool" check rules --lint=none "$work/dashboard.json"
else
  skip "alerts and dashboard: promtool" "no apt-get here to have Debian's package prometheus from"
fi

# ---- NATS: the shipped configuration with certificates made for it --------------------------------------------------------
cp -r deploy/nats "$work/"
install -D deploy/compose/prepare.sh "$work/compose/prepare.sh"
check "compose: prepare.sh" "$work/compose/prepare.sh" "$work/compose"
nats() {
  set -a
  # shellcheck source=/dev/null # made a moment ago
  . "$work/compose/.env"
  export NATS_NAME=nats-1
  set +a
  sed -i "s#/etc/nats-tls/server\.\(pem\|key\)#$work/compose/secrets/nats-1.\1#; s#/etc/nats-tls/ca#$work/compose/secrets/ca#
    s#/data#$work/store#" "$work/nats/nats.conf"
  .venv/bin/nats-server -t --config "$work/nats/nats.conf"
}
check "NATS: nats-server -t" nats

# ---- units ---------------------------------------------------------------------------------------------------------------
if command -v systemd-analyze > /dev/null; then
  root=$work/root
  mkdir -p "$root"/{etc/systemd/system,opt/retold/bin,usr/local/bin,bin}
  cp deploy/systemd/*.service "$root/etc/systemd/system/"
  for program in opt/retold/bin/retold usr/local/bin/nats-server bin/kill; do
    install -m 755 /bin/sh "$root/$program"
  done
  for unit in retold-worker@acme retold-nats; do
    units() {
      told=$(systemd-analyze verify --root="$root" --recursive-errors=no "$unit.service" 2>&1) && [ -z "$told" ] || {
        echo "$told"
        return 1
      }
    }
    check "units: systemd-analyze verify, $unit" units
    check "units: exposure of at most 2.0, $unit" systemd-analyze security --offline=true --root="$root" \
      --threshold=20 "$unit.service"
  done
else
  skip "units: systemd-analyze" "there is no systemd here"
fi
exit "$status"
