#!/usr/bin/env bash
# Make what a development cluster needs and nobody commits: an authority, certificates and passwords, in ./secrets and .env.
# For development: the authority's key stays beside them. Runs once; remove ./secrets and .env to begin anew.
set -euo pipefail
cd "${1:-"$(dirname "$0")"}"
umask 077

if [ -e secrets ] || [ -e .env ]; then
  echo "expected neither secrets nor .env in $PWD: they are there; remove both to make new ones" >&2
  exit 2
fi
mkdir secrets

# A key and a certificate of the authority: NAME, SUBJECT, USE (serverAuth, clientAuth or both), ALTERNATIVE NAMES.
certificate() {
  local name=$1 subject=$2 use=$3 names=$4
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" \
    -keyout "secrets/$name.key" -out "secrets/$name.csr" 2>/dev/null
  openssl x509 -req -in "secrets/$name.csr" -CA secrets/ca.pem -CAkey secrets/ca.key -CAcreateserial -days 90 \
    -extfile <(printf 'extendedKeyUsage=%s\nbasicConstraints=CA:FALSE\n%s' "$use" "${names:+subjectAltName=$names}") \
    -out "secrets/$name.pem" 2>/dev/null
  rm "secrets/$name.csr"
}

openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj "/CN=Retold development authority" \
  -keyout secrets/ca.key -out secrets/ca.pem 2>/dev/null
for server in nats-1 nats-2 nats-3; do
  certificate "$server" "/CN=$server" serverAuth,clientAuth "DNS:$server,DNS:localhost,IP:127.0.0.1"
done
certificate client "/CN=retold" clientAuth ""
# The containers' users read them: keys of a development cluster, in a folder that only its owner opens.
chmod 0644 secrets/*.pem secrets/*.key

{
  for tenant in ACME GLOBEX; do
    for role in AGENT EDITOR WORKER ADMIN; do
      echo "${tenant}_${role}_PASSWORD=$(openssl rand -hex 24)"
    done
  done
  echo "SYS_PASSWORD=$(openssl rand -hex 24)"
  echo "GRAFANA_PASSWORD=$(openssl rand -hex 12)"
} > .env
echo "made secrets/ and .env: valid for 90 days"
