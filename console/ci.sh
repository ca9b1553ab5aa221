#!/usr/bin/env bash
# What CI does with the console: from a clean checkout to a build that has been checked in a real browser.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' || {
  echo "Node 20.19 or later is needed, this is $(node --version)" >&2
  exit 1
}
if ! command -v "${CHROMEDRIVER:-chromedriver}" >/dev/null; then
  as_root=()
  ((EUID == 0)) || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qq -y --no-install-recommends chromium chromium-driver
fi
npm ci --no-audit --no-fund
npm run ci
