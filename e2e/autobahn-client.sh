#!/usr/bin/env bash
# The client role of the Autobahn TestSuite, the cases without compression and large messages: the gateway's upstream side, and
# the client that the scanner uses. All cases: cargo xtask autobahn --full.
exec bash "$(dirname "${BASH_SOURCE[0]}")/autobahn-full.sh" --roles client --out /dev/null 1 2 3 4 5 6 7 10
