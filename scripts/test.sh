#!/usr/bin/env bash
# Runs the tests, after seeing to the programs they need that npm does not bring: redis-server, a Chromium, the curl and
# nc of the documents' examples, and the proxies that deploy/ has configurations for.
# Arguments go to jest: `npm test -- --selectProjects unit`, `npm test -- -t cursor`.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "test: $*" >&2; }

find_program() {
  local name
  for name in "$@"; do
    if command -v "$name"; then return 0; fi
  done
  return 1
}

# Debian starts a service as it installs it; the tests start a Redis of their own, so ours must not be left running.
# A subshell, so that its trap takes the policy away again however this ends.
install_packages() (
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  exec >&2
  apt-get update -q &&
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
)

missing=()
if redis=$(find_program redis-server valkey-server); then say "found $redis"; else missing+=(redis-server); fi
if chromium=$(find_program chromium chromium-browser google-chrome); then say "found $chromium"; else missing+=(chromium); fi
if ! find_program curl >/dev/null; then missing+=(curl); fi
if ! find_program nc >/dev/null; then missing+=(netcat-openbsd); fi
for proxy in nginx haproxy; do
  if ! PATH="$PATH:/usr/sbin" find_program "$proxy" >/dev/null; then missing+=("$proxy"); fi
done

if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    say "missing: ${missing[*]} (as root: apt-get install ${missing[*]}); the tests that need them will say so"
  elif ! command -v apt-get >/dev/null; then
    say "missing: ${missing[*]}, and there is no apt-get to install them; the tests that need them will say so"
  else
    say "installing ${missing[*]} with apt-get"
    if install_packages "${missing[@]}"; then
      say "installed ${missing[*]}"
    else
      say "could not install ${missing[*]}; the tests that need them will say so"
    fi
    redis=$(find_program redis-server valkey-server) || true
    chromium=$(find_program chromium chromium-browser google-chrome) || true
  fi
fi

if [ -n "${redis:-}" ]; then export TEST_REDIS_SERVER="$redis"; fi
if [ -n "${chromium:-}" ]; then export TEST_CHROMIUM="$chromium"; fi
exec node_modules/.bin/jest --passWithNoTests "$@"
