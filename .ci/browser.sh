#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The page of the example agent in Debian's Chromium. Run by hand and not by CI, after a change of the page or of what is shown
# over HTTP: the packages are 130 MB to load and 440 MB on the disk, and to install them takes longer than these tests.
#
#   .ci/browser.sh
#
# Root for the packages; the tests need a pid namespace, which users may make on most machines.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends chromium chromium-driver
fi
# A test that is skipped is a failure here.
PROXYPROCESS_CI=1 PROXYPROCESS_BROWSER=1 cargo test --locked --test integration agent_commands::page
